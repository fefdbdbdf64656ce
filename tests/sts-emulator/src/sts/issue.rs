//! Making a session: fresh keys, the expiry told to the client and kept by us, and the XML of both.

use std::sync::Arc;

use time::Duration;

use super::Call;
use super::session_policy::RequestedPolicy;
use super::tags::RequestedTags;
use crate::answer::element;
use crate::clock;
use crate::config::Secret;
use crate::error::ApiError;
use crate::ids::FreshKey;
use crate::policy::{Access, Document};
use crate::principal::{Credential, Principal, SessionTerms};
use crate::state::State;

impl Call<'_> {
    pub(super) fn authorize(&self, action: &str, resource: &str) -> Result<(), ApiError> {
        self.caller.authorize(Access { action, resource, region: self.region, account: &self.caller.principal.account })
    }

    /// Issues a session and returns its `<Credentials>`.
    pub(super) fn issue(
        &self,
        principal: Principal,
        permissions: &Arc<Document>,
        terms: SessionTerms,
        seconds: u32,
    ) -> Result<String, ApiError> {
        issue(self.state, principal, permissions, terms, seconds)
    }
}

/// The same for whoever came without keys.
pub(super) fn issue(
    state: &State,
    principal: Principal,
    permissions: &Arc<Document>,
    terms: SessionTerms,
    seconds: u32,
) -> Result<String, ApiError> {
    let key = FreshKey::generate()
        .map_err(|error| ApiError::new(500, "InternalFailure", format!("no randomness: {error}")))?;
    let issued = state.now();
    // Whole seconds, because that is what the client is told.
    let issued = issued.replace_nanosecond(0).unwrap_or(issued);
    let expires = issued + Duration::seconds(i64::from(state.lifetime(seconds)));
    let xml = [
        element("AccessKeyId", &key.access_key_id),
        element("SecretAccessKey", &key.secret),
        element("SessionToken", &key.token),
        element("Expiration", &clock::extended(expires)),
    ];
    state.add_session(Credential {
        access_key_id: key.access_key_id,
        secret: Secret(key.secret),
        token: Some(Secret(key.token)),
        issued,
        expires: Some(expires),
        principal,
        permissions: Arc::clone(permissions),
        terms,
    });
    Ok(format!("<Credentials>{}</Credentials>", xml.concat()))
}

/// The terms of a session from what was asked for, with its packed size.
pub(super) fn terms(
    policy: RequestedPolicy,
    tags: RequestedTags,
    source_identity: Option<String>,
) -> Result<(SessionTerms, Option<usize>), ApiError> {
    let documents = policy.documents()?;
    let inline = documents.as_ref().and_then(|list| list.first()).filter(|_| policy.text.is_some());
    let packed = policy.packed_size(inline.map(Arc::as_ref), tags.packed_len())?;
    let terms = SessionTerms {
        policies: documents,
        policy_text: policy.text,
        policy_arns: policy.arns,
        source_identity,
        tags: tags.tags,
        transitive: tags.transitive,
        mfa: false,
    };
    Ok((terms, packed))
}

pub(super) fn packed_element(packed: Option<usize>) -> String {
    packed.map_or_else(String::new, |percent| element("PackedPolicySize", &percent.to_string()))
}
