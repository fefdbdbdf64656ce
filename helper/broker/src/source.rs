//! The credentials that mint: from the file the supervisor opened, or from the caller's own AWS configuration.

mod bounded;
mod files;
mod machine;
mod own;
mod printed;
mod process;
mod profile_file;
mod sso;

use std::os::fd::OwnedFd;

use agent_aws_protocol::SourceCredentials;
use aws_credential_types::Credentials;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use zeroize::Zeroizing;

use crate::cause::Cause;

pub(crate) use own::Place;

use own::OwnProfile;

/// Signs the calls of an identity without a region.
pub(crate) const DEFAULT_REGION: &str = "us-east-1";

/// Something that gives credentials when a mint begins.
#[derive(Debug)]
pub(crate) enum Source {
    /// Read already, for this mint; and the roles that lead to what the source is.
    Read(Credentials, Vec<Role>),
    /// A token that was read already, and the role that is assumed with it.
    WebIdentity { role: String, token: Zeroizing<String> },
    /// The command of the admin's that prints them.
    Process(Vec<String>),
    /// The machine's own, which it is asked for.
    Instance(SharedHttpClient),
    /// A container's own, and what the endpoint wants to be shown.
    Container { uri: String, token: Option<Zeroizing<String>> },
    /// To be resolved now, which may start programs and talk to the network.
    Own(OwnProfile),
}

/// What a source gives.
#[derive(Debug)]
pub(crate) struct Resolved {
    /// To sign with.
    pub(crate) base: Base,
    /// Where STS is, for an own source; for a system source only the supervisor says it.
    pub(crate) place: Place,
    /// What they are there to assume before anything else, the first one first.
    pub(crate) through: Vec<Role>,
    /// What they are there to assume, where the source says so.
    pub(crate) role: Option<Role>,
    /// What must be shown besides.
    pub(crate) factor: Option<Factor>,
    /// What a person should know about it.
    pub(crate) note: Option<String>,
}

/// What the first call of STS is made with.
#[derive(Debug)]
pub(crate) enum Base {
    /// Signed.
    Keys(Credentials),
    /// With a token, as a role.
    Token { role: String, token: Zeroizing<String> },
}

impl From<Base> for Resolved {
    fn from(base: Base) -> Self {
        Self { base, place: Place::default(), through: vec![], role: None, factor: None, note: None }
    }
}

/// A second factor.
#[derive(Debug)]
pub(crate) struct Factor {
    /// `SerialNumber` of the device.
    pub(crate) serial: String,
    /// A program that prints a code, as a shell takes it.
    pub(crate) process: Option<String>,
}

/// A role to assume.
#[derive(Debug, Clone)]
pub(crate) struct Role {
    pub(crate) arn: String,
    pub(crate) external_id: Option<String>,
    /// `RoleSessionName`, where the source has one.
    pub(crate) session_name: Option<String>,
    /// `DurationSeconds`, where the source says it.
    pub(crate) duration: Option<u32>,
}

impl Source {
    /// The credentials of this moment.
    pub(crate) async fn resolve(&self) -> Result<Resolved, Cause> {
        let keys = match self {
            Self::Own(own) => return own.resolve().await,
            Self::WebIdentity { role, token } => {
                return Ok(Base::Token { role: role.clone(), token: token.clone() }.into());
            }
            Self::Read(credentials, through) => {
                return Ok(Resolved { through: through.clone(), ..Base::Keys(credentials.clone()).into() });
            }
            Self::Process(command) => process::credentials(command).await?,
            Self::Instance(http) => machine::instance(http).await?,
            Self::Container { uri, token } => machine::container(uri, token.as_ref().map(|t| t.as_str())).await?,
        };
        Ok(Base::Keys(keys).into())
    }

    /// The AWS profile, where it is the caller's.
    pub(crate) fn own_profile(&self) -> Option<&str> {
        match self {
            Self::Own(own) => Some(own.name()),
            _ => None,
        }
    }
}

/// Makes a [`Source`] for each mint.
#[derive(Debug)]
pub(crate) struct SourceReader {
    credentials: SourceCredentials,
    region: Option<String>,
    http: SharedHttpClient,
}

impl SourceReader {
    /// `endpoint` is where STS is, if not at its own place.
    pub(crate) fn new(credentials: &SourceCredentials, region: Option<&str>, endpoint: Option<&str>) -> Self {
        let own = matches!(credentials, SourceCredentials::Own { .. });
        let plain = !own && endpoint.is_some_and(|url| url.starts_with("http:"));
        Self { credentials: credentials.clone(), region: region.map(Into::into), http: http_client(own, plain) }
    }

    /// The client with which STS is called.
    pub(crate) fn http_client(&self) -> SharedHttpClient {
        self.http.clone()
    }

    /// The source, given the descriptor that came from the supervisor.
    pub(crate) fn take(&self, file: Option<OwnedFd>) -> Result<Source, Cause> {
        let needed = || Cause::denied("the supervisor did not hand over the source's file");
        match &self.credentials {
            SourceCredentials::ProfileFile { profile } => {
                let (credentials, through) = profile_file::read(&file.ok_or_else(needed)?, profile)?;
                Ok(Source::Read(credentials, through))
            }
            SourceCredentials::WebIdentity { role } => {
                Ok(Source::WebIdentity { role: role.clone(), token: token(&file.ok_or_else(needed)?)? })
            }
            SourceCredentials::Container { uri } => {
                Ok(Source::Container { uri: uri.clone(), token: file.as_ref().map(token).transpose()? })
            }
            SourceCredentials::Process { command } => Ok(Source::Process(command.clone())),
            SourceCredentials::Instance => Ok(Source::Instance(self.http.clone())),
            SourceCredentials::Own { profile } => {
                Ok(Source::Own(OwnProfile::new(profile, self.region.as_deref(), &self.http)))
            }
        }
    }
}

/// A token, which is one word.
fn token(file: &OwnedFd) -> Result<Zeroizing<String>, Cause> {
    let text = profile_file::contents(file)?;
    let word = text.trim();
    match !word.is_empty() && word.chars().all(|c| c.is_ascii_graphic()) {
        true => Ok(Zeroizing::new(word.to_owned())),
        false => Err(Cause::denied("the source's file holds no token")),
    }
}

/// TLS with ring. Only the caller's own source follows proxy variables: for a system source nothing in the
/// environment may decide where the call goes. Where the one endpoint is `plain` http, no certificate is read.
fn http_client(own: bool, plain: bool) -> SharedHttpClient {
    bounded::bounded(Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder();
        builder.set_connector_settings(settings.cloned());
        if let Some(sleep) = components.and_then(|c| c.sleep_impl()) {
            builder.set_sleep_impl(Some(sleep));
        }
        let proxy = if own { ProxyConfig::from_env() } else { ProxyConfig::disabled() };
        let builder = builder.proxy_config(proxy).tls_provider(Provider::Rustls(CryptoMode::Ring));
        match TlsContext::builder().with_trust_store(TrustStore::empty()).build() {
            Ok(nobody) if plain => builder.tls_context(nobody).build(),
            _ => builder.build(),
        }
    }))
}
