//! The caller's own AWS profile: SSO, `aws login`, credential_process, role chains, keys.

use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_types::region::Region;

use crate::cause::Cause;

/// A credential_process may ask somebody; it may not ask for ever.
const LONGEST: Duration = Duration::from_secs(60);

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
    /// metadata, which are other identities.
    pub(crate) async fn resolve(&self) -> Result<Credentials, Cause> {
        let region = self.region.clone().unwrap_or_else(|| super::DEFAULT_REGION.into());
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
