//! Filters: what of an operation's objects a rule is about.

use crate::decide::{Object, Whose};
use crate::expression::Expression;
use crate::path;
use crate::rules::Unreadable;
use crate::tables::{About, Operation};

/// One filter, with its parameters in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    Literal(String),
    Subpath(String),
    /// `^`, text, `[0-9]+`, `$`: the text. No other pattern is in the subset.
    Numbered(String),
    /// What this session's own terminals have.
    OwnTerminal,
    Service(String),
    Target(Whose),
    Setting(String),
    SettingPrefix(String),
    Memory(String),
    Address {
        local_only: bool,
        port: Option<u16>,
    },
    AnySocket,
    All(Vec<Filter>),
}

/// Gives the value of a parameter.
pub(crate) type Lookup<'l> = &'l dyn Fn(&str) -> Option<String>;

impl Filter {
    /// Reads a filter of a rule about `of`.
    pub(crate) fn read(list: &[Expression], of: Operation, lookup: Lookup<'_>) -> Result<Self, Unreadable> {
        let Some((Expression::Word(head), rest)) = list.split_first() else {
            return Err(Unreadable(format!("a filter without a name: {}", Expression::List(list.to_vec()))));
        };
        let path = || path_of(one(head, rest)?, lookup);
        let text = || text_of(one(head, rest)?, lookup);
        let about = match head.as_str() {
            "literal" | "path-literal" | "subpath" | "regex" | "extension" | "require-all" => About::Path,
            "global-name" => About::Service,
            "target" => About::Process,
            "sysctl-name" | "sysctl-name-prefix" => About::Setting,
            "ipc-posix-name" => About::Memory,
            "remote" | "local" => About::Address,
            _ => return Err(Unreadable(format!("the filter `{head}` is not in the subset"))),
        };
        // A connection to a Unix socket is judged by its path too.
        let fits = about == of.about || (about == About::Path && of.about == About::Address);
        if !fits {
            return Err(Unreadable(format!("`{}` has no filter `{head}`", of.name)));
        }
        Ok(match head.as_str() {
            "literal" | "path-literal" => Self::Literal(literal(one(head, rest)?, lookup)?),
            "subpath" => Self::Subpath(path()?),
            "regex" => numbered(one(head, rest)?)?,
            "extension" if text()? == "com.apple.sandbox.pty" => Self::OwnTerminal,
            "global-name" => Self::Service(text()?),
            "target" => target(one(head, rest)?)?,
            "sysctl-name" => Self::Setting(text()?),
            "sysctl-name-prefix" => Self::SettingPrefix(text()?),
            "ipc-posix-name" => Self::Memory(text()?),
            "remote" if of.name == "network-outbound" => end(rest, of, lookup)?,
            "local" if matches!(of.name, "network-bind" | "network-inbound") => end(rest, of, lookup)?,
            "require-all" if !rest.is_empty() => Self::All(all(rest, of, lookup)?),
            _ => return Err(Unreadable(format!("`{}` with `{}`", Expression::List(list.to_vec()), of.name))),
        })
    }

    /// Whether the object is one of those that it is about.
    pub(crate) fn matches(&self, object: &Object<'_>) -> bool {
        let named = match object {
            Object::Path(name) | Object::OwnTerminal(name) | Object::Socket(name) => Some(*name),
            _ => None,
        };
        match (self, object) {
            (Self::Literal(path), _) => named == Some(path),
            (Self::Subpath(above), _) => named.is_some_and(|name| path::is_within(name, above)),
            (Self::Numbered(before), _) => {
                named.and_then(|name| name.strip_prefix(before.as_str())).is_some_and(digits)
            }
            (Self::OwnTerminal, _) => matches!(object, Object::OwnTerminal(_)),
            (Self::Service(service), Object::Service(name)) => service == name,
            (Self::Target(whose), Object::Process(other)) => whose == other,
            (Self::Setting(setting), Object::Setting(name)) => setting == name,
            (Self::SettingPrefix(before), Object::Setting(name)) => name.starts_with(before.as_str()),
            (Self::Memory(memory), Object::Memory(name)) => memory == name,
            (Self::Address { local_only, port }, Object::Address { local, port: of }) => {
                (*local || !local_only) && port.is_none_or(|port| port == *of)
            }
            (Self::AnySocket, Object::Socket(_)) => true,
            (Self::All(filters), _) => filters.iter().all(|filter| filter.matches(object)),
            _ => false,
        }
    }
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn one<'e>(head: &str, rest: &'e [Expression]) -> Result<&'e Expression, Unreadable> {
    match rest {
        [one] => Ok(one),
        _ => Err(Unreadable(format!("`{head}` takes one argument"))),
    }
}

