//! Why there are no credentials, in words, and whether trying again can help.

mod kind;

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_types::error::metadata::ErrorMetadata;

pub(crate) use kind::Kind;

/// The longest text that is passed on.
const LONGEST: usize = 600;

/// A failure.
#[derive(Debug, Clone)]
pub(crate) struct Cause {
    /// What failed, on what, the service's word, what to do. No secret, one line.
    pub(crate) text: String,
    /// What to do about it here.
    pub(crate) kind: Kind,
}

impl Cause {
    pub(crate) fn passing(text: impl AsRef<str>) -> Self {
        Self::new(text.as_ref(), Kind::Passing)
    }

    pub(crate) fn denied(text: impl AsRef<str>) -> Self {
        Self::new(text.as_ref(), Kind::Denied)
    }

    pub(crate) fn last(text: impl AsRef<str>) -> Self {
        Self::new(text.as_ref(), Kind::Last)
    }

    fn new(text: &str, kind: Kind) -> Self {
        Self { text: one_line(text), kind }
    }

    /// A failed call of STS.
    pub(crate) fn sts<E, R>(operation: &str, endpoint: &str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
        R: std::fmt::Debug + 'static,
    {
        match error {
            SdkError::ServiceError(e) if e.err().code().is_some() => Self::answer(operation, e.err().meta()),
            SdkError::TimeoutError(_) => Self::passing(format!("{operation}: {endpoint} did not answer in time")),
            SdkError::DispatchFailure(_) => {
                Self::passing(format!("{operation}: {endpoint} cannot be reached: {}", deepest(error)))
            }
            _ => Self::passing(format!("{operation}: no usable answer from {endpoint}: {}", deepest(error))),
        }
    }

    fn answer(operation: &str, error: &ErrorMetadata) -> Self {
        let code = error.code().unwrap_or("an error without a code");
        let mut text = format!("{operation}: {code}: {}", error.message().unwrap_or("no message"));
        // Never tried again without: whoever wants sessions without attribution says so in policy.
        if ["sts:SetSourceIdentity", "sts:TagSession"].iter().any(|action| text.contains(action)) {
            text = one_line(&text)
                + "; its trust policy lacks, for the same principal, {\"Effect\":\"Allow\",\"Action\":[\"sts:SetSourceIdentity\",\
                   \"sts:TagSession\"]} (`agent-aws policy iam` prints all of it); or policy may say attribution = \"name\"";
        }
        if passes(code) { Self::passing(text) } else { Self::denied(text) }
    }

    /// The caller's own configuration gave nothing.
    pub(crate) fn own(profile: &str, error: &CredentialsError) -> Self {
        // The outermost error only says that there was one.
        let chain = error.source().map_or_else(|| "it has none".into(), chain);
        let text = format!("AWS profile '{profile}' gives no credentials: {chain}");
        let lower = chain.to_lowercase();
        if lower.contains("dispatch failure") || lower.contains("timed out") {
            return Self::passing(text);
        }
        if lower.contains("sso") && ["expired", "token", "cache"].iter().any(|w| lower.contains(w)) {
            return Self::new(&format!("{text}; sign in: aws sso login --profile {profile}"), Kind::SignIn);
        }
        if lower.contains("login") {
            return Self::new(&format!("{text}; sign in: aws login --profile {profile}"), Kind::SignIn);
        }
        Self::denied(text)
    }
}

/// Codes with which STS asks to come again. Every other one stays until somebody changes something.
fn passes(code: &str) -> bool {
    const PASSING: [&str; 9] = [
        "InternalFailure", "InternalError", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException",
        "RequestTimeout", "RequestTimeoutException", "IDPCommunicationError", "an error without a code",
    ];
    PASSING.contains(&code) || code.contains("Throttl") || code.contains("RequestLimit") || code.contains("SlowDown")
}

/// The innermost error, which is the operating system's or the TLS library's word.
pub(crate) fn deepest(error: &dyn Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Every error of the chain that says something new, outermost first.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(e) = next {
        let word = e.to_string();
        if !text.contains(&word) {
            text.push_str(": ");
            text.push_str(&word);
        }
        next = e.source();
    }
    text
}

/// One printable line of bounded length. A signature error of a service may go on with the whole canonical request in
/// further lines, session token included: only the first line is kept.
fn one_line(text: &str) -> String {
    let line = text.trim().lines().next().unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: &str) -> Cause {
        let e = ErrorMetadata::builder().code(code).message("m").build();
        Cause::answer("AssumeRole", &e)
    }

    #[test]
    fn a_denial_is_no_passing_trouble_and_throttling_is() {
        assert_eq!(answer("AccessDenied").kind, Kind::Denied);
        assert_eq!(answer("Throttling").kind, Kind::Passing);
        assert_eq!(answer("ServiceUnavailable").kind, Kind::Passing);
    }

    #[test]
    fn a_role_that_forbids_attribution_says_what_to_do() {
        let e =
            ErrorMetadata::builder().code("AccessDenied").message("not authorized to perform: sts:TagSession").build();
        let text = Cause::answer("AssumeRole", &e).text;
        assert!(
            text.contains(r#"["sts:SetSourceIdentity","sts:TagSession"]"#) && text.contains("attribution"),
            "{text}"
        );
    }

    #[test]
    fn a_canonical_request_after_the_message_is_not_passed_on() {
        let cause = Cause::denied("SignatureDoesNotMatch: no\n\nx-amz-security-token:FwoG...");
        assert_eq!(cause.text, "SignatureDoesNotMatch: no");
    }

    #[test]
    fn control_characters_and_endless_texts_are_cut() {
        let cause = Cause::denied(format!("a\u{1b}[31m{}", "x".repeat(5000)));
        assert!(cause.text.starts_with("a[31mx") && cause.text.len() <= LONGEST);
    }
}
