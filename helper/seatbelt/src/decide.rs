//! What a profile decides, by what was measured of seatbelt (docs/macos.md has the sources).

use crate::path;
use crate::rules::{Rule, Rules, Unreadable};
use crate::tables::{self, About};

/// Whose a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// The one that asks.
    Own,
    /// Another one of the same sandbox.
    SameSandbox,
    /// Any other.
    Other,
}

/// What is touched. Paths are as the kernel names them: resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object<'o> {
    /// Nothing in particular.
    Nothing,
    /// A file or directory.
    Path(&'o str),
    /// A terminal that the sandboxed process has made itself.
    OwnTerminal(&'o str),
    /// A Unix socket.
    Socket(&'o str),
    /// An address.
    Address {
        /// Whether it is on this machine's loopback.
        local: bool,
        /// The port.
        port: u16,
    },
    /// A Mach service, by its name.
    Service(&'o str),
    /// A process.
    Process(Whose),
    /// A setting of the kernel.
    Setting(&'o str),
    /// Shared memory or a semaphore, by its name.
    Memory(&'o str),
}

/// How rules are read. Only the first is what was measured; a profile that is right by each of them does not hang on
/// what of it is inference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// The nearest operation with a matching rule decides: of its filtered rules the last one that matches, else its
    /// rule without a filter; else its parent's.
    Measured,
    /// As measured, but an operation with rules of its own never asks its parent: it falls to `default`.
    NoFallThrough,
    /// The last rule that matches decides, whatever operation it names. What many take seatbelt for.
    LastMatch,
}

impl Reading {
    /// All.
    pub const ALL: [Self; 3] = [Self::Measured, Self::NoFallThrough, Self::LastMatch];
}

/// What was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whether it may.
    pub allowed: bool,
    /// Which form of the profile decided, counted from 0, and which of its filters; none if no rule is about it.
    pub by: Option<(usize, usize)>,
    /// The operation that this form names.
    pub operation: &'static str,
}

impl Rules {
    /// Whether `operation` may touch `object`.
    ///
    /// # Errors
    /// An operation or an object that is not known here, or that do not go together.
    pub fn decide(&self, reading: Reading, operation: &str, object: &Object<'_>) -> Result<Decision, Unreadable> {
        let chain = chain(operation, object)?;
        let decided = match reading {
            Reading::LastMatch => {
                let last = |name: &&'static str| self.naming(name).rfind(|(_, rule)| holds(rule, object));
                chain.iter().filter_map(last).max_by_key(|(at, _)| *at).map(|(_, rule)| rule)
            }
            Reading::Measured => chain.iter().find_map(|name| self.own(name, object)),
            Reading::NoFallThrough => self.nearest_alone(&chain, object),
        };
        // Nothing that `default` does not reach is closed by silence.
        let open = chain.last() != Some(&"default");
        let nothing = Decision { allowed: open, by: None, operation: "default" };
        let of =
            |rule: &Rule| Decision { allowed: rule.allow, by: Some((rule.form, rule.part)), operation: rule.operation };
        Ok(decided.map_or(nothing, of))
    }

    /// The rule of an operation's own that decides, if one does.
    fn own(&self, name: &str, object: &Object<'_>) -> Option<&Rule> {
        let matches = |rule: &Rule| rule.filter.as_ref().is_some_and(|filter| filter.matches(object));
        let filtered = self.naming(name).rfind(|(_, rule)| matches(rule));
        let found = filtered.or_else(|| self.naming(name).rfind(|(_, rule)| rule.filter.is_none()));
        found.map(|(_, rule)| rule)
    }

    fn nearest_alone(&self, chain: &[&'static str], object: &Object<'_>) -> Option<&Rule> {
        let has_rules = |name: &&&'static str| self.naming(name).next().is_some();
        let nearest = chain.iter().find(has_rules)?;
        let default = chain.last().filter(|name| **name == "default");
        self.own(nearest, object).or_else(|| self.own(default?, object))
    }
}

fn holds(rule: &Rule, object: &Object<'_>) -> bool {
    rule.filter.as_ref().is_none_or(|filter| filter.matches(object))
}

/// An operation and those whose rules hold where its own say nothing.
fn chain(operation: &str, object: &Object<'_>) -> Result<Vec<&'static str>, Unreadable> {
    let no = |why: &str| Unreadable(format!("{operation}: {why}"));
    let asked = tables::operation(operation).ok_or_else(|| no("it is no operation that is known here"))?;
    if operation == "default" || operation.ends_with('*') {
        return Err(no("it stands for several operations: ask for one of them"));
    }
    let (fits, name) = match object {
        Object::Nothing => (asked.about == About::Nothing, None),
        Object::Path(name) | Object::OwnTerminal(name) => (asked.about == About::Path, Some(*name)),
        Object::Socket(name) => (asked.about == About::Address, Some(*name)),
        Object::Address { .. } => (asked.about == About::Address, None),
        Object::Service(_) => (asked.about == About::Service, None),
        Object::Process(_) => (asked.about == About::Process, None),
        Object::Setting(_) => (asked.about == About::Setting, None),
        Object::Memory(_) => (asked.about == About::Memory, None),
    };
    if !fits {
        return Err(no("it is not about such an object"));
    }
    let is_link = |name: &str| tables::ROOT_LINKS.rows().any(|row| row.path == name);
    if let Some(why) = name.filter(|name| !is_link(name)).and_then(path::wrong) {
        return Err(no(why));
    }
    let mut chain = vec![asked.name];
    let mut next = asked.parent;
    while let Some(parent) = next {
        chain.push(parent);
        next = tables::operation(parent).and_then(|known| known.parent);
    }
    Ok(chain)
}
