//! Constraints on single parameters, in the words AWS uses for them.

use crate::config::is_name_character;
use crate::error::ApiError;
use crate::params::Params;

pub(super) const NAME_PATTERN: &str = r"[\w+=,.@-]*";

/// Collects what is wrong, so that one answer names everything, as AWS's does.
#[derive(Debug, Default)]
pub(super) struct Constraints(Vec<String>);

impl Constraints {
    fn fail(&mut self, value: &str, member: &str, constraint: &str) {
        let value = if value.chars().count() > 256 { value.chars().take(256).collect() } else { value.to_owned() };
        self.0.push(format!("Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"));
    }

    pub(super) fn check(&mut self, holds: bool, value: &str, member: &str, constraint: &str) {
        if !holds {
            self.fail(value, member, constraint);
        }
    }

    pub(super) fn length(&mut self, value: &str, member: &str, least: usize, most: usize) {
        let count = value.chars().count();
        let text = format!("Member must have length greater than or equal to {least}");
        self.check(count >= least, value, member, &text);
        let text = format!("Member must have length less than or equal to {most}");
        self.check(count <= most, value, member, &text);
    }

    pub(super) fn pattern(&mut self, value: &str, member: &str, pattern: &str, allowed: impl Fn(u8) -> bool) {
        let text = format!("Member must satisfy regular expression pattern: {pattern}");
        self.check(value.bytes().all(allowed), value, member, &text);
    }

    /// A session name, a source identity or a federated user's name.
    pub(super) fn name(&mut self, value: &str, member: &str, most: usize) {
        self.length(value, member, 2, most);
        self.pattern(value, member, NAME_PATTERN, is_name_character);
    }

    pub(super) fn required<'a>(&mut self, params: &'a Params, name: &str) -> &'a str {
        let value = params.get(name);
        if value.is_none() {
            let member = lower_first(name);
            self.0.push(format!("Value null at '{member}' failed to satisfy constraint: Member must not be null"));
        }
        value.unwrap_or_default()
    }

    pub(super) fn duration(&mut self, params: &Params, least: u32, most: u32) -> Option<u32> {
        let text = params.get("DurationSeconds")?;
        let seconds: Option<i64> = text.parse().ok();
        let Some(seconds) = seconds else {
            self.fail(text, "durationSeconds", "Member must be an integer");
            return None;
        };
        let constraint = format!("Member must have value greater than or equal to {least}");
        self.check(seconds >= i64::from(least), text, "durationSeconds", &constraint);
        let constraint = format!("Member must have value less than or equal to {most}");
        self.check(seconds <= i64::from(most), text, "durationSeconds", &constraint);
        u32::try_from(seconds).ok()
    }

    pub(super) fn finish(self) -> Result<(), ApiError> {
        let plural = if self.0.len() == 1 { "" } else { "s" };
        match self.0.len() {
            0 => Ok(()),
            count => {
                Err(ApiError::validation(format!("{count} validation error{plural} detected: {}", self.0.join("; "))))
            }
        }
    }
}

fn lower_first(name: &str) -> String {
    let mut characters = name.chars();
    characters.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + characters.as_str())
}
