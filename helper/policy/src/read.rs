//! Reads keys out of one table of a TOML document; every complaint carries its place.

use toml::de::{DeTable, DeValue};
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};

use crate::diagnostic::{Located, Problem, Report, Spot, nearest, quoted};

/// The text of one file, and where its lines begin.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    file: usize,
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Document<'a> {
    pub(crate) fn new(file: usize, text: &'a str) -> Self {
        let lines = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        Self { file, text, lines }
    }

    /// The place of a byte offset. An offset inside a character or past the end is taken back to the last place
    /// before it.
    pub(crate) fn spot(&self, offset: usize) -> Spot {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
            .copied()
            .unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Spot {
            file: self.file,
            line: line.max(1),
            column: before.chars().count() + 1,
        }
    }
}

/// Lists and inline tables in each other, and parts of a dotted key. The language itself needs three.
const MAX_DEPTH: u32 = 8;

/// Where a document becomes deeper than any policy is. The TOML parser has limits of its own, 80 for each of the two,
/// which multiply: a tree of 6,400 levels, walked by recursion, does not fit every stack.
pub(crate) fn too_deep(text: &str) -> Option<usize> {
    let (mut nested, mut dots, mut found) = (0_u32, 0_u32, None);
    let mut watch = |event: Event| {
        match event.kind() {
            EventKind::ArrayOpen | EventKind::InlineTableOpen => nested = nested.saturating_add(1),
            EventKind::ArrayClose | EventKind::InlineTableClose => nested = nested.saturating_sub(1),
            EventKind::KeySep => dots = dots.saturating_add(1),
            EventKind::SimpleKey | EventKind::Whitespace => {}
            _ => dots = 0,
        }
        if nested.max(dots) > MAX_DEPTH {
            found.get_or_insert(event.span().start());
        }
    };
    let tokens = toml_parser::Source::new(text).lex().into_vec();
    parse_document(&tokens, &mut RecursionGuard::new(&mut watch, MAX_DEPTH), &mut ());
    found
}

/// One table that is being read. Complaints go to `report`.
pub(crate) struct Reader<'r, 'a, 'd> {
    pub(crate) document: &'r Document<'a>,
    pub(crate) table: &'r DeTable<'d>,
    /// Where the table is named.
    pub(crate) at: Spot,
    /// How messages call it: `[identity.dev]`.
    pub(crate) called: String,
    pub(crate) report: &'r mut Report<'a>,
}

/// What a value of the wrong type is and what it should be.
fn wrong_type(key: &str, wanted: &str, value: &DeValue<'_>) -> Problem {
    Problem::new(format!("`{key}` must be {wanted}, not {}", kind(value)))
}

pub(crate) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

impl Reader<'_, '_, '_> {
    /// Complains of every key that is not known.
    pub(crate) fn only(&mut self, known: &[&str]) {
        for key in self.table.keys() {
            if known.contains(&key.get_ref().as_ref()) {
                continue;
            }
            let hint = match nearest(key.get_ref(), known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let message = format!("unknown key {} in {}", quoted(key.get_ref()), self.called);
            self.report
                .add(self.document.spot(key.span().start), Problem::new(message).hint(hint));
        }
    }

    /// The value of a key as `read` takes it; nothing if it is absent, or wrong, which is then on record.
    pub(crate) fn optional<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl Fn(&DeValue<'_>) -> Option<Result<T, Problem>>,
    ) -> Option<Located<T>> {
        let value = self.table.get(key)?;
        let at = self.document.spot(value.span().start);
        let problem = match read(value.get_ref()) {
            Some(Ok(value)) => return Some(Located { value, at }),
            Some(Err(problem)) => problem,
            None => wrong_type(key, wanted, value.get_ref()),
        };
        self.report.add(at, problem);
        None
    }

    pub(crate) fn text<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, Problem>) -> Option<Located<T>> {
        self.optional(key, "a string", |value| value.as_str().map(&read))
    }

    /// The same for a key that must be there.
    pub(crate) fn required<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, Problem>) -> Option<Located<T>> {
        if !self.table.contains_key(key) {
            self.report
                .add(self.at, Problem::new(format!("{} lacks `{key}`", self.called)));
        }
        self.text(key, read)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.text(key, |text| word(text, words)).map(|found| found.value)
    }

    pub(crate) fn boolean(&mut self, key: &str) -> Option<bool> {
        self.optional(key, "true or false", |value| value.as_bool().map(Ok))
            .map(|found| found.value)
    }

    /// A list; nothing if the key is absent. Entries that are wrong are on record and left out.
    pub(crate) fn list<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl Fn(&DeValue<'_>) -> Option<Result<T, Problem>>,
    ) -> Option<Vec<Located<T>>> {
        let value = self.table.get(key)?;
        let DeValue::Array(entries) = value.get_ref() else {
            let problem = wrong_type(key, "a list", value.get_ref()).hint(format!("{key} = [...]"));
            self.report.add(self.document.spot(value.span().start), problem);
            return None;
        };
        let mut list = Vec::new();
        for entry in entries.iter() {
            let at = self.document.spot(entry.span().start);
            match read(entry.get_ref()) {
                Some(Ok(value)) => list.push(Located { value, at }),
                Some(Err(problem)) => self.report.add(at, problem),
                None => {
                    let message = format!("an entry of `{key}` must be {wanted}, not {}", kind(entry.get_ref()));
                    self.report.add(at, Problem::new(message));
                }
            }
        }
        Some(list)
    }

    pub(crate) fn texts<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, Problem>) -> Option<Vec<Located<T>>> {
        self.list(key, "a string", |value| value.as_str().map(&read))
    }
}

pub(crate) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Problem> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    match words.iter().find(|(word, _)| *word == text) {
        Some((_, value)) => Ok(*value),
        None => {
            Err(Problem::new(format!("{} is not known here", quoted(text)))
                .hint(format!("one of {}", known.join(", "))))
        }
    }
}

pub(crate) fn plain<T>(list: Option<Vec<Located<T>>>) -> Vec<T> {
    list.unwrap_or_default().into_iter().map(|entry| entry.value).collect()
}
