//! The canonical request: one spelling for every way to send the same thing.

use sha2::{Digest as _, Sha256};

use super::{Claim, SignedRequest};
use crate::encoding::{pairs, percent_decode, percent_encode};
use crate::error::ApiError;

/// The canonical request of `request`, or why there is none.
pub(super) fn canonical_request(request: &SignedRequest<'_>, claim: &Claim) -> Result<Vec<u8>, ApiError> {
    let s3 = claim.service == "s3";
    let mut out = Vec::new();
    for line in [request.method, &canonical_path(request.path, s3), &canonical_query(request.query)] {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
    for name in &claim.signed_headers {
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        out.extend_from_slice(&canonical_header(request, name)?);
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(claim.signed_headers.join(";").as_bytes());
    out.push(b'\n');
    out.extend_from_slice(payload_hash(request, claim)?.as_bytes());
    Ok(out)
}

/// S3 takes the path as it is and encodes it once; every other service removes dot segments and empty ones, and
/// encodes what is on the wire again.
fn canonical_path(path: &str, s3: bool) -> String {
    if s3 {
        let encode = |segment: &str| percent_encode(&percent_decode(segment.as_bytes(), false));
        return path.split('/').map(encode).collect::<Vec<_>>().join("/");
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let mut out: String = segments.iter().map(|segment| format!("/{}", percent_encode(segment.as_bytes()))).collect();
    if out.is_empty() || ["/", "/.", "/.."].iter().any(|end| path.ends_with(end)) {
        out.push('/');
    }
    out
}

fn canonical_query(query: &str) -> String {
    let mut encoded: Vec<(String, String)> = pairs(query.as_bytes())
        .into_iter()
        .filter(|(name, _)| name != b"X-Amz-Signature")
        .map(|(name, value)| (percent_encode(&name), percent_encode(&value)))
        .collect();
    encoded.sort();
    encoded.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn canonical_header(request: &SignedRequest<'_>, name: &str) -> Result<Vec<u8>, ApiError> {
    let values: Vec<Vec<u8>> =
        request.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| single_spaced(value)).collect();
    if values.is_empty() {
        return Err(ApiError::bad_signature(format!("The signed header '{name}' is not in the request.")));
    }
    Ok(values.join(&b','))
}

/// Trims, and makes every run of spaces inside one space.
fn single_spaced(value: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    for byte in value.trim_ascii() {
        if *byte != b' ' || out.last() != Some(&b' ') {
            out.push(*byte);
        }
    }
    out
}

/// S3 signs what its header says (and the header is then held against the body); everything else signs the body.
fn payload_hash(request: &SignedRequest<'_>, claim: &Claim) -> Result<String, ApiError> {
    let actual = hex::encode(Sha256::digest(request.body));
    if claim.service != "s3" {
        return Ok(actual);
    }
    match request.header("x-amz-content-sha256") {
        None if claim.expires.is_some() => Ok("UNSIGNED-PAYLOAD".to_owned()),
        None => {
            Err(ApiError::new(400, "InvalidRequest", "Missing required header for this request: x-amz-content-sha256"))
        }
        Some(said) if said == "UNSIGNED-PAYLOAD" || said.starts_with("STREAMING-") => Ok(said.to_owned()),
        Some(said) if said == actual => Ok(actual),
        Some(_) => Err(ApiError::new(
            400,
            "XAmzContentSHA256Mismatch",
            "The provided 'x-amz-content-sha256' header does not match what was computed.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_and_encoded_twice_except_for_s3() {
        for (path, other, s3) in [
            ("/", "/", "/"),
            ("", "/", ""),
            ("/a/../b/./c/", "/b/c/", "/a/../b/./c/"),
            ("//a//b", "/a/b", "//a//b"),
            ("/a%20b", "/a%2520b", "/a%20b"),
            ("/a:b", "/a%3Ab", "/a%3Ab"),
            ("/a/..", "/", "/a/.."),
            ("/../../x", "/x", "/../../x"),
        ] {
            assert_eq!(canonical_path(path, false), other, "{path}");
            assert_eq!(canonical_path(path, true), s3, "{path}");
        }
    }

    #[test]
    fn the_query_is_sorted_after_encoding_and_loses_the_signature() {
        assert_eq!(canonical_query("b=2&a=%7e&a=1&X-Amz-Signature=00&c"), "a=1&a=~&b=2&c=");
        assert_eq!(canonical_query("a-b=1&a=2&A=3&a%2Fb=x+y"), "A=3&a=2&a%2Fb=x%20y&a-b=1");
    }
}
