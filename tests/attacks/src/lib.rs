//! The attack table, as tests see it. A row of `attacks.tsv` says what is attacked, what holds, and what the attacker
//! gets in each mode; the test that the row names asserts exactly that text, so that the page which is made of the
//! table (docs/attacks.md) says what was seen.
#![allow(clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

pub mod race;
pub mod table;

use agent_aws_harness::Mode;

use table::Table;

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
pub fn promised(function: &str, mode: Mode) -> String {
    let function = function.trim_end_matches("::here").rsplit("::").next().unwrap_or_default();
    let suffix = format!("::{function}");
    let table = Table::parse(TABLE);
    let ours = |test: &str| test.starts_with("attacks/") && test.ends_with(&suffix);
    let rows: Vec<_> = table.rows().filter(|row| row.get("test").split(", ").any(ours)).collect();
    match rows.as_slice() {
        [row] => row.get(&mode.to_string()).to_owned(),
        rows => panic!("{} rows of the table have {function}", rows.len()),
    }
}
