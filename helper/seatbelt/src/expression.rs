//! The reader: the text of a profile as nested lists. It knows less than Scheme, and what it does not know is an error.

use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

use crate::rules::Unreadable;

/// One expression of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expression {
    /// A word.
    Word(String),
    /// A string.
    Text(String),
    /// A string that is a regular expression: `#"..."`.
    Pattern(String),
    /// A list.
    List(Vec<Expression>),
}

/// No profile of ours nests deeper than this.
const DEEPEST: usize = 8;

/// Reads the whole text.
pub(crate) fn read(text: &str) -> Result<Vec<Expression>, Unreadable> {
    let mut open: Vec<Vec<Expression>> = vec![vec![]];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let done = match c {
            c if c.is_ascii_whitespace() => continue,
            ';' => {
                chars.by_ref().take_while(|c| *c != '\n').for_each(drop);
                continue;
            }
            '(' if open.len() > DEEPEST => return Err(Unreadable("it is nested too deeply".into())),
            '(' => {
                open.push(vec![]);
                continue;
            }
            ')' => Expression::List(open.pop().unwrap_or_default()),
            '"' => Expression::Text(string(&mut chars, true)?),
            '#' if chars.peek() == Some(&'"') => {
                chars.next();
                Expression::Pattern(string(&mut chars, false)?)
            }
            c => Expression::Word(word(c, &mut chars)?),
        };
        let Some(list) = open.last_mut() else { return Err(Unreadable("a `)` closes nothing".into())) };
        list.push(done);
    }
    match (open.pop(), open.is_empty()) {
        (Some(whole), true) => Ok(whole),
        _ => Err(Unreadable("a `(` is never closed".into())),
    }
}

fn string(chars: &mut Peekable<Chars<'_>>, escapes: bool) -> Result<String, Unreadable> {
    let mut text = String::new();
    loop {
        match chars.next() {
            None => return Err(Unreadable("a string is never closed".into())),
            Some('"') => return Ok(text),
            Some('\\') => match chars.next() {
                Some(c @ ('"' | '\\')) if escapes => text.push(c),
                _ => return Err(Unreadable("an escape that is not `\\\"` or `\\\\`".into())),
            },
            Some(c) if c.is_control() => return Err(Unreadable("a control character in a string".into())),
            Some(c) => text.push(c),
        }
    }
}

fn word(first: char, chars: &mut Peekable<Chars<'_>>) -> Result<String, Unreadable> {
    let mut word = String::from(first);
    while let Some(c) = chars.next_if(|c| !c.is_ascii_whitespace() && !"();\"".contains(*c)) {
        word.push(c);
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "-*{}".contains(c);
    match word.chars().all(known) {
        true => Ok(word),
        false => Err(Unreadable(format!("`{}` is no word", word.escape_debug()))),
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => write!(f, "\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")),
            Self::Pattern(text) => write!(f, "#\"{text}\""),
            Self::List(list) => {
                let parts: Vec<String> = list.iter().map(ToString::to_string).collect();
                write!(f, "({})", parts.join(" "))
            }
        }
    }
}
