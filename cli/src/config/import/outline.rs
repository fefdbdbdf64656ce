//! YAML as elhaz writes it: sections of one key a line. It is no parser of YAML: what is written otherwise is an error at its
//! line. Values are kept of the keys that are asked for only: the file may hold keys of AWS.

use std::path::Path;

use super::text;
use crate::failure::Failure;

/// What to do with a file that is right for elhaz and is not read here.
const REWRITE: &str =
    "is not written as elhaz writes it (one key a line, values on the same line): elhaz config update";

/// A key of a section.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// `Section.Key`.
    pub(crate) key: String,
    /// Its line, from 1.
    pub(crate) line: usize,
    /// Its value, or the items of its list, where they are wanted.
    pub(crate) values: Vec<String>,
}

/// Reads `text` as the file `path`, which errors name, and keeps the values of `wanted`.
pub(crate) fn read(path: &Path, text: &str, wanted: &[&str]) -> Result<Vec<Entry>, Failure> {
    let mut outline = Outline { wanted, section: None, depth: None, open: false, entries: Vec::new() };
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim_start_matches(' ');
        let blank = bare.trim().is_empty() || bare.starts_with('#') || (index == 0 && bare.trim_end() == "---");
        let taken = if blank { Some(()) } else { outline.take(index + 1, line.len() - bare.len(), bare) };
        taken.ok_or_else(|| text::wrong(path, Some(index + 1), REWRITE))?;
    }
    Ok(outline.entries)
}

struct Outline<'a> {
    wanted: &'a [&'a str],
    section: Option<&'a str>,
    /// How far the keys of this section are indented.
    depth: Option<usize>,
    /// Whether the value of the last key has yet to come.
    open: bool,
    entries: Vec<Entry>,
}

impl<'a> Outline<'a> {
    fn take(&mut self, line: usize, indent: usize, bare: &'a str) -> Option<()> {
        if indent == 0 {
            let (section, rest) = key(bare)?;
            (self.section, self.depth) = (Some(section), None);
            let known = self.entries.iter().any(|entry| entry.key.split('.').next() == Some(section));
            return (rest.is_empty() && !known).then_some(());
        }
        let section = self.section?;
        let depth = *self.depth.get_or_insert(indent);
        let item = bare.strip_prefix('-').filter(|rest| rest.is_empty() || rest.starts_with(' '));
        match item {
            Some(item) if indent >= depth => self.value(item),
            _ if indent > depth => self.more(bare),
            _ if indent < depth => None,
            _ => {
                let (name, rest) = key(bare)?;
                let key = format!("{section}.{name}");
                let new = !self.entries.iter().any(|entry| entry.key == key);
                self.entries.push(Entry { key, line, values: Vec::new() });
                self.value(rest).filter(|()| new)
            }
        }
    }

    /// What the last key is, or an item of the list that it is.
    fn value(&mut self, text: &str) -> Option<()> {
        let (section, wanted) = (self.section?, self.wanted);
        let entry = self.entries.last_mut().filter(|entry| entry.key.split('.').next() == Some(section))?;
        self.open = text.trim().is_empty();
        if wanted.contains(&entry.key.as_str()) && !self.open {
            entry.values.push(scalar(text)?);
        }
        Some(())
    }

    /// A line that belongs to a value: a long one begins on a line of its own. What goes on there must be none that is wanted.
    fn more(&mut self, text: &str) -> Option<()> {
        match self.open {
            true => self.value(text),
            false => (!self.wanted.contains(&self.entries.last()?.key.as_str())).then_some(()),
        }
    }
}

/// `Key: rest`.
fn key(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(':')?;
    let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let apart = rest.is_empty() || rest.starts_with(' ');
    let rest = rest.trim();
    (good && apart).then_some((name, if rest.starts_with('#') { "" } else { rest }))
}