fn all(rest: &[Expression], of: Operation, lookup: Lookup<'_>) -> Result<Vec<Filter>, Unreadable> {
    let each = |part: &Expression| match part {
        Expression::List(list) => Filter::read(list, of, lookup),
        other => Err(Unreadable(format!("`{other}` is no filter"))),
    };
    rest.iter().map(each).collect()
}

fn text_of(expression: &Expression, lookup: Lookup<'_>) -> Result<String, Unreadable> {
    if let Expression::Text(text) = expression {
        return Ok(text.clone());
    }
    if let Expression::List(list) = expression
        && let [Expression::Word(param), Expression::Text(name)] = list.as_slice()
        && param == "param"
    {
        return lookup(name).ok_or_else(|| Unreadable(format!("the parameter {name} is not given")));
    }
    Err(Unreadable(format!("`{expression}` is no string")))
}

fn path_of(expression: &Expression, lookup: Lookup<'_>) -> Result<String, Unreadable> {
    let text = text_of(expression, lookup)?;
    match path::wrong(&text) {
        Some(why) => Err(Unreadable(format!("`{}`: {why}", text.escape_debug()))),
        None => Ok(text),
    }
}

/// As another path; a link at the root itself can be looked at, though nothing is found through it.
fn literal(expression: &Expression, lookup: Lookup<'_>) -> Result<String, Unreadable> {
    let text = text_of(expression, lookup)?;
    match crate::tables::ROOT_LINKS.rows().any(|row| row.path == text) {
        true => Ok(text),
        false => path_of(expression, lookup),
    }
}

fn numbered(expression: &Expression) -> Result<Filter, Unreadable> {
    let no = || Unreadable(format!("the pattern {expression} is not `^`, a path, `[0-9]+`, `$`"));
    let Expression::Pattern(text) = expression else { return Err(no()) };
    let before = text.strip_prefix('^').and_then(|text| text.strip_suffix("[0-9]+$")).ok_or_else(no)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '-';
    match before.starts_with('/') && before.chars().all(plain) {
        true => Ok(Filter::Numbered(before.into())),
        false => Err(no()),
    }
}

fn target(expression: &Expression) -> Result<Filter, Unreadable> {
    match expression {
        Expression::Word(word) if word == "self" => Ok(Filter::Target(Whose::Own)),
        Expression::Word(word) if word == "same-sandbox" => Ok(Filter::Target(Whose::SameSandbox)),
        other => Err(Unreadable(format!("the target `{other}` is not in the subset"))),
    }
}

/// An end of a connection.
fn end(rest: &[Expression], of: Operation, lookup: Lookup<'_>) -> Result<Filter, Unreadable> {
    let no = |why: &str| Unreadable(format!("`{}`: {why}", Expression::List(rest.to_vec())));
    match rest {
        [Expression::Word(word)] if word == "unix-socket" => Ok(Filter::AnySocket),
        [Expression::Word(word), Expression::List(list)] if word == "unix-socket" => {
            let inner = Filter::read(list, of, lookup)?;
            match inner {
                Filter::Literal(_) | Filter::Subpath(_) => Ok(inner),
                _ => Err(no("a socket has a path")),
            }
        }
        [Expression::Word(word), Expression::Text(text)] if word == "ip" => {
            let (host, port) = text.split_once(':').ok_or_else(|| no("an address is HOST:PORT"))?;
            let local_only = match host {
                "localhost" => true,
                "*" => false,
                _ => return Err(no("seatbelt knows no address but `*` and `localhost`")),
            };
            let port = match port {
                "*" => None,
                digits => Some(digits.parse().map_err(|_| no("a port is a number"))?),
            };
            Ok(Filter::Address { local_only, port })
        }
        _ => Err(no("it is no end of a connection that is in the subset")),
    }
}
