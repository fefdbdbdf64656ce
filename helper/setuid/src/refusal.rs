//! Refusals: what the caller reads when nothing is run.

use std::fmt::Display;

use agent_aws_plan::PlanError;
use agent_aws_protocol::{ChannelError, FailureCode, Refusal};
use agent_aws_sandbox::Failure;

/// A refusal of that kind.
pub(crate) fn refuse(code: FailureCode, text: impl Display) -> Refusal {
    Refusal { code, text: text.to_string(), advice: None, audit: None }
}

/// A refusal with advice.
pub(crate) fn advise(code: FailureCode, text: impl Display, advice: impl Display) -> Refusal {
    Refusal { advice: Some(advice.to_string()), ..refuse(code, text) }
}

/// The installation is not as it must be.
pub(crate) fn installation(text: impl Display, advice: impl Display) -> Refusal {
    advise(FailureCode::Installation, text, advice)
}

/// The kernel lacks or refused something.
pub(crate) fn kernel(failure: Failure) -> Refusal {
    refuse(FailureCode::Kernel, failure)
}

/// The request cannot be planned.
pub(crate) fn unplannable(error: PlanError) -> Refusal {
    refuse(FailureCode::BadRequest, error)
}

/// A conversation broke off.
pub(crate) fn broken(who: &str, error: ChannelError) -> Refusal {
    refuse(FailureCode::Ended, format_args!("{who}: {error}"))
}
