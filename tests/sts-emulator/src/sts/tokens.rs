//! GetSessionToken and GetFederationToken.

use super::issue::{packed_element, terms};
use super::session_policy::RequestedPolicy;
use super::tags::RequestedTags;
use super::validate::Constraints;
use super::{Call, need_long_lived_key};
use crate::answer::{Answer, STS, element};
use crate::error::ApiError;
use crate::principal::{Kind, Principal, SessionTerms};

const MAX_DURATION: u32 = 129_600;
const DEFAULT_DURATION: u32 = 43_200;

pub(super) fn get_session_token(call: &Call<'_>) -> Result<Answer, ApiError> {
    need_long_lived_key(call, "GetSessionToken")?;
    let mut constraints = Constraints::default();
    let seconds = constraints.duration(call.params, call.state.minimum_duration(), MAX_DURATION);
    constraints.finish()?;
    let terms = SessionTerms { mfa: second_factor(call)?, ..SessionTerms::default() };
    let principal = Principal { kind: Kind::UserSession, ..call.caller.principal.clone() };
    let seconds = seconds.unwrap_or(DEFAULT_DURATION);
    let credentials = call.issue(principal, &call.caller.permissions, terms, seconds)?;
    Ok(STS.result("GetSessionToken", &credentials))
}

pub(super) fn get_federation_token(call: &Call<'_>) -> Result<Answer, ApiError> {
    need_long_lived_key(call, "GetFederationToken")?;
    let mut constraints = Constraints::default();
    let name = constraints.required(call.params, "Name");
    if call.params.get("Name").is_some() {
        constraints.name(name, "name", 32);
    }
    let seconds = constraints.duration(call.params, call.state.minimum_duration(), MAX_DURATION);
    let policy = RequestedPolicy::read(call.params, &mut constraints)?;
    let tags = RequestedTags::read(call.params, &mut constraints)?;
    constraints.finish()?;
    let principal = Principal::federated(&call.caller.principal.account, name);
    call.authorize("sts:GetFederationToken", &principal.arn)?;
    tags.authorize(call, &principal.arn, true)?;
    let (mut terms, packed) = terms(policy, tags, None)?;
    // Without a session policy a federated user may do nothing: narrowed to the empty list.
    terms.policies = Some(terms.policies.unwrap_or_default());
    let user = [element("FederatedUserId", &principal.user_id), element("Arn", &principal.arn)].concat();
    let seconds = seconds.unwrap_or(DEFAULT_DURATION);
    let credentials = call.issue(principal, &call.caller.permissions, terms, seconds)?;
    let result = format!("{credentials}<FederatedUser>{user}</FederatedUser>{}", packed_element(packed));
    Ok(STS.result("GetFederationToken", &result))
}

/// Whether a code came along, which then is the user's, and used up.
pub(super) fn second_factor(call: &Call<'_>) -> Result<bool, ApiError> {
    match (call.params.get("SerialNumber"), call.params.get("TokenCode")) {
        (None, None) => Ok(false),
        (Some(serial), Some(code)) if call.state.take_code(&call.caller.access_key_id, serial, code) => Ok(true),
        _ => Err(ApiError::access_denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")),
    }
}
