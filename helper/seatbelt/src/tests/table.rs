//! The profiles, held to the rows; and a profile that only looks like one, which the rows must find.

use super::rows::{self, Row, Thing};
use super::scenario::{ALL, HOME, PROJECT};
use crate::{Reading, Rules, Whose};

/// The rows that a profile gets wrong, by a reading.
fn wrong(rules: &Rules, rows: &[Row], reading: Reading) -> Vec<String> {
    let wrong = rows.iter().filter_map(|row| {
        let decision = rules.decide(reading, row.operation, &row.thing.object()).unwrap();
        (decision.allowed != row.allowed).then(|| format!("{reading:?}: {row:?}"))
    });
    wrong.collect()
}

#[test]
fn no_row_of_any_session_is_decided_wrongly_by_any_reading_of_the_rules() {
    let mut count = 0;
    for of in ALL {
        let (profile, rows) = (of.profile(), rows::all(of));
        count += rows.len();
        for reading in Reading::ALL {
            let wrong = wrong(&profile.rules, &rows, reading);
            let some: Vec<_> = wrong.iter().take(12).collect();
            assert!(wrong.is_empty(), "{of:?}: {} of {} wrong: {some:#?}", wrong.len(), rows.len());
        }
    }
    assert!(count > 50_000, "{count}");
}

/// A profile that hides what one thinks of first.
const NAIVE: &str =
    "(version 1)\n(allow default)\n(deny file-read* (subpath (param \"AWS\")) (subpath (param \"AGENT\")))";

#[test]
fn the_table_finds_a_profile_wrong_that_only_denies_reading_two_directories() {
    let (aws, agent) = (format!("{HOME}/.aws"), format!("{HOME}/.agent-aws"));
    let naive = Rules::read(NAIVE, [("AWS", aws.as_str()), ("AGENT", agent.as_str())].into_iter()).unwrap();
    let rows = rows::all(ALL[0]);
    let denied = rows.iter().filter(|row| !row.allowed).count();
    let wrong = wrong(&naive, &rows, Reading::Measured);
    assert!(wrong.len() * 100 > denied * 98, "{} of {denied}", wrong.len());
    let may =
        |operation, path: &str| naive.decide(Reading::Measured, operation, &crate::Object::Path(path)).unwrap().allowed;
    assert!(!may("file-read-data", "/Users/alice/.aws/credentials"));
    assert!(may("file-write-unlink", "/Users/alice/.aws"), "mv ~/.aws ~/x");
    assert!(may("file-read-data", "/Users/alice/x/credentials"), "cat ~/x/credentials");
}

#[test]
fn moving_a_store_away_and_reading_it_there_is_denied_at_the_first_step() {
    for of in ALL {
        let profile = of.profile();
        for path in
            ["/Users/alice/.aws", "/Users/alice/.aws/credentials", HOME, "/Users/alice/.config", "/Users/alice/Library"]
        {
            let verdict = profile.may("file-write-unlink", &crate::Object::Path(path)).unwrap();
            assert!(!verdict.allowed, "{of:?}: {verdict}");
        }
    }
}

/// An object of `rows.tsv`.
fn thing(text: &str) -> Thing {
    let at = |path: &str| match (path.strip_prefix('~'), path.strip_prefix("project")) {
        (Some(rest), _) => format!("{HOME}{rest}"),
        (_, Some(rest)) => format!("{PROJECT}{rest}"),
        _ => path.to_owned(),
    };
    let port = |port: &str| port.parse().unwrap();
    match text.split_once(' ') {
        _ if text == "-" => Thing::Nothing,
        Some(("socket", path)) => Thing::Socket(at(path)),
        Some(("terminal", path)) => Thing::OwnTerminal(at(path)),
        Some(("service", name)) => Thing::Service(name.into()),
        Some(("setting", name)) => Thing::Setting(name.into()),
        Some(("process", "other")) => Thing::Process(Whose::Other),
        Some(("process", "child")) => Thing::Process(Whose::SameSandbox),
        Some(("localhost", digits)) => Thing::Address(true, port(digits)),
        Some(("address", digits)) => Thing::Address(false, port(digits)),
        _ => Thing::Path(at(text)),
    }
}

#[test]
fn the_rows_of_the_manual_are_decided_as_it_says() {
    let (guarded, strict) = (ALL[0].profile(), ALL[1].profile());
    let lines = include_str!("rows.tsv").lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let rows: Vec<Vec<&str>> = lines.skip(1).map(|line| line.split('\t').collect()).collect();
    assert!(rows.len() > 50);
    for row in rows {
        let object = thing(row[2]);
        for (profile, expected) in [(&guarded, row[3]), (&strict, row[4])] {
            let verdict = profile.may(row[1], &object.object()).unwrap();
            assert_eq!(if verdict.allowed { "allowed" } else { "denied" }, expected, "{row:?}: {verdict}");
        }
    }
}
