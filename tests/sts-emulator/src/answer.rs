//! Answers, and how each service's wire protocol words a refusal.

use crate::encoding::xml_escape;
use crate::error::{ApiError, CLOCK_SKEW};
use crate::ids::request_id;

/// A complete answer, before HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("x-amzn-requestid", request_id())];
        Self { status, content_type, headers, body: body.into() }
    }

    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }

    pub(crate) fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The wire protocol of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// Form in, XML out. The name space is the service's.
    Query(&'static str),
    /// SQS's newer protocol.
    AwsJson,
    /// S3.
    RestXml,
    /// Lambda and Bedrock.
    RestJson,
}

pub(crate) const STS: Protocol = Protocol::Query("https://sts.amazonaws.com/doc/2011-06-15/");
pub(crate) const IAM: Protocol = Protocol::Query("https://iam.amazonaws.com/doc/2010-05-08/");
pub(crate) const SQS: Protocol = Protocol::Query("http://queue.amazonaws.com/doc/2012-11-05/");

/// Where a protocol's word for a code is not the query protocol's: code, JSON, S3.
const CODES: [(&str, &str, &str); 6] = [
    ("InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId"),
    ("SignatureDoesNotMatch", "InvalidSignatureException", "SignatureDoesNotMatch"),
    (CLOCK_SKEW, "InvalidSignatureException", "RequestTimeTooSkewed"),
    ("ExpiredToken", "ExpiredTokenException", "ExpiredToken"),
    ("AccessDenied", "AccessDeniedException", "AccessDenied"),
    ("MissingAuthenticationToken", "MissingAuthenticationTokenException", "AccessDenied"),
];

impl Protocol {
    /// The code a client of this protocol sees.
    pub(crate) fn code(self, error: &ApiError) -> &str {
        let row = CODES.iter().find(|(code, ..)| *code == error.code);
        match (self, row) {
            (Self::Query(_), _) if error.code == CLOCK_SKEW => "SignatureDoesNotMatch",
            (Self::Query(_), _) | (_, None) => &error.code,
            (Self::AwsJson | Self::RestJson, Some((_, json, _))) => json,
            (Self::RestXml, Some((.., s3))) => s3,
        }
    }

    /// The error as this protocol sends it.
    pub(crate) fn error(self, error: &ApiError) -> Answer {
        let (code, id) = (self.code(error).to_owned(), request_id());
        let (xml_code, xml_message) = (xml_escape(&code), xml_escape(&error.message));
        let mut answer = match self {
            Self::Query(xmlns) => {
                let kind = if error.status < 500 { "Sender" } else { "Receiver" };
                let body = format!(
                    "<ErrorResponse xmlns=\"{xmlns}\">\n  <Error>\n    <Type>{kind}</Type>\n    <Code>{xml_code}</Code>\n    \
                     <Message>{xml_message}</Message>\n  </Error>\n  <RequestId>{id}</RequestId>\n</ErrorResponse>\n"
                );
                Answer::new(error.status, "text/xml", body)
            }
            Self::RestXml => {
                let body = format!(
                    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{xml_code}</Code>\
                     <Message>{xml_message}</Message><RequestId>{id}</RequestId></Error>"
                );
                Answer::new(error.status, "application/xml", body)
            }
            Self::AwsJson | Self::RestJson => {
                let body = serde_json::json!({"__type": code, "message": error.message, "Message": error.message});
                // SQS says the query protocol's code beside its own; clients of the older protocol go by that.
                let query = format!("{};{}", STS.code(error), if error.status < 500 { "Sender" } else { "Receiver" });
                let answer = Answer::json(error.status, &body).with_header("x-amzn-errortype", code);
                if self == Self::AwsJson { answer.with_header("x-amzn-query-error", query) } else { answer }
            }
        };
        if let Some((_, value)) = answer.headers.first_mut() {
            *value = id;
        }
        answer
    }

    /// `<ActionResponse>` around `result`, which is XML.
    pub(crate) fn result(self, action: &str, result: &str) -> Answer {
        let Self::Query(xmlns) = self else {
            return Answer::new(200, "application/xml", result);
        };
        let id = request_id();
        let body = format!(
            "<{action}Response xmlns=\"{xmlns}\">\n  <{action}Result>{result}</{action}Result>\n  \
             <ResponseMetadata>\n    <RequestId>{id}</RequestId>\n  </ResponseMetadata>\n</{action}Response>\n"
        );
        let mut answer = Answer::new(200, "text/xml", body);
        answer.headers = vec![("x-amzn-requestid", id)];
        answer
    }
}

/// `<name>text</name>`, escaped.
pub(crate) fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", xml_escape(text))
}
