//! What a request says about its own signature, in the `Authorization` header or in the query.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::SignedRequest;
use crate::clock::parse_signing_time;
use crate::encoding::pairs;
use crate::error::ApiError;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// AWS's limit for `X-Amz-Expires`, one week.
const MAX_EXPIRES: i64 = 604_800;

/// Unverified: only `verify` makes anything of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) access_key_id: String,
    /// `20150830`.
    pub(crate) date: String,
    pub(crate) region: String,
    pub(crate) service: String,
    pub(crate) terminator: String,
    /// In lower case and sorted, as the canonical request needs them.
    pub(crate) signed_headers: Vec<String>,
    pub(crate) signature: String,
    /// As sent.
    pub(crate) timestamp: String,
    pub(crate) time: OffsetDateTime,
    pub(crate) session_token: Option<String>,
    /// Seconds of validity, for a request presigned in its query.
    pub(crate) expires: Option<i64>,
}

/// Reads the claim of a request. Every missing part is named, as AWS does.
pub(crate) fn parse(request: &SignedRequest<'_>) -> Result<Claim, ApiError> {
    let query: BTreeMap<String, String> = pairs(request.query.as_bytes())
        .into_iter()
        .map(|(name, value)| {
            (String::from_utf8_lossy(&name).into_owned(), String::from_utf8_lossy(&value).into_owned())
        })
        .collect();
    let in_header = request.headers.iter().any(|(name, _)| name == "authorization");
    match (in_header, query.contains_key("X-Amz-Algorithm")) {
        (true, true) => Err(ApiError::incomplete_signature("Only one auth mechanism allowed: header or query")),
        (true, false) => from_header(request),
        (false, true) => from_query(&query),
        (false, false) => {
            Err(ApiError::new(403, "MissingAuthenticationToken", "Request is missing Authentication Token"))
        }
    }
}

fn from_header(request: &SignedRequest<'_>) -> Result<Claim, ApiError> {
    let header = request
        .header("authorization")
        .ok_or_else(|| ApiError::incomplete_signature("Authorization header must be given once, in UTF-8."))?;
    let rest = header.strip_prefix(ALGORITHM).and_then(|rest| rest.strip_prefix([' ', '\t'])).ok_or_else(|| {
        ApiError::incomplete_signature(format!("Unsupported AWS 'algorithm', only {ALGORITHM} is supported."))
    })?;
    let mut fields = BTreeMap::new();
    for field in rest.split(',') {
        let (name, value) = field.trim().split_once('=').unwrap_or((field.trim(), ""));
        if fields.insert(name, value).is_some() {
            return Err(ApiError::incomplete_signature(format!(
                "'{name}' is given twice in the Authorization header."
            )));
        }
    }
    let timestamp = request.header("x-amz-date").or_else(|| request.header("date")).unwrap_or_default();
    let field = |name: &str| fields.get(name).copied().filter(|value| !value.is_empty());
    let mut missing: Vec<String> = ["Credential", "Signature", "SignedHeaders"]
        .iter()
        .filter(|name| field(name).is_none())
        .map(|name| format!("Authorization header requires '{name}' parameter."))
        .collect();
    if timestamp.is_empty() {
        missing.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned());
    }
    if !missing.is_empty() {
        return Err(ApiError::incomplete_signature(missing.join(" ")));
    }
    build(&Parts {
        credential: field("Credential").unwrap_or_default(),
        signed_headers: field("SignedHeaders").unwrap_or_default(),
        signature: field("Signature").unwrap_or_default(),
        timestamp,
        session_token: request.header("x-amz-security-token"),
        expires: None,
    })
}

fn from_query(query: &BTreeMap<String, String>) -> Result<Claim, ApiError> {
    let get = |name: &str| query.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let need = |name: &str| {
        get(name).ok_or_else(|| {
            ApiError::incomplete_signature(format!("AWS query-string parameters must include '{name}'."))
        })
    };
    if need("X-Amz-Algorithm")? != ALGORITHM {
        let text = format!("Unsupported AWS 'algorithm', only {ALGORITHM} is supported.");
        return Err(ApiError::incomplete_signature(text));
    }
    let expires: i64 = get("X-Amz-Expires").unwrap_or("900").parse().unwrap_or(-1);
    if !(0..=MAX_EXPIRES).contains(&expires) {
        return Err(ApiError::incomplete_signature("X-Amz-Expires must be between 0 and 604800 seconds"));
    }
    build(&Parts {
        credential: need("X-Amz-Credential")?,
        signed_headers: need("X-Amz-SignedHeaders")?,
        signature: need("X-Amz-Signature")?,
        timestamp: need("X-Amz-Date")?,
        session_token: get("X-Amz-Security-Token"),
        expires: Some(expires),
    })
}

struct Parts<'a> {
    credential: &'a str,
    signed_headers: &'a str,
    signature: &'a str,
    timestamp: &'a str,
    session_token: Option<&'a str>,
    expires: Option<i64>,
}

fn build(parts: &Parts<'_>) -> Result<Claim, ApiError> {
    let elements: Vec<&str> = parts.credential.split('/').collect();
    let [access_key_id, date, region, service, terminator] = elements.as_slice() else {
        return Err(ApiError::incomplete_signature(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            parts.credential
        )));
    };
    let time = parse_signing_time(parts.timestamp).ok_or_else(|| {
        ApiError::incomplete_signature(format!(
            "Date must be in ISO-8601 'basic format'. Got '{}'. See http://en.wikipedia.org/wiki/ISO_8601",
            parts.timestamp
        ))
    })?;
    let mut signed_headers: Vec<String> = parts.signed_headers.split(';').map(str::to_ascii_lowercase).collect();
    signed_headers.sort();
    signed_headers.dedup();
    Ok(Claim {
        access_key_id: (*access_key_id).to_owned(),
        date: (*date).to_owned(),
        region: (*region).to_owned(),
        service: (*service).to_owned(),
        terminator: (*terminator).to_owned(),
        signed_headers,
        signature: parts.signature.to_owned(),
        timestamp: parts.timestamp.to_owned(),
        time,
        session_token: parts.session_token.map(str::to_owned),
        expires: parts.expires,
    })
}
