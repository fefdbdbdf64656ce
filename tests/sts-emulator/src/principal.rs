//! Who signs a request, and what they may do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use time::OffsetDateTime;

use crate::config::{RoleArn, Secret, User};
use crate::error::ApiError;
use crate::ids::stable_id;
use crate::policy::{Access, Decision, Document, evaluate};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An IAM user's long-lived key.
    User,
    /// What GetSessionToken gives.
    UserSession,
    /// What AssumeRole gives.
    Role,
    /// What GetFederationToken gives.
    Federated,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::UserSession => "user-session",
            Self::Role => "role-session",
            Self::Federated => "federated-user",
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Principal {
    pub(crate) kind: Kind,
    pub(crate) arn: String,
    pub(crate) user_id: String,
    pub(crate) account: String,
    /// What a role's `trusted` list may call this principal, besides `*`.
    pub(crate) trust_names: Vec<String>,
}

impl Principal {
    pub(crate) fn user(user: &User) -> Self {
        let account = &user.account.0;
        let arn = format!("arn:aws:iam::{account}:user/{}", user.name.0);
        let trust_names = vec![arn.clone(), account.clone(), format!("arn:aws:iam::{account}:root")];
        let user_id = stable_id("AIDA", &arn);
        Self { kind: Kind::User, arn, user_id, account: account.clone(), trust_names }
    }

    pub(crate) fn role_session(role: &RoleArn, session: &str) -> Self {
        let RoleArn { text, partition, account, name } = role;
        let arn = format!("arn:{partition}:sts::{account}:assumed-role/{name}/{session}");
        let root = format!("arn:{partition}:iam::{account}:root");
        let trust_names = vec![text.clone(), arn.clone(), account.clone(), root];
        let user_id = format!("{}:{session}", stable_id("AROA", text));
        Self { kind: Kind::Role, arn, user_id, account: account.clone(), trust_names }
    }

    pub(crate) fn federated(account: &str, name: &str) -> Self {
        let arn = format!("arn:aws:sts::{account}:federated-user/{name}");
        let user_id = format!("{account}:{name}");
        Self { kind: Kind::Federated, arn, user_id, account: account.to_owned(), trust_names: Vec::new() }
    }
}

/// Limits and attributes a session carries from its request on.
#[derive(Debug, Clone, Default)]
pub(crate) struct SessionTerms {
    /// `None` when the session is not narrowed; an empty list allows nothing.
    pub(crate) policies: Option<Vec<Arc<Document>>>,
    pub(crate) policy_text: Option<String>,
    pub(crate) policy_arns: Vec<String>,
    pub(crate) source_identity: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) transitive: BTreeSet<String>,
    /// Whether a second factor was shown for it.
    pub(crate) mfa: bool,
}

/// One access key and everything known of it.
#[derive(Debug, Clone)]
pub(crate) struct Credential {
    pub(crate) access_key_id: String,
    pub(crate) secret: Secret,
    /// `None` for a long-lived key.
    pub(crate) token: Option<Secret>,
    pub(crate) issued: OffsetDateTime,
    pub(crate) expires: Option<OffsetDateTime>,
    pub(crate) principal: Principal,
    /// What the user or role itself may do.
    pub(crate) permissions: Arc<Document>,
    pub(crate) terms: SessionTerms,
}

impl Credential {
    /// Whether role (or user) policy and session policy both allow this access; the error is what the client is told.
    pub(crate) fn authorize(&self, access: Access<'_>) -> Result<(), ApiError> {
        let Access { action, resource, .. } = access;
        let denied = |because: &str| Err(ApiError::not_authorized(&self.principal.arn, action, resource, because));
        let layers = [
            ("identity-based", Some(evaluate([self.permissions.as_ref()], access))),
            ("session", self.terms.policies.as_ref().map(|list| evaluate(list.iter().map(Arc::as_ref), access))),
        ];
        for (layer, decision) in layers {
            let article = if layer == "session" { "a" } else { "an" };
            match decision {
                None | Some(Decision::Allowed) => {}
                Some(Decision::ExplicitDeny) => {
                    return denied(&format!(" with an explicit deny in {article} {layer} policy"));
                }
                Some(Decision::ImplicitDeny) => {
                    return denied(&format!(" because no {layer} policy allows the {action} action"));
                }
                Some(Decision::Unevaluable(reason)) => return denied(&format!(" because {reason} ({layer} policy)")),
            }
        }
        Ok(())
    }
}
