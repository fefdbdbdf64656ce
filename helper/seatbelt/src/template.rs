//! From the templates of `profiles/` to the text of a profile. What goes in is how many values there are of each kind, and
//! ports, which are numbers: no value can become part of the text, because none is here.

use std::collections::BTreeMap;

use crate::expression::{Expression, read};
use crate::rules::Unreadable;
use crate::tables;

/// Operations by which a file is found.
const LOOK: &str = "file-read-metadata file-test-existence";
/// And read. A clone is a copy, and what is executed is read.
const READ: &str = "file-read* file-read-metadata file-test-existence file-clone file-map-executable";
/// By which it is changed. A second name of a file is a way to change it.
const WRITE: &str = "file-write* file-write-unlink file-link";
/// By which a device is used.
const USE: &str = "file* file-read* file-read-metadata file-test-existence file-write*";
/// So that nothing is forgotten, with what has rules of its own: a rule that names an operation beats one that names its
/// parent, whatever their order, so each form about files names the same operations.
const ALL: &str = "file* file-read* file-read-metadata file-test-existence file-clone file-map-executable \
                   file-write* file-write-unlink file-link";
/// Filters of one form. libsandbox admits 65535 bytes for the patterns of a rule (NixOS/nix#4119); this many paths of the
/// longest kind have half as much.
pub(crate) const MOST: usize = 32;

/// Kinds of values, by their word in a template. Each is a parameter.
pub(crate) const KINDS: [&str; 16] = [
    "home", "ancestor", "system", "device", "terminal", "shown", "writable", "store", "inner", "session", "own",
    "protected", "pin", "socket", "admitted", "bindable",
];
/// Kinds of ports.
const PORTS: [&str; 3] = ["proxy", "local-ports", "publish"];

/// All that the text depends on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    /// Templates, in order: their names, and what they say.
    pub(crate) templates: Vec<(&'static str, &'static str)>,
    /// How many values there are of each kind.
    pub(crate) counts: BTreeMap<&'static str, usize>,
    /// Ports.
    pub(crate) ports: BTreeMap<&'static str, Vec<u16>>,
}

/// Where a filter comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Slot {
    /// It stands in the template.
    Written,
    /// It is a row of a table: the template's word for it, and the name.
    Row(&'static str, String),
    /// It has the value of this kind and number.
    Value(&'static str, usize),
    /// It has a port of this kind.
    Port(&'static str),
}

/// A form of the profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    /// As it is.
    pub(crate) expression: Expression,
    /// The template.
    pub(crate) file: &'static str,
    /// As it stands there.
    pub(crate) template: String,
    /// Where its filters come from.
    pub(crate) slots: Vec<Slot>,
}

/// The name of a parameter.
pub(crate) fn parameter(kind: &str, index: usize) -> String {
    format!("{}_{index}", kind.to_ascii_uppercase())
}

/// The forms of a profile.
pub(crate) fn expand(shape: &Shape) -> Result<Vec<Form>, Unreadable> {
    let mut forms = vec![];
    for (file, template) in &shape.templates {
        for form in read(template)? {
            expand_form(file, &form, shape, &mut forms)?;
        }
    }
    Ok(forms)
}

/// The text of a profile.
pub(crate) fn text(forms: &[Form]) -> String {
    forms.iter().map(|form| format!("{}\n", form.expression)).collect()
}

fn expand_form(file: &'static str, form: &Expression, shape: &Shape, forms: &mut Vec<Form>) -> Result<(), Unreadable> {
    let template = form.to_string();
    let Expression::List(list) = form else { return Err(Unreadable(format!("`{form}` is no form"))) };
    let (filters, head): (Vec<&Expression>, Vec<&Expression>) =
        list.iter().partition(|part| matches!(part, Expression::List(_)));
    let head: Vec<Expression> = head.into_iter().flat_map(operations).collect();
    let mut filled = vec![];
    for filter in &filters {
        filled.extend(fill(filter, shape)?);
    }
    if filters.is_empty() {
        forms.push(Form { expression: Expression::List(head), file, template, slots: vec![] });
        return Ok(());
    }
    // Without values there is no form: left without a filter, it would be about everything.
    for some in filled.chunks(MOST) {
        let parts = head.iter().chain(some.iter().map(|(filter, _)| filter)).cloned().collect();
        let slots = some.iter().map(|(_, slot)| slot.clone()).collect();
        forms.push(Form { expression: Expression::List(parts), file, template: template.clone(), slots });
    }
    Ok(())
}

/// A word of a form's head: a set of operations, or itself.
fn operations(word: &Expression) -> Vec<Expression> {
    let set = match word {
        Expression::Word(word) if word == "{look}" => LOOK,
        Expression::Word(word) if word == "{read}" => READ,
        Expression::Word(word) if word == "{write}" => WRITE,
        Expression::Word(word) if word == "{use}" => USE,
        Expression::Word(word) if word == "{all}" => ALL,
        other => return vec![other.clone()],
    };
    set.split_whitespace().map(|name| Expression::Word(name.into())).collect()
}

/// A filter for each value of what stands in braces in it.
fn fill(filter: &Expression, shape: &Shape) -> Result<Vec<(Expression, Slot)>, Unreadable> {
    let Some(word) = placeholder(filter) else { return Ok(vec![(filter.clone(), Slot::Written)]) };
    if let Some(kind) = KINDS.into_iter().find(|kind| *kind == word) {
        let count = shape.counts.get(kind).copied().unwrap_or_default();
        let value = |index| {
            let name = Expression::Text(parameter(kind, index));
            let list = Expression::List(vec![Expression::Word("param".into()), name]);
            (replaced(filter, &list), Slot::Value(kind, index))
        };
        return Ok((0..count).map(value).collect());
    }
    if let Some(kind) = PORTS.into_iter().find(|kind| *kind == word) {
        let ports = shape.ports.get(kind).map(Vec::as_slice).unwrap_or_default();
        let port = |port: &u16| (replaced(filter, &Expression::Text(port.to_string())), Slot::Port(kind));
        return Ok(ports.iter().map(port).collect());
    }
    let Some((word, names)) = tables::constants(&word) else {
        return Err(Unreadable(format!("{{{word}}} of a template is no kind of values")));
    };
    let row = |name: &str| (replaced(filter, &Expression::Text(name.into())), Slot::Row(word, name.into()));
    Ok(names.into_iter().map(row).collect())
}

/// What stands in braces in a filter.
fn placeholder(filter: &Expression) -> Option<String> {
    match filter {
        Expression::List(list) => list.iter().find_map(placeholder),
        Expression::Word(text) | Expression::Text(text) => {
            let (_, rest) = text.split_once('{')?;
            rest.split_once('}').map(|(word, _)| word.into())
        }
        Expression::Pattern(_) => None,
    }
}

/// The filter with a value where the braces are: a whole word, or, within a string, the end of it.
fn replaced(filter: &Expression, value: &Expression) -> Expression {
    match (filter, value) {
        (Expression::List(list), _) => Expression::List(list.iter().map(|part| replaced(part, value)).collect()),
        (Expression::Word(word), _) if word.starts_with('{') => value.clone(),
        (Expression::Text(text), Expression::Text(value)) => match text.split_once('{') {
            Some((before, _)) => Expression::Text(format!("{before}{value}")),
            None => filter.clone(),
        },
        _ => filter.clone(),
    }
}
