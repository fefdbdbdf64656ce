//! All that changes while the emulator runs: credentials, recorded requests, faults.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::clock;
use crate::config::{Config, Role};
use crate::faults::{Faults, Strike};
use crate::principal::{Credential, Principal, SessionTerms};

/// How many requests and how many sessions are remembered; the oldest goes first.
const REMEMBERED: usize = 10_000;

/// One request as the emulator saw it, whether it was believed or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RecordedRequest {
    /// When it came, on the emulator's clock, RFC 3339.
    pub time: String,
    /// The HTTP method.
    pub method: String,
    /// The path as sent.
    pub path: String,
    /// From the credential scope, like `sts`; empty when the request has no readable signature.
    pub service: String,
    /// From the credential scope.
    pub region: String,
    /// Like `AssumeRole`; empty when the request names none.
    pub action: String,
    /// As claimed by the request.
    pub access_key_id: String,
    /// Set once the signature held.
    pub caller_arn: Option<String>,
    /// Query, form or top-level JSON parameters. Values are cut at 8 KiB.
    pub parameters: BTreeMap<String, String>,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// `ok`, an AWS error code as STS words it (also where the service asked has another word), or `fault:NAME`.
    pub verdict: String,
    /// The error's message; empty for `ok`.
    pub message: String,
    /// The HTTP status answered.
    pub status: u16,
}

/// One session the emulator issued, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedSession {
    /// `ASIA...`.
    pub access_key_id: String,
    /// `role-session`, `user-session` or `federated-user`.
    pub kind: String,
    /// What GetCallerIdentity answers for it.
    pub arn: String,
    /// RFC 3339, on the emulator's clock.
    pub issued_at: String,
    /// RFC 3339, on the emulator's clock.
    pub expiration: String,
    /// Set or inherited.
    pub source_identity: Option<String>,
    /// Session tags, with inherited ones.
    pub tags: BTreeMap<String, String>,
    /// Keys of those tags that the next role inherits.
    pub transitive_tag_keys: BTreeSet<String>,
    /// The inline session policy as sent.
    pub policy: Option<String>,
    /// The managed session policies.
    pub policy_arns: Vec<String>,
}

impl IssuedSession {
    fn of(credential: &Credential) -> Self {
        let SessionTerms { policy_text, policy_arns, source_identity, tags, transitive, .. } = credential.terms.clone();
        Self {
            access_key_id: credential.access_key_id.clone(),
            kind: credential.principal.kind.as_str().to_owned(),
            arn: credential.principal.arn.clone(),
            issued_at: clock::extended(credential.issued),
            expiration: credential.expires.map(clock::extended).unwrap_or_default(),
            source_identity,
            tags,
            transitive_tag_keys: transitive,
            policy: policy_text,
            policy_arns,
        }
    }
}

#[derive(Debug)]
pub(crate) struct State {
    config: Config,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    credentials: HashMap<String, Arc<Credential>>,
    /// Access key ids of issued sessions, oldest first.
    issued: VecDeque<String>,
    requests: VecDeque<RecordedRequest>,
    faults: Faults,
    /// Codes of second factors that were used.
    used: BTreeSet<String>,
}

impl State {
    pub(crate) fn new(config: Config) -> Self {
        let credentials = config
            .users
            .iter()
            .map(|user| {
                let credential = Credential {
                    access_key_id: user.access_key_id.0.clone(),
                    secret: user.secret_access_key.clone(),
                    token: None,
                    issued: OffsetDateTime::UNIX_EPOCH,
                    expires: None,
                    principal: Principal::user(user),
                    permissions: Arc::clone(&user.policy.0),
                    terms: SessionTerms::default(),
                };
                (credential.access_key_id.clone(), Arc::new(credential))
            })
            .collect();
        Self { config, inner: Mutex::new(Inner { credentials, ..Inner::default() }) }
    }

    /// A panic elsewhere leaves nothing half-written here, so a poisoned lock is still good.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> OffsetDateTime {
        clock::now(self.inner().faults.skew_seconds)
    }

    pub(crate) fn minimum_duration(&self) -> u32 {
        self.config.minimum_duration
    }

    pub(crate) fn role(&self, arn: &str) -> Option<&Role> {
        self.config.roles.iter().find(|role| role.arn.text == arn)
    }

    /// Uses a code of the user with that key up, if it is one.
    pub(crate) fn take_code(&self, access_key_id: &str, serial: &str, code: &str) -> bool {
        let user = self.config.users.iter().find(|user| user.access_key_id.0 == access_key_id);
        let good = user.is_some_and(|u| u.mfa_serial.as_deref() == Some(serial) && u.mfa_codes.contains(code));
        good && self.inner().used.insert(code.to_owned())
    }

    pub(crate) fn credential(&self, access_key_id: &str) -> Option<Arc<Credential>> {
        self.inner().credentials.get(access_key_id).cloned()
    }

    /// The lifetime a session really gets when `asked` seconds were granted.
    pub(crate) fn lifetime(&self, asked: u32) -> u32 {
        self.inner().faults.session_lifetime_seconds.or(self.config.session_lifetime_seconds).unwrap_or(asked)
    }

    pub(crate) fn add_session(&self, credential: Credential) {
        let mut inner = self.inner();
        if inner.issued.len() >= REMEMBERED
            && let Some(oldest) = inner.issued.pop_front()
        {
            inner.credentials.remove(&oldest);
        }
        inner.issued.push_back(credential.access_key_id.clone());
        inner.credentials.insert(credential.access_key_id.clone(), Arc::new(credential));
    }

    pub(crate) fn issued(&self) -> Vec<IssuedSession> {
        let inner = self.inner();
        inner.issued.iter().filter_map(|key| inner.credentials.get(key)).map(|one| IssuedSession::of(one)).collect()
    }

    pub(crate) fn record(&self, request: RecordedRequest) {
        let mut inner = self.inner();
        if inner.requests.len() >= REMEMBERED {
            inner.requests.pop_front();
        }
        inner.requests.push_back(request);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.inner().requests.iter().cloned().collect()
    }

    pub(crate) fn clear_requests(&self) {
        self.inner().requests.clear();
    }

    pub(crate) fn faults(&self) -> Faults {
        self.inner().faults.clone()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.inner().faults = faults;
    }

    /// The delay and the fault for the next request; counts it.
    pub(crate) fn next_fault(&self) -> (u64, Option<Strike>) {
        let mut inner = self.inner();
        (inner.faults.delay_ms, inner.faults.strike())
    }
}
