//! Each clause is needed: without it some row is decided wrongly. What survives is in `survivors.tsv`, with its reason.

use std::collections::{BTreeMap, BTreeSet};

use super::rows::{self, Row};
use super::scenario::ALL;
use crate::rules::Rule;
use crate::{Profile, Reading, Rules};

const SURVIVORS: &str = include_str!("survivors.tsv");

/// What is taken away: a form, one of its filters, or one of its operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mutant {
    Form(usize),
    Filter(usize, usize),
    Operation(usize, &'static str),
}

impl Mutant {
    fn has(self, rule: &Rule) -> bool {
        match self {
            Self::Form(form) => rule.form == form,
            Self::Filter(form, part) => rule.form == form && rule.part == part,
            Self::Operation(form, name) => rule.form == form && rule.operation == name,
        }
    }

    /// Where it stands, the same for every session.
    fn name(self, profile: &Profile) -> String {
        let template = |form: usize| profile.forms[form].template.clone();
        let file = match self {
            Self::Form(form) | Self::Operation(form, _) | Self::Filter(form, _) => profile.forms[form].file,
        };
        match self {
            Self::Form(form) => format!("{file}\t{}", template(form)),
            Self::Operation(form, name) => format!("{file}\t{name} of {}", template(form)),
            Self::Filter(form, part) => {
                let (filter, value, _) = profile.part(&profile.forms[form], part);
                let filter = value.map_or(filter.trim().to_owned(), |value| format!("`{value}`"));
                format!("{file}\t{filter} of {}", template(form))
            }
        }
    }
}

/// Every mutant, and by each reading the rows that rules decide which it takes away: no other row can change.
fn mutants(profile: &Profile, rows: &[Row]) -> BTreeMap<Mutant, Vec<(Reading, usize)>> {
    let mut found: BTreeMap<Mutant, Vec<(Reading, usize)>> = BTreeMap::new();
    for rule in &profile.rules.rules {
        found.entry(Mutant::Form(rule.form)).or_default();
        found.entry(Mutant::Operation(rule.form, rule.operation)).or_default();
        if profile.forms[rule.form].slots.len() > 1 {
            found.entry(Mutant::Filter(rule.form, rule.part)).or_default();
        }
    }
    for reading in Reading::ALL {
        for (index, row) in rows.iter().enumerate() {
            let decision = profile.rules.decide(reading, row.operation, &row.thing.object()).unwrap();
            let Some((form, part)) = decision.by else { continue };
            for mutant in [Mutant::Form(form), Mutant::Operation(form, decision.operation), Mutant::Filter(form, part)]
            {
                if let Some(rows) = found.get_mut(&mutant) {
                    rows.push((reading, index));
                }
            }
        }
    }
    found
}

fn is_killed(mutant: Mutant, by: &[(Reading, usize)], profile: &Profile, rows: &[Row]) -> bool {
    if by.is_empty() {
        return false;
    }
    let rest = profile.rules.rules.iter().filter(|rule| !mutant.has(rule)).cloned();
    let without = Rules::from(rest.collect::<Vec<Rule>>());
    by.iter().any(|(reading, index)| {
        let row = &rows[*index];
        let decision = without.decide(*reading, row.operation, &row.thing.object());
        decision.is_ok_and(|decision| decision.allowed != row.allowed)
    })
}

#[test]
fn without_any_clause_filter_or_operation_some_row_is_wrong_or_it_is_said_why_not() {
    let (mut killed, mut alive) = (BTreeSet::new(), BTreeSet::new());
    for of in ALL {
        let (profile, rows) = (of.profile(), rows::all(of));
        for (mutant, by) in mutants(&profile, &rows) {
            let name = mutant.name(&profile);
            match killed.contains(&name) || is_killed(mutant, &by, &profile, &rows) {
                true => killed.insert(name),
                false => alive.insert(name),
            };
        }
    }
    let survivors: Vec<&String> = alive.difference(&killed).collect();
    let lines = SURVIVORS.lines().filter(|line| !line.starts_with('#'));
    let explained: BTreeMap<&str, &str> = lines.map(|line| line.rsplit_once('\t').unwrap()).collect();
    assert!(explained.values().all(|reason| reason.len() > 20), "a survivor without a reason");
    let new: Vec<_> = survivors.iter().filter(|name| !explained.contains_key(name.as_str())).collect();
    let gone: Vec<_> = explained.keys().filter(|name| !alive.contains(**name) || killed.contains(**name)).collect();
    assert!(new.is_empty() && gone.is_empty(), "of {} new: {new:#?}, gone: {gone:#?}", killed.len() + survivors.len());
    assert!(killed.len() > 500, "{}", killed.len());
}
