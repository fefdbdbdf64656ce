//! What is wrong with a policy, and where.

use std::fmt;

use agent_aws_policy::Position;

/// More than this many complaints help nobody, and bound the work that a hostile file can cause.
const MAX_DIAGNOSTICS: usize = 200;
/// Longer words are not compared with the known ones, and are cut where they are shown. In characters.
const MAX_WORD: usize = 64;

/// One thing that is wrong. Prints as `file:line:column: message; hint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as [`crate::SourceFile::name`] gave it.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong. Control characters of the file are escaped.
    pub message: String,
    /// What to write instead, where that is known.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

/// What a check of one value finds wrong; the reader adds the place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for Problem {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

/// A place in one of the files. Orders by file, then line, then column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) file: usize,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl Spot {
    /// The first character of a file.
    pub(crate) fn first(file: usize) -> Self {
        Self { file, line: 1, column: 1 }
    }
}

/// Collects what is wrong over all files.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    files: Vec<&'a str>,
    found: Vec<(Spot, Problem)>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(files: Vec<&'a str>) -> Self {
        Self { files, found: Vec::new() }
    }

    pub(crate) fn add(&mut self, at: Spot, problem: impl Into<Problem>) {
        if !self.is_full() {
            self.found.push((at, problem.into()));
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.found.len() >= MAX_DIAGNOSTICS
    }

    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    pub(crate) fn position(&self, at: Spot) -> Position {
        Position { file: self.file(at).to_owned(), line: at.line }
    }

    fn file(&self, at: Spot) -> &'a str {
        self.files.get(at.file).copied().unwrap_or("policy")
    }

    pub(crate) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by_key(|(at, _)| *at);
        let found = std::mem::take(&mut self.found);
        let complete = |(at, problem): (Spot, Problem)| Diagnostic {
            file: self.file(at).to_owned(),
            line: at.line,
            column: at.column,
            message: problem.message,
            hint: problem.hint,
        };
        found.into_iter().map(complete).collect()
    }
}

/// Text of the file for a message: in quotes, escaped, cut.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_WORD).flat_map(char::escape_debug).collect();
    if text.chars().nth(MAX_WORD).is_some() {
        shown.push_str("...");
    }
    format!("\"{shown}\"")
}

/// The candidate that `word` was probably meant to be.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    if word.chars().nth(MAX_WORD).is_some() {
        return None;
    }
    let limit = 1 + word.chars().count() / 4;
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's: insertions, deletions and substitutions, one each.
fn distance(from: &str, to: &str) -> usize {
    let mut row: Vec<usize> = (0..=to.chars().count()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (b, above) in to.chars().zip(row.iter().skip(1).copied()) {
            let substituted = diagonal + usize::from(a != b);
            left = substituted.min(above + 1).min(left + 1);
            next.push(left);
            diagonal = above;
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("", ""), 0);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("abc", ""), 3);
        assert_eq!(distance("", "abc"), 3);
    }

    #[test]
    fn the_nearest_word_is_found_and_a_far_one_is_not_offered() {
        assert_eq!(nearest("durations", ["region", "duration"]), Some("duration"));
        assert_eq!(nearest("xyz", ["region", "duration"]), None);
        assert_eq!(nearest(&"a".repeat(100_000), ["region"]), None);
    }

    #[test]
    fn text_of_the_file_is_shown_escaped_and_cut() {
        assert_eq!(quoted("a\u{1b}[31m\"\n"), r#""a\u{1b}[31m\"\n""#);
        assert_eq!(quoted(&"x".repeat(65)), format!("\"{}...\"", "x".repeat(64)));
    }
}
