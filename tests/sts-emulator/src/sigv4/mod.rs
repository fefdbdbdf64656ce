//! AWS Signature Version 4, verified. Written from the specification, without any signer's code, so that a client and
//! this cannot share a mistake.

mod canonical;
mod claim;
mod verify;

pub(crate) use claim::{Claim, parse};
pub(crate) use verify::{check_scope, check_signature, check_time};

/// The parts of an HTTP request that a signature covers.
#[derive(Debug)]
pub(crate) struct SignedRequest<'a> {
    pub(crate) method: &'a str,
    /// As on the wire, still encoded.
    pub(crate) path: &'a str,
    /// As on the wire, without the question mark.
    pub(crate) query: &'a str,
    /// Names in lower case, in wire order.
    pub(crate) headers: &'a [(String, Vec<u8>)],
    pub(crate) body: &'a [u8],
}

impl SignedRequest<'_> {
    /// The value of a header given exactly once, in UTF-8.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(known, _)| known == name);
        match (values.next(), values.next()) {
            (Some((_, value)), None) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }
}
