//! The session policy of a request: inline document, managed ARNs, and their packed size.

use std::sync::Arc;

use super::validate::Constraints;
use crate::error::ApiError;
use crate::params::Params;
use crate::policy::{Document, managed_policy};

const MAX_CHARACTERS: usize = 2048;
const MAX_ARNS: usize = 10;
/// What we say 100 % of AWS's undocumented packed limit is, in bytes of minified text.
const PACKED_LIMIT: usize = 4096;

/// The session policy as asked for, its parameters checked.
#[derive(Debug)]
pub(super) struct RequestedPolicy {
    pub(super) text: Option<String>,
    pub(super) arns: Vec<String>,
}

impl RequestedPolicy {
    pub(super) fn read(params: &Params, constraints: &mut Constraints) -> Result<Self, ApiError> {
        let text = params.get("Policy").map(str::to_owned);
        let members = params.members("PolicyArns")?;
        let arns: Vec<String> =
            members.iter().map(|member| member.get("arn").copied().unwrap_or_default().to_owned()).collect();
        if let Some(text) = &text {
            constraints.length(text, "policy", 1, MAX_CHARACTERS);
            let good = |character: char| "\t\n\r".contains(character) || (' '..='\u{ff}').contains(&character);
            let constraint = r"Member must satisfy regular expression pattern: [\u0009\u000A\u000D\u0020-\u00FF]+";
            constraints.check(text.chars().all(good), text, "policy", constraint);
        }
        let constraint = format!("Member must have length less than or equal to {MAX_ARNS}");
        constraints.check(arns.len() <= MAX_ARNS, &format!("[{} ARNs]", arns.len()), "policyArns", &constraint);
        for (index, arn) in arns.iter().enumerate() {
            constraints.length(arn, &format!("policyArns.{}.member.arn", index + 1), 20, 2048);
        }
        Ok(Self { text, arns })
    }

    /// The documents to intersect with, or `None` when the request does not narrow.
    pub(super) fn documents(&self) -> Result<Option<Vec<Arc<Document>>>, ApiError> {
        if self.text.is_none() && self.arns.is_empty() {
            return Ok(None);
        }
        let mut documents = Vec::new();
        if let Some(text) = &self.text {
            documents.push(Arc::new(Document::parse(text)?));
        }
        for arn in &self.arns {
            let unknown = || ApiError::validation(format!("The emulator knows no managed policy {arn}"));
            documents.push(managed_policy(arn).ok_or_else(unknown)?);
        }
        Ok(Some(documents))
    }

    /// `PackedPolicySize` in percent; `None` when there is nothing to pack.
    pub(super) fn packed_size(&self, inline: Option<&Document>, tag_bytes: usize) -> Result<Option<usize>, ApiError> {
        let arn_bytes: usize = self.arns.iter().map(String::len).sum();
        let bytes = inline.map_or(0, |document| document.minified_len) + arn_bytes + tag_bytes;
        if bytes == 0 {
            return Ok(None);
        }
        let percent = (bytes * 100).div_ceil(PACKED_LIMIT);
        if percent > 100 {
            return Err(ApiError::new(
                400,
                "PackedPolicyTooLarge",
                format!("Packed size of session tags consumes {percent}% of allotted space."),
            ));
        }
        Ok(Some(percent))
    }
}
