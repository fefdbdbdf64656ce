//! What an AWS client is told when the emulator refuses.

use std::borrow::Cow;

/// Internal code of a request whose timestamp is too far from our clock. Services name it differently; see `answer`.
pub(crate) const CLOCK_SKEW: &str = "ClockSkew";

/// A refusal, before it is put into the words of one wire protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
}

impl ApiError {
    pub(crate) fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code: Cow::Borrowed(code), message: message.into() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationError", message)
    }

    pub(crate) fn access_denied(message: impl Into<String>) -> Self {
        Self::new(403, "AccessDenied", message)
    }

    /// The one wording for a denied action; `because` is empty where AWS does not say why (trust policies).
    pub(crate) fn not_authorized(caller: &str, action: &str, resource: &str, because: &str) -> Self {
        Self::access_denied(format!(
            "User: {caller} is not authorized to perform: {action} on resource: {resource}{because}"
        ))
    }

    pub(crate) fn incomplete_signature(message: impl Into<String>) -> Self {
        Self::new(403, "IncompleteSignature", message)
    }

    pub(crate) fn bad_signature(message: impl Into<String>) -> Self {
        Self::new(403, "SignatureDoesNotMatch", message)
    }

    /// One text for an unknown key, a missing session token and a wrong one, as AWS does.
    pub(crate) fn invalid_token() -> Self {
        Self::new(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
    }
}
