//! Reads keys out of one table of a TOML document; every complaint carries its place.

use std::ops::RangeInclusive;

use toml::de::{DeTable, DeValue};
use toml_parser::parser::{Event, EventKind, RecursionGuard, parse_document};

use crate::diagnostic::{Problem, Report, Spot, nearest, quoted};

/// The text of one file, and where its lines begin.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    file: usize,
    text: &'a str,
    lines: Vec<usize>,
}

impl<'a> Document<'a> {
    pub(crate) fn new(file: usize, text: &'a str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, lines }
    }

    /// The place of a byte offset. An offset inside a character or past the end is taken back to the last place
    /// before it.
    pub(crate) fn spot(&self, offset: usize) -> Spot {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|index| self.lines.get(index)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        Spot { file: self.file, line: line.max(1), column: before.chars().count() + 1 }
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

/// What a check makes of a value: nothing if it is of the wrong type.
type Read<T> = Option<Result<T, Problem>>;

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

impl<'r, 'a, 'd> Reader<'r, 'a, 'd> {
    /// A reader of a table inside.
    pub(crate) fn enter<'n>(&'n mut self, table: &'n DeTable<'d>, at: Spot, called: String) -> Reader<'n, 'a, 'd> {
        Reader { document: self.document, table, at, called, report: self.report }
    }

    /// Complains of every key that is not among the known ones, which are separated by spaces.
    pub(crate) fn only(&mut self, known: &str) {
        let is_unknown = |key: &str| known.split(' ').all(|word| word != key);
        for key in self.table.keys().filter(|key| is_unknown(key.get_ref())) {
            let hint = match nearest(key.get_ref(), known.split(' ')) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", known.replace(' ', ", ")),
            };
            let problem = Problem::new(format!("unknown key {} in {}", quoted(key.get_ref()), self.called));
            self.report.add(self.document.spot(key.span().start), problem.hint(hint));
        }
    }

    /// The value of a key as `read` takes it, and its place; nothing if it is absent, or wrong, which is then on record.
    pub(crate) fn value<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl Fn(&DeValue<'d>) -> Read<T>,
    ) -> Option<(T, Spot)> {
        let value = self.table.get(key)?;
        let at = self.document.spot(value.span().start);
        self.checked(at, read(value.get_ref()), || wrong_type(&format!("`{key}`"), wanted, value.get_ref()))
    }

    fn checked<T>(&mut self, at: Spot, read: Read<T>, otherwise: impl Fn() -> Problem) -> Option<(T, Spot)> {
        match read.unwrap_or_else(|| Err(otherwise())) {
            Ok(value) => Some((value, at)),
            Err(problem) => {
                self.report.add(at, problem);
                None
            }
        }
    }

    pub(crate) fn text<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, Problem>) -> Option<T> {
        self.value(key, "a string", |value| value.as_str().map(&read)).map(|(value, _)| value)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Option<T> {
        self.text(key, |text| word(text, words))
    }

    /// Whether a key says `true`.
    pub(crate) fn yes(&mut self, key: &str) -> bool {
        self.value(key, "true or false", |value| value.as_bool().map(Ok)).is_some_and(|(yes, _)| yes)
    }

    /// A whole number in `range`.
    pub(crate) fn count(&mut self, key: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let read = |value: &DeValue<'d>| {
            let DeValue::Integer(number) = value else { return None };
            let count = u64::from_str_radix(number.as_str(), number.radix()).ok().filter(|n| range.contains(n));
            Some(count.ok_or_else(|| Problem::new(format!("`{key}` is from {} to {}", range.start(), range.end()))))
        };
        self.value(key, "a number", read).map(|(count, _)| count)
    }

    /// Complains if a key is not there.
    pub(crate) fn needs(&mut self, key: &str) {
        if !self.table.contains_key(key) {
            self.report.add(self.at, format!("{} lacks `{key}`", self.called));
        }
    }

    /// A list with the place of each entry; nothing if the key is absent. Entries that are wrong are on record and
    /// left out.
    pub(crate) fn list<T>(
        &mut self,
        key: &str,
        wanted: &str,
        read: impl Fn(&DeValue<'d>) -> Read<T>,
    ) -> Option<Vec<(T, Spot)>> {
        let table = self.table;
        let hint = || format!("{key} = [...]");
        let value = table.get(key)?;
        let DeValue::Array(entries) = value.get_ref() else {
            let problem = wrong_type(&format!("`{key}`"), "a list", value.get_ref()).hint(hint());
            self.report.add(self.document.spot(value.span().start), problem);
            return None;
        };
        let entry = |entry: &toml::Spanned<DeValue<'d>>| {
            let at = self.document.spot(entry.span().start);
            let otherwise = || wrong_type(&format!("an entry of `{key}`"), wanted, entry.get_ref());
            self.checked(at, read(entry.get_ref()), otherwise)
        };
        Some(entries.iter().filter_map(entry).collect())
    }

    pub(crate) fn texts<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, Problem>) -> Option<Vec<T>> {
        self.list(key, "a string", |value| value.as_str().map(&read)).map(plain)
    }
}

/// That a value is not of the type that it should be.
pub(crate) fn wrong_type(what: &str, wanted: &str, value: &DeValue<'_>) -> Problem {
    let is = match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    };
    Problem::new(format!("{what} must be {wanted}, not {is}"))
}

pub(crate) fn word<T: Copy>(text: &str, words: &[(&str, T)]) -> Result<T, Problem> {
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    found.ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        Problem::new(format!("{} is not known here", quoted(text))).hint(format!("one of {}", known.join(", ")))
    })
}

/// Without the places.
pub(crate) fn plain<T>(list: Vec<(T, Spot)>) -> Vec<T> {
    list.into_iter().map(|(value, _)| value).collect()
}
