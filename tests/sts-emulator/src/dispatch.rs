//! One request, from the signature to the answer and the record of it.

use std::sync::Arc;

use subtle::ConstantTimeEq as _;

use crate::answer::{Answer, Protocol, STS};
use crate::clock;
use crate::error::ApiError;
use crate::faults::Strike;
use crate::params::Params;
use crate::policy::Access;
use crate::principal::{Credential, Kind};
use crate::services::{self, Operation};
use crate::sigv4::{self, Claim, SignedRequest};
use crate::state::{RecordedRequest, State};
use crate::sts::{self, Call};

/// Recorded parameter values are cut here, so that the record stays bounded.
const RECORDED_VALUE: usize = 8192;
const RECORDED_PARAMETERS: usize = 500;

/// Answers a request honestly and records it.
pub(crate) fn handle(state: &State, request: &SignedRequest<'_>) -> Answer {
    let (mut record, protocol) = describe(state, request);
    let result = answer(state, request, protocol, &mut record);
    let answer = match &result {
        Ok(answer) => answer.clone(),
        Err(error) => protocol.error(error),
    };
    record.status = answer.status;
    match result {
        Ok(_) => record.verdict = "ok".to_owned(),
        Err(error) => {
            // One word for one refusal, whatever the service calls it.
            record.verdict = STS.code(&error).to_owned();
            record.message = error.message;
        }
    }
    state.record(record);
    answer
}

/// Records a request that a fault strikes, and makes the answer of the faults that have one.
pub(crate) fn handle_struck(state: &State, request: &SignedRequest<'_>, strike: &Strike) -> Option<Answer> {
    let (mut record, protocol) = describe(state, request);
    let answer = match strike {
        Strike::Hang | Strike::HugeBody => None,
        Strike::Malformed => {
            let body =
                "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Cred";
            Some(Answer::new(200, "text/xml", body))
        }
        Strike::Throttle => Some(protocol.error(&ApiError::new(400, "Throttling", "Rate exceeded"))),
        Strike::Fail(fail) => Some(protocol.error(&ApiError {
            status: fail.status,
            code: fail.code.clone().into(),
            message: fail.message.clone(),
        })),
    };
    record.status = answer.as_ref().map_or(0, |answer| answer.status);
    record.verdict = strike.as_str().to_owned();
    state.record(record);
    answer
}

/// What can be said of a request before anything of it is believed.
fn describe(state: &State, request: &SignedRequest<'_>) -> (RecordedRequest, Protocol) {
    let params = read_params(request);
    let claim = sigv4::parse(request).ok();
    let service = claim.as_ref().map(|claim| claim.service.clone()).unwrap_or_default();
    let region = claim.as_ref().map(|claim| claim.region.clone()).unwrap_or_default();
    let action = services::operation(&service, request, &params, "", &region)
        .map_or_else(|| params.get("Action").unwrap_or_default().to_owned(), |operation| operation.action);
    let cut = |text: &str| text.chars().take(RECORDED_VALUE).collect::<String>();
    let record = RecordedRequest {
        time: clock::millis(state.now()),
        method: request.method.to_owned(),
        path: cut(request.path),
        service: service.clone(),
        region,
        action: cut(&action),
        access_key_id: claim.map(|claim| cut(&claim.access_key_id)).unwrap_or_default(),
        parameters: params.iter().take(RECORDED_PARAMETERS).map(|(name, value)| (cut(name), cut(value))).collect(),
        user_agent: request.header("user-agent").unwrap_or_default().to_owned(),
        ..RecordedRequest::default()
    };
    (record, services::protocol(&service, request).unwrap_or(STS))
}

fn read_params(request: &SignedRequest<'_>) -> Params {
    let content_type = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
    let form = content_type.starts_with("application/x-www-form-urlencoded");
    if content_type.contains("json") {
        return Params::from_json(request.body).unwrap_or_default();
    }
    Params::decode(&[request.query.as_bytes(), if form { request.body } else { b"" }])
}

fn answer(
    state: &State,
    request: &SignedRequest<'_>,
    protocol: Protocol,
    record: &mut RecordedRequest,
) -> Result<Answer, ApiError> {
    let is_anonymous = request.header("authorization").is_none();
    if protocol == STS && is_anonymous && record.action == "AssumeRoleWithWebIdentity" {
        return sts::with_web_identity(state, &read_params(request));
    }
    let claim = sigv4::parse(request)?;
    let caller = authenticate(state, request, &claim)?;
    record.caller_arn = Some(caller.principal.arn.clone());
    let params = read_params(request);
    if protocol == STS {
        let action = params.get("Action").ok_or_else(|| {
            ApiError::new(400, "MissingAction", "The request is missing an action or a required parameter.")
        })?;
        let call = Call { state, caller: &caller, params: &params, region: &claim.region };
        return sts::answer(&call, action);
    }
    let operation = services::operation(&claim.service, request, &params, &caller.principal.account, &claim.region)
        .filter(|operation| is_action(&operation.action))
        .ok_or_else(|| ApiError::new(400, "InvalidAction", "The emulator does not know this operation."))?;
    authorize(&caller, &claim, &operation)?;
    services::answer(&operation, &params)
}

/// The action becomes the name of an XML element, so it has to be a name.
fn is_action(action: &str) -> bool {
    action.starts_with(|first: char| first.is_ascii_alphabetic())
        && action.len() <= 128
        && action.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn authorize(caller: &Credential, claim: &Claim, operation: &Operation) -> Result<(), ApiError> {
    // AWS keeps tokens made without MFA away from IAM.
    if claim.service == "iam" && matches!(caller.principal.kind, Kind::UserSession | Kind::Federated) {
        return Err(ApiError::invalid_token());
    }
    let action = format!("{}:{}", claim.service, operation.action);
    caller.authorize(Access {
        action: &action,
        resource: &operation.resource,
        region: &claim.region,
        account: &caller.principal.account,
    })
}

/// Whose request this is, or why it is nobody's. Expiry comes last: only the holder of a session learns of it.
fn authenticate(state: &State, request: &SignedRequest<'_>, claim: &Claim) -> Result<Arc<Credential>, ApiError> {
    sigv4::check_scope(claim)?;
    if services::protocol(&claim.service, request).is_none() {
        return Err(ApiError::bad_signature("Credential should be scoped to correct service: 'sts'."));
    }
    let now = state.now();
    sigv4::check_time(claim, now)?;
    let credential = state.credential(&claim.access_key_id).ok_or_else(ApiError::invalid_token)?;
    let same_token = match (&credential.token, &claim.session_token) {
        (None, None) => true,
        (Some(known), Some(sent)) => bool::from(known.0.as_bytes().ct_eq(sent.as_bytes())),
        _ => false,
    };
    if !same_token {
        return Err(ApiError::invalid_token());
    }
    sigv4::check_signature(request, claim, &credential.secret.0)?;
    if credential.expires.is_some_and(|expires| now >= expires) {
        return Err(ApiError::new(403, "ExpiredToken", "The security token included in the request is expired"));
    }
    Ok(credential)
}
