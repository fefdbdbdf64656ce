//! Four calls of STS. Region and endpoint come from the supervisor, and where it is silent from the caller's own source.

use std::time::Duration;

use agent_aws_protocol::Minting;
use agent_aws_session_policy::{Compiled, spelt};
use aws_credential_types::Credentials;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_sts::types::{PolicyDescriptorType, Tag};
use aws_sdk_sts::{Client, Config};
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use crate::cause::Cause;
use crate::source::{DEFAULT_REGION, Place, Role};

/// One call with its retries.
const OPERATION: Duration = Duration::from_secs(10);
/// One attempt.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A policy that is too large when it is packed: what takes the space is known here only.
fn explained(mut cause: Cause, narrowing: &Compiled) -> Cause {
    if cause.text.contains("PackedPolicyTooLarge") && !narrowing.takes.is_empty() {
        cause.text += &format!("; in characters, it is made of {}", spelt(&narrowing.takes));
    }
    cause
}

/// A session that only assumes another role, in seconds: the shortest there is.
const SHORTEST: i32 = 900;

/// STS, with the credentials of one mint.
#[derive(Debug)]
pub(super) struct Sts {
    client: Client,
    endpoint: String,
}

/// What STS issued.
#[derive(Debug, Clone)]
pub(super) struct Issued {
    pub(super) credentials: Credentials,
    pub(super) expires: u64,
    pub(super) account: String,
    pub(super) arn: String,
    /// How much of what STS packs policies and tags into was taken, in percent, where there was something to pack.
    pub(super) packed: Option<u32>,
}

/// Who the source is.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) account: String,
    pub(super) arn: String,
}

impl Caller {
    fn of(arn: String) -> Self {
        Self { account: arn.split(':').nth(4).unwrap_or_default().to_owned(), arn }
    }
}

impl Sts {
    /// Without credentials, calls that need none can be made.
    pub(super) fn new(
        minting: &Minting,
        place: Place,
        credentials: Option<Credentials>,
        http: &SharedHttpClient,
    ) -> Self {
        let region = minting.region.clone().or(place.region).unwrap_or_else(|| DEFAULT_REGION.into());
        let endpoint = minting.sts_endpoint.clone().or(place.endpoint);
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(OPERATION)
            .operation_attempt_timeout(ATTEMPT)
            .connect_timeout(ATTEMPT / 2)
            .build();
        let mut config = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(region.clone()))
            .http_client(http.clone())
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        if let Some(credentials) = credentials {
            config = config.credentials_provider(credentials);
        }
        config.set_use_fips(minting.fips.then_some(true));
        config.set_use_dual_stack(minting.dual_stack.then_some(true));
        config.set_endpoint_url(endpoint.clone());
        Self {
            client: Client::from_conf(config.build()),
            endpoint: endpoint.unwrap_or_else(|| format!("STS in {region}")),
        }
    }

    pub(super) async fn assume_role(
        &self,
        minting: &Minting,
        narrowing: &Compiled,
        role: &Role,
        duration: u32,
    ) -> Result<Issued, Cause> {
        let operation = format!("AssumeRole {}", role.arn);
        let answer = self
            .client
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(role.session_name.as_ref().unwrap_or(&minting.session_name))
            .duration_seconds(signed(duration)?)
            .set_external_id(role.external_id.clone())
            .set_source_identity(minting.source_identity.clone())
            .set_tags(tags(&minting.tags)?)
            .set_policy(narrowing.policy_json.clone())
            .set_policy_arns(arns(&narrowing.policy_arns))
            .send()
            .await
            .map_err(|e| explained(Cause::sts(&operation, &self.endpoint, &e), narrowing))?;
        let arn = answer.assumed_role_user().map(|u| u.arn().to_owned());
        let arn = arn.ok_or_else(|| incomplete(&operation))?;
        // The newer answer has the one, an older one the other.
        #[allow(deprecated)]
        let packed = answer.session_token_utilization().or_else(|| answer.packed_policy_size());
        let packed = packed.and_then(|percent| u32::try_from(percent).ok());
        issued(&operation, answer.credentials(), Caller::of(arn)).map(|issued| Issued { packed, ..issued })
    }

    /// A role on the way to another one: as it is, for as short as it goes.
    pub(super) async fn step(&self, session_name: &str, role: &Role) -> Result<Issued, Cause> {
        let operation = format!("AssumeRole {}", role.arn);
        let call = self.client.assume_role().role_arn(&role.arn).role_session_name(session_name);
        let call = call.duration_seconds(SHORTEST).set_external_id(role.external_id.clone());
        let answer = call.send().await.map_err(|e| Cause::sts(&operation, &self.endpoint, &e))?;
        issued(&operation, answer.credentials(), Caller::of(role.arn.clone()))
    }

    /// The same with a token.
    pub(super) async fn with_web_identity(&self, session_name: &str, role: &str, token: &str) -> Result<Issued, Cause> {
        let operation = format!("AssumeRoleWithWebIdentity {role}");
        let call = self.client.assume_role_with_web_identity().role_arn(role).role_session_name(session_name);
        let call = call.web_identity_token(token).duration_seconds(SHORTEST);
        let answer = call.send().await.map_err(|e| Cause::sts(&operation, &self.endpoint, &e))?;
        issued(&operation, answer.credentials(), Caller::of(role.to_owned()))
    }

    /// With the serial number and a code of a second factor, where there is one.
    pub(super) async fn session_token(
        &self,
        duration: u32,
        caller: Caller,
        factor: Option<(&str, &str)>,
    ) -> Result<Issued, Cause> {
        let operation = "GetSessionToken";
        let answer = self
            .client
            .get_session_token()
            .duration_seconds(signed(duration)?)
            .set_serial_number(factor.map(|(serial, _)| serial.to_owned()))
            .set_token_code(factor.map(|(_, code)| code.to_owned()))
            .send()
            .await
            .map_err(|e| Cause::sts(operation, &self.endpoint, &e))?;
        issued(operation, answer.credentials(), caller)
    }

    /// A session of a user's keys that is less than the user.
    pub(super) async fn federation_token(
        &self,
        minting: &Minting,
        narrowing: &Compiled,
        duration: u32,
    ) -> Result<Issued, Cause> {
        let operation = "GetFederationToken";
        let answer = self
            .client
            .get_federation_token()
            .name(federated(&minting.session_name))
            .duration_seconds(signed(duration)?)
            .set_policy(narrowing.policy_json.clone())
            .set_policy_arns(arns(&narrowing.policy_arns))
            .send()
            .await
            .map_err(|e| Cause::sts(operation, &self.endpoint, &e))?;
        let arn = answer.federated_user().map(|user| user.arn().to_owned()).ok_or_else(|| incomplete(operation))?;
        issued(operation, answer.credentials(), Caller::of(arn))
    }

    pub(super) async fn caller_identity(&self) -> Result<Caller, Cause> {
        let operation = "GetCallerIdentity";
        let answer =
            self.client.get_caller_identity().send().await.map_err(|e| Cause::sts(operation, &self.endpoint, &e))?;
        match (answer.account(), answer.arn()) {
            (Some(account), Some(arn)) => Ok(Caller { account: account.into(), arn: arn.into() }),
            _ => Err(incomplete(operation)),
        }
    }
}

