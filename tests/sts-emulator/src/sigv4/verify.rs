//! The checks on a claim, each on its own so that the order of refusals is the caller's to choose.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use time::{Duration, OffsetDateTime};

use super::canonical::canonical_request;
use super::{Claim, SignedRequest};
use crate::clock::basic;
use crate::error::{ApiError, CLOCK_SKEW};

/// How far a request's timestamp may be from our clock, either way.
const SKEW: Duration = Duration::minutes(5);

/// The scope must be one AWS would have: this day, a region, `aws4_request`. The service is the dispatcher's to check.
pub(crate) fn check_scope(claim: &Claim) -> Result<(), ApiError> {
    if claim.terminator != "aws4_request" {
        return Err(ApiError::bad_signature(format!(
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{}'.",
            claim.terminator
        )));
    }
    if !is_region(&claim.region) {
        return Err(ApiError::bad_signature("Credential should be scoped to a valid region."));
    }
    let time = basic(claim.time);
    let day = time.get(..8).unwrap_or_default();
    if claim.date != day {
        return Err(ApiError::bad_signature(format!(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{}' != '{day}', from '{}'.",
            claim.date, claim.timestamp
        )));
    }
    Ok(())
}

fn is_region(region: &str) -> bool {
    let parts: Vec<&str> = region.split('-').collect();
    let lower = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase());
    match parts.as_slice() {
        [middle @ .., number] => {
            middle.len() >= 2
                && middle.iter().all(lower)
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }
        [] => false,
    }
}

/// A header signature is good for five minutes either way, a presigned request until it says it expires.
pub(crate) fn check_time(claim: &Claim, now: OffsetDateTime) -> Result<(), ApiError> {
    if claim.time > now + SKEW {
        return Err(ApiError::new(
            403,
            CLOCK_SKEW,
            format!(
                "Signature not yet current: {} is still later than {} ({} + 5 min.)",
                basic(claim.time),
                basic(now + SKEW),
                basic(now)
            ),
        ));
    }
    match claim.expires {
        Some(seconds) if now > claim.time + Duration::seconds(seconds) => {
            Err(ApiError::new(400, "RequestExpired", "Request has expired."))
        }
        None if claim.time < now - SKEW => Err(ApiError::new(
            403,
            CLOCK_SKEW,
            format!(
                "Signature expired: {} is now earlier than {} ({} - 5 min.)",
                basic(claim.time),
                basic(now - SKEW),
                basic(now)
            ),
        )),
        _ => Ok(()),
    }
}

/// Whether the holder of `secret` signed this request.
pub(crate) fn check_signature(request: &SignedRequest<'_>, claim: &Claim, secret: &str) -> Result<(), ApiError> {
    check_headers_signed(request, claim)?;
    let canonical = canonical_request(request, claim)?;
    let scope = format!("{}/{}/{}/{}", claim.date, claim.region, claim.service, claim.terminator);
    let to_sign =
        format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{}", basic(claim.time), hex::encode(Sha256::digest(canonical)));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in [&claim.date, &claim.region, &claim.service, &claim.terminator] {
        key = hmac_sha256(&key, part.as_bytes());
    }
    let expected = hex::encode(hmac_sha256(&key, to_sign.as_bytes()));
    if bool::from(expected.as_bytes().ct_eq(claim.signature.as_bytes())) {
        return Ok(());
    }
    Err(ApiError::bad_signature(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access \
         Key and signing method. Consult the service documentation for details.",
    ))
}

/// A header that decides what the request means must be under the signature, else it could be changed on the way.
fn check_headers_signed(request: &SignedRequest<'_>, claim: &Claim) -> Result<(), ApiError> {
    let signed = |name: &str| claim.signed_headers.iter().any(|known| known == name);
    if !signed("host") {
        return Err(ApiError::bad_signature(
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    let must_be_signed = |name: &str| name == "x-amz-date" || (claim.service == "s3" && name.starts_with("x-amz-"));
    let unsigned: Vec<&str> = request
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .filter(|name| must_be_signed(name) && !signed(name))
        .collect();
    if claim.expires.is_none() && !unsigned.is_empty() {
        return Err(ApiError::access_denied(format!(
            "There were headers present in the request which were not signed: {}",
            unsigned.join(", ")
        )));
    }
    Ok(())
}

fn hmac_sha256(key: &[u8], data: &[u8]) -> Vec<u8> {
    // HMAC takes a key of any length, so there is no error to report.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return Vec::new();
    };
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod rules;
#[cfg(test)]
mod vectors;
