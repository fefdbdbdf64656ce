//! The caller's own AWS profile: SSO, `aws login`, credential_process, role chains, keys.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_runtime::env_config::file::EnvConfigFiles;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::os_shim_internal::{Env, Fs};
use aws_types::region::Region;

use crate::cause::Cause;

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

    /// What the caller's environment says, else the AWS profile: as any SDK of theirs would have it.
    pub(crate) async fn place(&self) -> Place {
        let (files, env) = (Fs::real(), Env::real());
        let name = self.name.clone().into();
        let profiles = aws_config::profile::load(&files, &env, &EnvConfigFiles::default(), Some(name)).await.ok();
        let of_profile = |key: &str| profiles.as_ref()?.get(key).map(str::to_owned);
        let of_env = |names: &[&str]| names.iter().find_map(|name| env.get(name).ok().filter(|v| !v.is_empty()));
        Place {
            region: self.region.clone().or_else(|| of_env(&REGIONS)).or_else(|| of_profile("region")),
            endpoint: of_env(&ENDPOINTS).or_else(|| of_profile("endpoint_url")),
        }
    }

    /// This profile and no other place: the SDK's usual chain would go on to the environment and to instance
    /// metadata, which are other identities.
    pub(crate) async fn resolve(&self) -> Result<Credentials, Cause> {
        let region = self.place().await.region.unwrap_or_else(|| super::DEFAULT_REGION.into());
        let config = ProviderConfig::empty()
            .with_region(Some(Region::new(region)))
            .with_behavior_version(Some(aws_config::BehaviorVersion::latest()))
            .with_sleep_impl(TokioSleep::new())
            .with_http_client(self.http.clone());
        let provider =
            ProfileFileCredentialsProvider::builder().configure(&config).profile_name(self.name.as_str()).build();
        match tokio::time::timeout(LONGEST, provider.provide_credentials()).await {
            Ok(Ok(credentials)) => Ok(credentials),
            Ok(Err(e)) => Err(Cause::own(&self.name, &e)),
            Err(_) => Err(Cause::passing(format!(
                "AWS profile '{}' gave no credentials within {} s",
                self.name,
                LONGEST.as_secs()
            ))),
        }
    }
}
