//! The test functions that tables name: where they are, and in which modes each is run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// All that a table may name.
#[derive(Debug)]
pub(crate) struct Cases {
    root: PathBuf,
}

/// One line of a suite's table.
#[derive(Debug, Default, PartialEq, Eq)]
struct Case {
    setuid_only: bool,
    unprivileged_only: bool,
    ignored: Option<String>,
}

impl Cases {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// There is such a test: `PART/FILE.rs::FUNCTION` is a case of the suite tests/PART/tests/FILE.rs,
    /// `unit CRATE::FUNCTION` a function beside the code of a crate.
    pub(crate) fn look(&self, test: &str) -> Result<(), String> {
        match test.strip_prefix("unit ") {
            Some(unit) => self.unit(unit),
            None => self.case(test).map(drop),
        }
    }

    fn unit(&self, test: &str) -> Result<(), String> {
        let missing = || format!("there is no unit test {test}");
        let (directory, function) = test.split_once("::").ok_or_else(missing)?;
        let wanted = format!("fn {function}(");
        let has = |file: &PathBuf| fs::read_to_string(file).is_ok_and(|text| text.contains(&wanted));
        match files(&self.root.join(directory)).iter().any(has) {
            true => Ok(()),
            false => Err(missing()),
        }
    }

    fn case(&self, test: &str) -> Result<Case, String> {
        let missing = || format!("there is no test {test}");
        let (file, function) = test.split_once("::").ok_or_else(missing)?;
        let (part, file) = file.split_once('/').ok_or_else(missing)?;
        let text = fs::read_to_string(self.root.join("tests").join(part).join("tests").join(file));
        let text = text.map_err(|e| format!("{test}: {e}"))?;
        cases(&text).remove(function).ok_or_else(missing)
    }

    /// What these tests, together, show in `mode`.
    pub(crate) fn result(&self, tests: &[&str], mode: &str) -> Result<String, String> {
        if tests.is_empty() {
            return Err("`=` in a row without a test".into());
        }
        let mut reasons = Vec::new();
        for test in tests {
            let case = if test.starts_with("unit ") { Case::default() } else { self.case(test)? };
            let runs = match mode {
                "setuid" => !case.unprivileged_only,
                "unprivileged" => !case.setuid_only,
                other => return Err(format!("`=` in the column `{other}`, which is no mode")),
            };
            match (runs, case.ignored) {
                (true, None) => return Ok("held".into()),
                (true, Some(reason)) => reasons.push(reason),
                (false, _) => {}
            }
        }
        Ok(reasons.pop().map_or_else(|| "-".into(), |reason| format!("open: {reason}")))
    }
}

/// Every Rust file below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(below).filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

/// The table of a suite: `case!(NAME)` and what follows it, up to the next case or the end of the table.
fn cases(text: &str) -> BTreeMap<String, Case> {
    let table = text.split_once("const CASES").map_or("", |(_, rest)| rest);
    let table = table.split_once("\n];").map_or("", |(table, _)| table);
    let one = |text: &str| {
        let (name, rest) = text.split_once(')')?;
        let ignored = rest.split_once(".ignored(").and_then(|(_, why)| why.split('"').nth(1)).map(str::to_owned);
        let modifiers = rest.split(".ignored(").next().unwrap_or_default();
        let (setuid_only, unprivileged_only) = (modifiers.contains(".setuid()"), modifiers.contains(".unprivileged()"));
        Some((name.to_owned(), Case { setuid_only, unprivileged_only, ignored }))
    };
    table.split("case!(").skip(1).filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suites_table_tells_modes_and_reasons() {
        let text = "const CASES: &[Case] = &[\n    case!(one),\n    case!(two).setuid().private(),\n    case!(three)\n        \
                    .ignored(\"why (so)\"),\n];\nfn x() { case!(no) }\n";
        let found = cases(text);
        assert_eq!(found.len(), 3);
        assert_eq!(found["one"], Case::default());
        assert!(found["two"].setuid_only);
        assert_eq!(found["three"].ignored.as_deref(), Some("why (so)"));
    }

    #[test]
    fn a_result_is_that_of_the_test_which_runs_in_the_mode() {
        let cases = Cases::new(Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap());
        let setuid = ["e2e/privilege.rs::the_root_of_the_supervisor_is_empty"];
        assert_eq!(cases.result(&setuid, "setuid").unwrap(), "held");
        assert_eq!(cases.result(&setuid, "unprivileged").unwrap(), "-");
        let open = ["e2e/entry_caller.rs::the_uid_that_means_unchanged_is_refused"];
        assert!(cases.result(&open, "setuid").unwrap().starts_with("open: the kernel gives no process"));
    }
}
