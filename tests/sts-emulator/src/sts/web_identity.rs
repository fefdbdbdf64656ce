//! AssumeRoleWithWebIdentity: whoever has a token of the role's gets in, without keys.

use super::issue::{issue, packed_element, terms};
use super::session_policy::RequestedPolicy;
use super::tags::RequestedTags;
use super::validate::Constraints;
use crate::answer::{Answer, STS, element};
use crate::error::ApiError;
use crate::params::Params;
use crate::principal::Principal;
use crate::state::State;

const DEFAULT_DURATION: u32 = 3600;
const MAX_DURATION: u32 = 43_200;

/// Not signed: the token is all there is.
pub(crate) fn with_web_identity(state: &State, params: &Params) -> Result<Answer, ApiError> {
    let mut constraints = Constraints::default();
    let role_arn = constraints.required(params, "RoleArn");
    let session_name = constraints.required(params, "RoleSessionName");
    let token = constraints.required(params, "WebIdentityToken");
    constraints.name(session_name, "roleSessionName", 64);
    let seconds = constraints.duration(params, state.minimum_duration(), MAX_DURATION);
    let policy = RequestedPolicy::read(params, &mut constraints)?;
    let tags = RequestedTags::read(params, &mut constraints)?;
    constraints.finish()?;
    let refused = || ApiError::access_denied("Not authorized to perform sts:AssumeRoleWithWebIdentity");
    let role = state.role(role_arn).ok_or_else(refused)?;
    if !role.web_identity_tokens.iter().any(|known| known.0 == token) {
        return Err(ApiError::new(400, "InvalidIdentityToken", "No OpenIDConnect provider found in your account"));
    }
    let (terms, packed) = terms(policy, tags, None)?;
    let principal = Principal::role_session(&role.arn, session_name);
    let user = [element("AssumedRoleId", &principal.user_id), element("Arn", &principal.arn)].concat();
    let credentials = issue(state, principal, &role.policy.0, terms, seconds.unwrap_or(DEFAULT_DURATION))?;
    let packed = packed_element(packed);
    let result = format!("<AssumedRoleUser>{user}</AssumedRoleUser>{credentials}{packed}");
    Ok(STS.result("AssumeRoleWithWebIdentity", &result))
}
