//! The caller's own AWS profile: SSO, `aws login`, credential_process, role chains, keys.

use std::path::Path;
use std::time::Duration;

use aws_config::profile::{ProfileFileCredentialsProvider, ProfileSet};
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::region::Region;

use super::{Base, Factor, Resolved, Role, sso};
use crate::cause::Cause;
use crate::clock::rfc3339;

/// A credential_process may ask somebody; it may not ask for ever. A start may take half a minute in all: that it was this
/// that took too long must be said before.
const LONGEST: Duration = Duration::from_secs(25);
/// Variables of the region, the strongest first.
const REGIONS: [&str; 2] = ["AWS_REGION", "AWS_DEFAULT_REGION"];
/// Variables of the endpoint of STS, the strongest first.
const ENDPOINTS: [&str; 2] = ["AWS_ENDPOINT_URL_STS", "AWS_ENDPOINT_URL"];

/// Where the caller reaches STS.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
}

/// A named AWS profile, resolved by the SDK.
#[derive(Debug)]
pub(crate) struct OwnProfile {
    name: String,
    region: Option<String>,
    http: SharedHttpClient,
}

impl OwnProfile {
    pub(crate) fn new(name: &str, region: Option<&str>, http: &SharedHttpClient) -> Self {
        Self { name: name.into(), region: region.map(Into::into), http: http.clone() }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// This profile and no other place: the SDK's usual chain would go on to the environment and to instance
    /// metadata, which are other identities. A role of the profile's is not assumed here, but named: whoever assumes it can
    /// narrow it.
    pub(crate) async fn resolve(&self) -> Result<Resolved, Cause> {
        let (env, name) = (Env::real(), self.name.clone().into());
        super::files::check(&env)?;
        let profiles = aws_config::profile::load(&Fs::real(), &env, &EnvConfigFiles::default(), Some(name)).await.ok();
        let text = |key: &str| profiles.as_ref()?.get(key).map(str::to_owned);
        let place = self.place(&env, text);
        let factor = text("mfa_serial").map(|serial| Factor { serial, process: text("mfa_process") });
        let (role, base) = match chain(&self.name, text) {
            Some((role, base)) => (Some(role), base),
            None => (None, Given::Profile(self.name.clone())),
        };
        let credentials = match base {
            Given::Keys(credentials) => credentials,
            Given::Profile(name) => self.credentials_of(&name, place.region.clone()).await?,
        };
        let note = profiles.as_ref().and_then(|all| self.sign_in(all, &env, role.is_some()));
        // A session was signed in to already.
        let factor = factor.filter(|_| credentials.session_token().is_none());
        Ok(Resolved { place, role, factor, note, ..Base::Keys(credentials).into() })
    }

    /// When a sign-in that this begins with will be over, where that is known.
    fn sign_in(&self, all: &ProfileSet, env: &Env, has_role: bool) -> Option<String> {
        let source = all.get("source_profile").filter(|_| has_role).unwrap_or(&self.name);
        let profile = all.get_profile(source)?;
        let end = sso::end(Path::new(&env.get("HOME").ok()?), |key| profile.get(key).map(str::to_owned))?;
        let end = rfc3339(end);
        Some(format!(
            "the sign-in of AWS profile '{source}' ends at {end}; to go on after that: aws sso login --profile {source}"
        ))
    }

    /// What the caller's environment says, else the AWS profile: as any SDK of theirs would have it.
    fn place(&self, env: &Env, text: impl Fn(&str) -> Option<String>) -> Place {
        let of_env = |names: &[&str]| names.iter().find_map(|name| env.get(name).ok().filter(|v| !v.is_empty()));
        Place {
            region: self.region.clone().or_else(|| of_env(&REGIONS)).or_else(|| text("region")),
            endpoint: of_env(&ENDPOINTS).or_else(|| text("endpoint_url")),
        }
    }

    async fn credentials_of(&self, profile: &str, region: Option<String>) -> Result<Credentials, Cause> {
        let region = region.unwrap_or_else(|| super::DEFAULT_REGION.into());
        let config = ProviderConfig::empty()
            .with_region(Some(Region::new(region)))
            .with_behavior_version(Some(aws_config::BehaviorVersion::latest()))
            .with_sleep_impl(TokioSleep::new())
            .with_http_client(self.http.clone());
        let provider = ProfileFileCredentialsProvider::builder().configure(&config).profile_name(profile).build();
        match tokio::time::timeout(LONGEST, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(e)) => Err(Cause::own(profile, &e)),
            Err(_) => Err(Cause::passing(format!(
                "AWS profile '{profile}' gave no credentials within {} s",
                LONGEST.as_secs()
            ))),
        }
    }
}

/// What a role is assumed with.
#[derive(Debug, PartialEq)]
enum Given {
    /// Keys of the same profile.
    Keys(Credentials),
    /// Another profile's credentials.
    Profile(String),
}

/// The role of the profile, if it has one and says whose credentials assume it. What else there is to roles (a web identity,
/// instance metadata) is the SDK's.
fn chain(name: &str, text: impl Fn(&str) -> Option<String>) -> Option<(Role, Given)> {
    let (arn, source) = (text("role_arn")?, text("source_profile")?);
    if text("web_identity_token_file").is_some() {
        return None;
    }
    // A profile that names itself means its own keys.
    let base = match source == name {
        true => {
            let (id, secret) = (text("aws_access_key_id")?, text("aws_secret_access_key")?);
            Given::Keys(Credentials::new(id, secret, text("aws_session_token"), None, "Profile"))
        }
        false => Given::Profile(source),
    };
    let duration = text("duration_seconds").and_then(|seconds| seconds.parse().ok());
    let (external_id, session_name) = (text("external_id"), text("role_session_name"));
    Some((Role { arn, external_id, session_name, duration }, base))
}
