//! The Security Token Service itself, API version 2011-06-15.

mod assume_role;
mod issue;
mod session_policy;
mod tags;
mod tokens;
mod validate;
mod web_identity;

use crate::answer::{Answer, STS, element};
use crate::error::ApiError;
use crate::params::Params;
use crate::principal::{Credential, Kind};
use crate::state::State;

pub(crate) use web_identity::with_web_identity;

pub(crate) const VERSION: &str = "2011-06-15";

/// One authenticated call.
pub(crate) struct Call<'a> {
    pub(crate) state: &'a State,
    pub(crate) caller: &'a Credential,
    pub(crate) params: &'a Params,
    pub(crate) region: &'a str,
}

/// Does what `Action` says.
pub(crate) fn answer(call: &Call<'_>, action: &str) -> Result<Answer, ApiError> {
    let version = call.params.get("Version").unwrap_or("NO_VERSION_SPECIFIED");
    match (version, action) {
        (VERSION, "GetCallerIdentity") => Ok(caller_identity(call.caller)),
        (VERSION, "AssumeRole") => assume_role::assume_role(call),
        (VERSION, "GetSessionToken") => tokens::get_session_token(call),
        (VERSION, "GetFederationToken") => tokens::get_federation_token(call),
        _ => {
            Err(ApiError::new(400, "InvalidAction", format!("Could not find operation {action} for version {version}")))
        }
    }
}

/// Allowed whatever any policy says, as in AWS.
fn caller_identity(caller: &Credential) -> Answer {
    let result = [
        element("Arn", &caller.principal.arn),
        element("UserId", &caller.principal.user_id),
        element("Account", &caller.principal.account),
    ];
    STS.result("GetCallerIdentity", &result.concat())
}

/// The two calls that only a user's own long-lived key may make.
fn need_long_lived_key(call: &Call<'_>, action: &str) -> Result<(), ApiError> {
    if call.caller.principal.kind == Kind::User {
        return Ok(());
    }
    Err(ApiError::access_denied(format!("Cannot call {action} with session credentials")))
}
