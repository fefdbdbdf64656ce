//! The attack table, as tests see it. A row of `attacks.tsv` says what is attacked, what holds, and what the attacker
//! gets in each mode; the test that the row names asserts exactly that text, so that the page which is made of the
//! table (docs/attacks.md) says what was seen.
#![allow(clippy::panic)] // a test fails by panicking

pub mod race;

use agent_aws_harness::Mode;

const TABLE: &str = include_str!("../attacks.tsv");

/// What the table promises of the test function it is written in, in this mode.
#[macro_export]
macro_rules! promised {
    ($mode:expr) => {{
        fn here() {}
        $crate::promised(std::any::type_name_of_val(&here), $mode)
    }};
}

/// The result that the row of a test function has for a mode. `function` may be the path of something within it.
#[track_caller]
pub fn promised(function: &str, mode: Mode) -> &'static str {
    let function = function.trim_end_matches("::here").rsplit("::").next().unwrap_or_default();
    let mut rows = TABLE.lines().filter(|line| !line.starts_with('#')).map(|line| line.split('\t').collect::<Vec<_>>());
    let columns = rows.next().unwrap_or_default();
    let cell = |row: &[&'static str], name: &str| {
        let at = columns.iter().position(|column| *column == name);
        at.and_then(|at| row.get(at).copied()).unwrap_or_else(|| panic!("no cell {name} in {row:?}"))
    };
    let suffix = format!("::{function}");
    let ours = |row: &Vec<&'static str>| {
        cell(row, "test").split(", ").any(|test| test.starts_with("attacks/") && test.ends_with(&suffix))
    };
    let mut found = rows.filter(|row| row.len() > 1).filter(ours);
    match (found.next(), found.next()) {
        (Some(row), None) => cell(&row, &mode.to_string()),
        (Some(_), Some(_)) => panic!("more than one row of the table has {function}"),
        (None, _) => panic!("no row of the table has {function}"),
    }
}
