//! One answer, as it stands in a file: keys with every placeholder filled in, and what is to be there.

use serde_json::Value;

use super::{Answer, Chosen};

/// Stands for each trusted directory in a key.
const PROJECT: &str = "{project}";

/// What is to be at a key.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Content {
    /// This value, if there is none.
    Value(Value),
    /// This entry in a list.
    Entry(String),
}

impl Chosen {
    /// What the answer says for this run; nothing where it does not apply.
    pub(super) fn filled(&self, answer: &Answer) -> Vec<(Vec<String>, Content)> {
        if answer.if_set.as_ref().is_some_and(|name| self.variable(name).is_none()) {
            return vec![];
        }
        let content = match (&answer.value, &answer.end_of) {
            (Some(value), _) => Content::Value(value.clone()),
            (None, Some(end)) => match self.variable(&end.variable) {
                Some(value) => Content::Entry(end_of(value.trim(), end.length)),
                None => return vec![],
            },
            (None, None) => return vec![],
        };
        let fill = |directory: &str| -> Vec<String> {
            let part = |part: &String| if part == PROJECT { directory.to_owned() } else { part.clone() };
            answer.key.iter().map(part).collect()
        };
        match answer.key.iter().any(|part| part == PROJECT) {
            true => self.trusted.iter().map(|directory| (fill(directory), content.clone())).collect(),
            false => vec![(fill(""), content)],
        }
    }
}

fn end_of(value: &str, length: usize) -> String {
    let skipped = value.chars().count().saturating_sub(length);
    value.chars().skip(skipped).collect()
}
