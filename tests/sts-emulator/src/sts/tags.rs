//! Session tags: their limits, who may pass them, and what a chained role inherits.

use std::collections::{BTreeMap, BTreeSet};

use super::Call;
use super::validate::Constraints;
use crate::error::ApiError;
use crate::params::Params;
use crate::principal::SessionTerms;

const MAX_TAGS: usize = 50;
const PATTERN: &str = r"[\p{L}\p{Z}\p{N}_.:/=+\-@]+";

/// Tags as asked for.
#[derive(Debug, Default)]
pub(super) struct RequestedTags {
    pub(super) tags: BTreeMap<String, String>,
    pub(super) transitive: BTreeSet<String>,
}

impl RequestedTags {
    pub(super) fn read(params: &Params, constraints: &mut Constraints) -> Result<Self, ApiError> {
        let members = params.members("Tags")?;
        let keys = params.members("TransitiveTagKeys")?;
        let most = format!("Member must have length less than or equal to {MAX_TAGS}");
        constraints.check(members.len() <= MAX_TAGS, &format!("[{} tags]", members.len()), "tags", &most);
        constraints.check(keys.len() <= MAX_TAGS, &format!("[{} keys]", keys.len()), "transitiveTagKeys", &most);
        let mut requested = Self::default();
        for (index, member) in members.iter().enumerate() {
            let at = index + 1;
            let key = member.get("Key").copied().unwrap_or_default();
            let value = member.get("Value").copied().unwrap_or_default();
            check_text(constraints, key, &format!("tags.{at}.member.key"), 1, 128);
            check_text(constraints, value, &format!("tags.{at}.member.value"), 0, 256);
            if requested.tags.keys().any(|known| known.to_lowercase() == key.to_lowercase()) {
                return Err(invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive."));
            }
            if key.to_lowercase().starts_with("aws:") {
                return Err(invalid("aws: prefixed tag key names are not allowed for external use."));
            }
            requested.tags.insert(key.to_owned(), value.to_owned());
        }
        for (index, key) in keys.iter().filter_map(|member| member.get("")).enumerate() {
            check_text(constraints, key, &format!("transitiveTagKeys.{}.member", index + 1), 1, 128);
            if !requested.tags.contains_key(*key) {
                return Err(invalid("The specified transitive tag key must be included in the requested tags."));
            }
            requested.transitive.insert((*key).to_owned());
        }
        Ok(requested)
    }

    /// The tags the new session has: those asked for and those its caller's session hands on.
    pub(super) fn with_inherited(mut self, caller: &SessionTerms) -> Result<Self, ApiError> {
        for key in &caller.transitive {
            if self.tags.keys().any(|known| known.to_lowercase() == key.to_lowercase()) {
                return Err(invalid(
                    "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag \
                     key from the calling session.",
                ));
            }
        }
        for key in &caller.transitive {
            self.tags.insert(key.clone(), caller.tags.get(key).cloned().unwrap_or_default());
            self.transitive.insert(key.clone());
        }
        Ok(self)
    }

    /// Tags need `sts:TagSession` from both sides, inherited ones too.
    pub(super) fn authorize(&self, call: &Call<'_>, resource: &str, allowed_by_role: bool) -> Result<(), ApiError> {
        if self.tags.is_empty() {
            return Ok(());
        }
        call.authorize("sts:TagSession", resource)?;
        if allowed_by_role {
            return Ok(());
        }
        Err(ApiError::not_authorized(&call.caller.principal.arn, "sts:TagSession", resource, ""))
    }

    /// Bytes the tags add to a packed policy.
    pub(super) fn packed_len(&self) -> usize {
        self.tags.iter().map(|(key, value)| key.len() + value.len() + 4).sum()
    }
}

fn check_text(constraints: &mut Constraints, text: &str, member: &str, least: usize, most: usize) {
    constraints.length(text, member, least, most);
    let good = |character: char| character.is_alphanumeric() || " \u{a0}_.:/=+-@".contains(character);
    let constraint = format!("Member must satisfy regular expression pattern: {PATTERN}");
    constraints.check(text.chars().all(good), text, member, &constraint);
}

fn invalid(message: &str) -> ApiError {
    ApiError::new(400, "InvalidParameterValue", message)
}
