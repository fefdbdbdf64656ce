//! The rules of a profile. What is not surely understood is an error, never a guess: an evaluator that skips what it does
//! not know would call a hole a wall.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::expression::{Expression, read};
use crate::filter::{Filter, Lookup};
use crate::tables::{self, About, Operation};

/// Why a profile, or a question about it, cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub(crate) String);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unreadable {}

/// One operation with one filter, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) operation: &'static str,
    pub(crate) allow: bool,
    pub(crate) filter: Option<Filter>,
    /// Which form of the profile, and which of its filters.
    pub(crate) form: usize,
    pub(crate) part: usize,
}

/// A profile as rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    pub(crate) rules: Vec<Rule>,
    /// Where the rules of each operation are.
    index: HashMap<&'static str, Vec<usize>>,
}

impl Rules {
    /// Reads a profile. Each parameter that it names must be given, and each that is given must be named.
    ///
    /// # Errors
    /// Whatever is not in the subset of the language that is known here.
    pub fn read<'p>(text: &str, params: impl Iterator<Item = (&'p str, &'p str)>) -> Result<Self, Unreadable> {
        let params: Vec<(&str, &str)> = params.collect();
        let names: HashSet<&str> = params.iter().map(|(name, _)| *name).collect();
        if names.len() != params.len() {
            return Err(Unreadable("a parameter is given twice".into()));
        }
        let used = std::cell::RefCell::new(HashSet::new());
        let lookup = |wanted: &str| {
            used.borrow_mut().insert(wanted.to_owned());
            params.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        };
        let rules = Self::of(&read(text)?, &lookup)?;
        match names.iter().find(|name| !used.borrow().contains(**name)) {
            Some(name) => Err(Unreadable(format!("the parameter {name} is given and never used"))),
            None => Ok(rules),
        }
    }

    /// The rules that name an operation, in order, each with its place among all.
    pub(crate) fn naming(&self, name: &str) -> impl DoubleEndedIterator<Item = (usize, &Rule)> {
        let places = self.index.get(name).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|at| Some((*at, self.rules.get(*at)?)))
    }

    /// The rules of forms that were read.
    pub(crate) fn of(forms: &[Expression], lookup: Lookup<'_>) -> Result<Self, Unreadable> {
        let mut rules = vec![];
        for (index, form) in forms.iter().enumerate() {
            let Expression::List(list) = form else { return Err(Unreadable(format!("`{form}` is no form"))) };
            let Some((Expression::Word(head), rest)) = list.split_first() else {
                return Err(Unreadable(format!("`{form}` is no form")));
            };
            let allow = match head.as_str() {
                "version" if index == 0 && form.to_string() == "(version 1)" => continue,
                _ if index == 0 => return Err(Unreadable("the first form is not (version 1)".into())),
                "allow" => true,
                "deny" => false,
                _ => return Err(Unreadable(format!("`{head}` is not in the subset"))),
            };
            form_rules(form, rest, allow, index, lookup, &mut rules)?;
        }
        match rules.iter().any(|rule: &Rule| rule.operation == "default") {
            true => Ok(Self::from(rules)),
            false => Err(Unreadable("it does not say what holds by default".into())),
        }
    }
}

impl From<Vec<Rule>> for Rules {
    fn from(rules: Vec<Rule>) -> Self {
        let mut index: HashMap<&'static str, Vec<usize>> = HashMap::new();
        for (at, rule) in rules.iter().enumerate() {
            index.entry(rule.operation).or_default().push(at);
        }
        Self { rules, index }
    }
}

fn form_rules(
    form: &Expression,
    rest: &[Expression],
    allow: bool,
    index: usize,
    lookup: Lookup<'_>,
    rules: &mut Vec<Rule>,
) -> Result<(), Unreadable> {
    let is_list = |e: &&Expression| matches!(e, Expression::List(_));
    let names = rest.iter().take_while(|e| !is_list(e));
    let operations = names.map(operation).collect::<Result<Vec<Operation>, Unreadable>>()?;
    let filters = rest.get(operations.len()..).unwrap_or_default();
    if operations.is_empty() {
        return Err(Unreadable(format!("`{form}` names no operation")));
    }
    for of in operations {
        let rule = |filter, part| Rule { operation: of.name, allow, filter, form: index, part };
        if of.about == About::Nothing && !filters.is_empty() {
            return Err(Unreadable(format!("`{}` has no filters: {form}", of.name)));
        }
        if filters.is_empty() {
            rules.push(rule(None, 0));
        }
        for (part, filter) in filters.iter().enumerate() {
            let Expression::List(list) = filter else {
                return Err(Unreadable(format!("`{filter}` stands among the filters: {form}")));
            };
            rules.push(rule(Some(Filter::read(list, of, lookup)?), part));
        }
    }
    Ok(())
}

fn operation(name: &Expression) -> Result<Operation, Unreadable> {
    let known = match name {
        Expression::Word(word) => tables::operation(word),
        _ => None,
    };
    known.ok_or_else(|| Unreadable(format!("`{name}` is no operation that is known here")))
}
