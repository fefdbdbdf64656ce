//! An HTTP client that reads no more of an answer than an answer can be: whoever answers must not decide how much memory
//! is taken.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::Limited;

/// The longest answer, in bytes. Those of STS and of the portals for signing in are a few thousand.
const MOST: usize = 1024 * 1024;

/// The same client, bounded.
pub(super) fn bounded(client: SharedHttpClient) -> SharedHttpClient {
    SharedHttpClient::new(Bounded(client))
}

#[derive(Debug)]
struct Bounded<T>(T);

impl HttpClient for Bounded<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, parts: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Bounded(self.0.http_connector(settings, parts)))
    }
}

impl HttpConnector for Bounded<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let answer = self.0.call(request);
        HttpConnectorFuture::new(async move {
            Ok(answer.await?.map(|body| SdkBody::from_body_1_x(Limited::new(body, MOST))))
        })
    }
}