/// One word or one quoted text without escapes.
fn scalar(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some(quoted) = text.strip_prefix('\'') {
        return quoted.strip_suffix('\'').filter(|inner| !inner.contains('\'')).map(str::to_owned);
    }
    if let Some(quoted) = text.strip_prefix('"') {
        return quoted.strip_suffix('"').filter(|inner| !inner.contains(['"', '\\'])).map(str::to_owned);
    }
    let plain = text.split_once(" #").map_or(text, |(before, _)| before.trim_end());
    // Anchors, tags, block and flow values mean something else than they say.
    let odd = plain.starts_with(['&', '*', '!', '|', '>', '{', '[', '%', '@', '`', '?', '#', '-']);
    (!plain.is_empty() && !odd && !plain.contains(": ")).then(|| plain.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: [&str; 3] = ["AssumeRole.RoleArn", "AssumeRole.PolicyArns", "Session.region_name"];

    fn outline(text: &str) -> Result<Vec<(String, Vec<String>)>, String> {
        let entries = read(Path::new("/h/c.yaml"), text, &WANTED).map_err(|e| e.to_string())?;
        Ok(entries.into_iter().map(|entry| (entry.key, entry.values)).collect())
    }

    #[test]
    fn what_elhaz_writes_is_read_and_secrets_are_not_kept() {
        // Written by elhaz's own YAML library.
        let text = include_str!("fixtures/elhaz.yaml");
        let read = outline(text).unwrap();
        let value = |key: &str| read.iter().find(|(name, _)| name == key).map(|(_, values)| values.join(" "));
        assert_eq!(value("AssumeRole.RoleArn").as_deref(), Some("arn:aws:iam::123456789012:role/a"));
        assert_eq!(value("AssumeRole.PolicyArns").as_deref(), Some("arn:aws:iam::aws:policy/ReadOnlyAccess"));
        assert_eq!(value("Session.region_name").as_deref(), Some("eu-west-1"));
        assert_eq!(value("Session.aws_secret_access_key").as_deref(), Some(""));
        assert_eq!(read.len(), 16, "{read:?}");
        assert!(text.contains("abc/def") && !format!("{read:?}").contains("abc/def"));
    }

    #[test]
    fn quotes_and_comments_are_not_part_of_a_value() {
        for (value, wanted) in [("'r'", "r"), ("\"r\"", "r"), ("r # why", "r"), ("a:b#c", "a:b#c")] {
            let read = outline(&format!("---\nAssumeRole: # the role\n    RoleArn: {value}\n")).unwrap();
            assert_eq!(read, [("AssumeRole.RoleArn".to_owned(), vec![wanted.to_owned()])]);
        }
    }

    #[test]
    fn a_long_value_may_begin_on_the_next_line() {
        let text = "AssumeRole:\n  RoleArn: \n    arn:x\n  PolicyArns:\n  -\n    a\n  - b\n  Policy:\n    c\n    d\n";
        let values: Vec<Vec<String>> = outline(text).unwrap().into_iter().map(|(_, values)| values).collect();
        assert_eq!(values, [vec!["arn:x".to_owned()], vec!["a".into(), "b".into()], vec![]]);
    }

    #[test]
    fn what_is_written_otherwise_is_an_error_at_its_line() {
        for text in [
            "AssumeRole:\nRoleArn\n", "AssumeRole:\n  RoleArn: |\n", "AssumeRole:\n  RoleArn: *x\n",
            "AssumeRole:\n  RoleArn: \"a\\x41\"\n", "AssumeRole:\n  RoleArn: 'a\n", "# a\nAssumeRole: {RoleArn: x}\n",
            "AssumeRole:\n\tRoleArn: x\n", "AssumeRole:\n  'RoleArn': x\n", "# a\n  RoleArn: x\n",
        ] {
            let said = outline(text).unwrap_err();
            assert!(said.starts_with("/h/c.yaml:2: is not written as elhaz writes it"), "{text}: {said}");
        }
        for text in [
            "AssumeRole:\n  RoleArn: a\n    b\n",
            "AssumeRole:\n  RoleArn:\n    *x\n",
            "AssumeRole:\n  RoleArn: a\n  RoleArn: b\n",
            "AssumeRole:\n    RoleArn: a\n  Policy: b\n",
            "AssumeRole:\n  RoleArn: a\nAssumeRole:\n",
        ] {
            assert!(outline(text).unwrap_err().starts_with("/h/c.yaml:3: "), "{text}");
        }
    }
}
