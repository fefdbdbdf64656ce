//! A profile: its text, its parameters, and what it decides, with the reason.

use std::borrow::Cow;
use std::fmt;

use crate::decide::{Object, Reading};
use crate::expression::Expression;
use crate::rules::{Rules, Unreadable};
use crate::tables;
use crate::template::{Form, Slot, parameter};

/// How much of a Mac an agent sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// All that the caller may read, but secret stores, homes that the plan does not show, and ways out.
    Guarded,
    /// What the plan shows and what programs need to start.
    Strict,
}

/// Why a value is in a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// The table, or who asked.
    pub table: Cow<'static, str>,
    /// Its row.
    pub row: String,
    /// The reason that stands beside it.
    pub reason: Cow<'static, str>,
}

/// A value that a profile is given beside its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// As the text calls it.
    pub name: String,
    /// An absolute path, as the kernel would name it.
    pub value: String,
    /// Why.
    pub why: Why,
}

/// A profile for a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub(crate) text: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) forms: Vec<Form>,
    pub(crate) rules: Rules,
}

/// The answer to `may OPERATION touch OBJECT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may.
    pub allowed: bool,
    /// Which form decided, counted from 0; none if no rule is about it.
    pub form: Option<usize>,
    /// That form, with no other of its filters than the one that decided.
    pub clause: String,
    /// The value of its parameter.
    pub value: Option<String>,
    /// Which row of which table it comes from.
    pub why: Option<Why>,
}

impl Profile {
    /// The text of the profile. It has no value in it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is given beside it.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Whether `operation` may touch `object`, and by which clause and row.
    ///
    /// # Errors
    /// An operation or object that is not known here.
    pub fn may(&self, operation: &str, object: &Object<'_>) -> Result<Verdict, Unreadable> {
        let decision = self.rules.decide(Reading::Measured, operation, object)?;
        let found = decision.by.and_then(|(form, part)| Some((self.forms.get(form)?, form, part)));
        let Some((form, index, part)) = found else {
            let clause = "no rule is about it".into();
            return Ok(Verdict { allowed: decision.allowed, form: None, clause, value: None, why: None });
        };
        let word = if decision.allowed { "allow" } else { "deny" };
        let (filter, value, why) = self.part(form, part);
        let clause = format!("({word} {}{filter})", decision.operation);
        Ok(Verdict { allowed: decision.allowed, form: Some(index), clause, value, why })
    }

    /// A filter of a form as text, its value, and why it is there.
    pub(crate) fn part(&self, form: &Form, part: usize) -> (String, Option<String>, Option<Why>) {
        let Expression::List(list) = &form.expression else { return (String::new(), None, None) };
        let mut filters = list.iter().filter(|e| matches!(e, Expression::List(_)));
        let text = filters.nth(part).map(|filter| format!(" {filter}")).unwrap_or_default();
        match form.slots.get(part) {
            Some(Slot::Value(kind, index)) => {
                let name = parameter(kind, *index);
                let found = self.parameters.iter().find(|p| p.name == name);
                (text, found.map(|p| p.value.clone()), found.map(|p| p.why.clone()))
            }
            Some(Slot::Row(table, name)) => {
                let reason = tables::reason(table, name).unwrap_or_default();
                (text, None, Some(Why { table: (*table).into(), row: name.clone(), reason: reason.into() }))
            }
            Some(Slot::Port(kind)) => {
                let why =
                    Why { table: "policy".into(), row: (*kind).into(), reason: "a port that policy offers".into() };
                (text, None, Some(why))
            }
            Some(Slot::Written) | None => (text, None, None),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.allowed { "allowed" } else { "denied" };
        write!(f, "{word}: {}", self.clause)?;
        if let Some(value) = &self.value {
            write!(f, ", which is `{}`", value.escape_debug())?;
        }
        match &self.why {
            Some(Why { table, row, reason }) => write!(f, "; row `{}` of {table}: {reason}", row.escape_debug()),
            None => Ok(()),
        }
    }
}
