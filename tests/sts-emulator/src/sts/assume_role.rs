//! AssumeRole: parameters first, then who may, then for how long, then with which terms.

use super::Call;
use super::issue::{packed_element, terms};
use super::session_policy::RequestedPolicy;
use super::tags::RequestedTags;
use super::tokens::second_factor;
use super::validate::Constraints;
use crate::answer::{Answer, STS, element};
use crate::config::{Role, is_name_character};
use crate::error::ApiError;
use crate::principal::{Kind, Principal};

const ACTION: &str = "sts:AssumeRole";
const DEFAULT_DURATION: u32 = 3600;
/// AWS's limit whatever the role says.
const MAX_DURATION: u32 = 43_200;
/// AWS's limit when the caller is itself a role session.
const MAX_CHAINED_DURATION: u32 = 3600;

struct Request<'a> {
    role_arn: &'a str,
    session_name: &'a str,
    seconds: Option<u32>,
    external_id: Option<&'a str>,
    source_identity: Option<&'a str>,
    policy: RequestedPolicy,
    tags: RequestedTags,
    mfa: bool,
}

pub(super) fn assume_role(call: &Call<'_>) -> Result<Answer, ApiError> {
    let request = read(call)?;
    let role = check_trust(call, &request)?;
    let source_identity = check_source_identity(call, role, request.source_identity)?;
    let tags = request.tags.with_inherited(&call.caller.terms)?;
    tags.authorize(call, request.role_arn, role.allow_tags)?;
    let seconds = check_duration(call, role, request.seconds)?;
    let (terms, packed) = terms(request.policy, tags, source_identity.clone())?;

    let principal = Principal::role_session(&role.arn, request.session_name);
    let user = [element("AssumedRoleId", &principal.user_id), element("Arn", &principal.arn)].concat();
    let credentials = call.issue(principal, &role.policy.0, terms, seconds)?;
    let source_identity = source_identity.map_or_else(String::new, |text| element("SourceIdentity", &text));
    let packed = packed_element(packed);
    let result = format!("<AssumedRoleUser>{user}</AssumedRoleUser>{credentials}{source_identity}{packed}");
    Ok(STS.result("AssumeRole", &result))
}

fn read<'a>(call: &Call<'a>) -> Result<Request<'a>, ApiError> {
    let params = call.params;
    let mut constraints = Constraints::default();
    let role_arn = constraints.required(params, "RoleArn");
    if params.get("RoleArn").is_some() {
        constraints.length(role_arn, "roleArn", 20, 2048);
    }
    let session_name = constraints.required(params, "RoleSessionName");
    if params.get("RoleSessionName").is_some() {
        constraints.name(session_name, "roleSessionName", 64);
    }
    let seconds = constraints.duration(params, call.state.minimum_duration(), MAX_DURATION);
    let external_id = params.get("ExternalId");
    if let Some(text) = external_id {
        constraints.length(text, "externalId", 2, 1224);
        let allowed = |byte: u8| is_name_character(byte) || b":/".contains(&byte);
        constraints.pattern(text, "externalId", r"[\w+=,.@:\/-]*", allowed);
    }
    // No colon is allowed, so this also keeps `aws:` names out.
    let source_identity = params.get("SourceIdentity");
    if let Some(text) = source_identity {
        constraints.name(text, "sourceIdentity", 64);
    }
    let policy = RequestedPolicy::read(params, &mut constraints)?;
    let tags = RequestedTags::read(params, &mut constraints)?;
    constraints.finish()?;
    if !role_arn.starts_with("arn:") {
        return Err(ApiError::validation(format!("{role_arn} is invalid")));
    }
    let mfa = second_factor(call)? || call.caller.terms.mfa;
    Ok(Request { role_arn, session_name, seconds, external_id, source_identity, policy, tags, mfa })
}

/// A role that is not there, does not trust the caller, or wants another ExternalId: one answer for all three.
fn check_trust<'a>(call: &Call<'a>, request: &Request<'_>) -> Result<&'a Role, ApiError> {
    call.authorize(ACTION, request.role_arn)?;
    let caller = &call.caller.principal;
    let trusts = |role: &&Role| {
        let named = |trusted: &str| trusted == "*" || caller.trust_names.iter().any(|name| name == trusted);
        let external = role.external_id.is_none() || role.external_id.as_deref() == request.external_id;
        caller.kind != Kind::Federated
            && external
            && (request.mfa || !role.require_mfa)
            && role.trusted.iter().any(|trusted| named(&trusted.0))
    };
    let denied = || ApiError::not_authorized(&caller.arn, ACTION, request.role_arn, "");
    call.state.role(request.role_arn).filter(trusts).ok_or_else(denied)
}

/// The source identity of the new session. Once set it stays: a chain can neither change nor lose it.
fn check_source_identity(call: &Call<'_>, role: &Role, asked: Option<&str>) -> Result<Option<String>, ApiError> {
    const SET: &str = "sts:SetSourceIdentity";
    let inherited = call.caller.terms.source_identity.as_deref();
    let Some(value) = inherited.or(asked) else {
        return Ok(None);
    };
    call.authorize(SET, &role.arn.text)?;
    let changed = asked.is_some_and(|asked| asked != value);
    if changed || !role.allow_source_identity {
        return Err(ApiError::not_authorized(&call.caller.principal.arn, SET, &role.arn.text, ""));
    }
    Ok(Some(value.to_owned()))
}

fn check_duration(call: &Call<'_>, role: &Role, asked: Option<u32>) -> Result<u32, ApiError> {
    let chained = call.caller.principal.kind == Kind::Role;
    let Some(seconds) = asked else {
        return Ok(DEFAULT_DURATION.min(role.max_session_duration));
    };
    if chained && seconds > MAX_CHAINED_DURATION {
        return Err(ApiError::validation(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        ));
    }
    if seconds > role.max_session_duration {
        return Err(ApiError::validation(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        ));
    }
    Ok(seconds)
}