fn issued(
    operation: &str,
    credentials: Option<&aws_sdk_sts::types::Credentials>,
    caller: Caller,
) -> Result<Issued, Cause> {
    let got = credentials.ok_or_else(|| incomplete(operation))?;
    let token = Some(got.session_token().to_owned());
    Ok(Issued {
        credentials: Credentials::new(got.access_key_id(), got.secret_access_key(), token, None, "Sts"),
        expires: u64::try_from(got.expiration().secs()).unwrap_or(0),
        account: caller.account,
        arn: caller.arn,
        packed: None,
    })
}

/// A federated user's name has 32 characters at most: as much of the login name as the session id leaves.
fn federated(session_name: &str) -> String {
    let (login, session) = session_name.rsplit_once('-').unwrap_or(("", session_name));
    let room = 32_usize.saturating_sub(session.len() + 1);
    login.chars().take(room).chain(['-']).chain(session.chars()).take(32).collect()
}

fn incomplete(operation: &str) -> Cause {
    Cause::passing(format!("{operation}: no usable answer: it is incomplete"))
}

fn signed(duration: u32) -> Result<i32, Cause> {
    i32::try_from(duration).map_err(|_| Cause::last(format!("a duration of {duration} s is out of range")))
}

fn tags(pairs: &[(String, String)]) -> Result<Option<Vec<Tag>>, Cause> {
    let tags: Result<Vec<_>, _> =
        pairs.iter().map(|(key, value)| Tag::builder().key(key).value(value).build()).collect();
    let tags = tags.map_err(|e| Cause::last(format!("a session tag is unusable: {e}")))?;
    Ok((!tags.is_empty()).then_some(tags))
}

fn arns(arns: &[String]) -> Option<Vec<PolicyDescriptorType>> {
    let list: Vec<_> = arns.iter().map(|arn| PolicyDescriptorType::builder().arn(arn).build()).collect();
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::federated;

    #[test]
    fn a_federated_user_is_named_after_login_and_session() {
        assert_eq!(federated("alice-0011223344556677"), "alice-0011223344556677");
        let long = federated(&format!("{}-0011223344556677", "x".repeat(47)));
        assert_eq!((long.len(), long.as_str()), (32, "xxxxxxxxxxxxxxx-0011223344556677"));
    }
}
