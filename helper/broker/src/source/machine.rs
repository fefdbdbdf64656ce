//! What the machine itself is: the role of an EC2 instance, of a container of ECS, of a pod of EKS.

use std::time::Duration;

use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1::handshake;
use hyper::{Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::printed;
use crate::cause::Cause;

/// How long a machine may take to say what it is.
const LONGEST: Duration = Duration::from_secs(8);
/// The longest answer, in bytes.
const MOST: usize = 64 * 1024;

/// Of EC2's metadata service, by a session token (IMDSv2) only.
pub(super) async fn instance(http: &SharedHttpClient) -> Result<Credentials, Cause> {
    let config = ProviderConfig::empty()
        .with_behavior_version(Some(aws_config::BehaviorVersion::latest()))
        .with_sleep_impl(TokioSleep::new())
        .with_http_client(http.clone());
    let client = aws_config::imds::Client::builder().configure(&config).max_attempts(2).build();
    let provider = ImdsCredentialsProvider::builder().configure(&config).imds_client(client).build();
    match tokio::time::timeout(LONGEST, provider.provide_credentials()).await {
        Ok(Ok(credentials)) => Ok(credentials),
        Ok(Err(e)) => Err(Cause::passing(format!("instance role: {}", crate::cause::deepest(&e)))),
        Err(_) => Err(Cause::passing(format!("instance role: no answer within {} s", LONGEST.as_secs()))),
    }
}

/// Of the endpoint of ECS or EKS. `token` is what it wants to be shown.
pub(super) async fn container(uri: &str, token: Option<&str>) -> Result<Credentials, Cause> {
    match tokio::time::timeout(LONGEST, get(uri, token)).await {
        Ok(Ok(text)) => printed::read(text, "Container")
            .map_err(|what| Cause::denied(format!("container-credentials: {uri} answered {what}"))),
        Ok(Err(Fault::Refused(status))) => {
            Err(Cause::denied(format!("container-credentials: {uri}: status {status}: is its token the right one?")))
        }
        Ok(Err(Fault::Passing(what))) => Err(Cause::passing(format!("container-credentials: {uri}: {what}"))),
        Err(_) => {
            Err(Cause::passing(format!("container-credentials: {uri}: no answer within {} s", LONGEST.as_secs())))
        }
    }
}

/// Why there is no answer.
enum Fault {
    /// It does not want to give one.
    Refused(StatusCode),
    /// It may give one later.
    Passing(String),
}

impl From<&str> for Fault {
    fn from(what: &str) -> Self {
        Self::Passing(what.to_owned())
    }
}

async fn get(uri: &str, token: Option<&str>) -> Result<Vec<u8>, Fault> {
    let passing = |e: &dyn std::fmt::Display| Fault::Passing(e.to_string());
    let uri: Uri = uri.parse().map_err(|_| "no address")?;
    let authority = uri.authority().ok_or("no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await.map_err(|e| passing(&e))?;
    let (mut sender, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| passing(&e))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request =
        Request::get(path).header(header::HOST, authority.as_str()).header(header::ACCEPT, "application/json");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, token);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|_| "its token is no header")?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|e| passing(&e))?;
        let status = answer.status();
        if !status.is_success() {
            let again = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
            return Err(if again { passing(&format_args!("status {status}")) } else { Fault::Refused(status) });
        }
        let body = Limited::new(answer.into_body(), MOST).collect().await.map_err(|e| passing(&e))?;
        Ok(body.to_bytes().to_vec())
    };
    tokio::select! {
        // Its end is said by the answer.
        _ = async { let _ = connection.await; std::future::pending::<()>().await } => Err("".into()),
        answer = answer => answer,
    }
}
