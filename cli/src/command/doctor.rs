//! `doctor`: what keeps agent-aws from working here, as far as the caller can see, then what the helper sees.

mod checks;

use agent_aws_protocol::{Exit, HelperToCli, Request};
use serde_json::json;

use crate::failure::Failure;
use crate::helper::{question, unexpected};
use crate::say;

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Grade {
    Ok,
    Warn,
    Fail,
}

impl Grade {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// One line of the report.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    grade: Grade,
    what: String,
    /// What was found, and what to do about it.
    detail: String,
}

impl Finding {
    fn new(grade: Grade, what: &str, detail: impl Into<String>) -> Self {
        Self { grade, what: what.to_owned(), detail: detail.into() }
    }
}

/// A line of the helper's: grade, what and detail with tabs between them. Any other line is shown as it is.
fn parse(line: &str) -> Finding {
    let mut cells = line.splitn(3, '\t');
    let (grade, what, detail) = (cells.next(), cells.next(), cells.next());
    let grade = match grade {
        Some("ok") => Grade::Ok,
        Some("fail") => Grade::Fail,
        _ => Grade::Warn,
    };
    match (what, detail) {
        (Some(what), detail) => Finding::new(grade, what, detail.unwrap_or_default()),
        (None, _) => Finding::new(Grade::Warn, "helper", line),
    }
}

/// What to do about a kernel that gave less than was needed.
pub(crate) fn advice_on_kernel() -> String {
    match checks::user_namespaces_off().filter(|_| !checks::is_setuid()) {
        Some(by) => {
            format!("{by}: without the setuid bit a sandbox needs user namespaces; allow them, or install setuid root")
        }
        None => "`agent-aws doctor` shows what this kernel gives, and by what".into(),
    }
}

/// Looks, prints, and fails if anything does.
pub(super) fn perform(as_json: bool) -> Result<Exit, Failure> {
    let mut findings = checks::all();
    findings.extend(ask_helper());
    if as_json {
        let row = |f: &Finding| json!({ "grade": f.grade.word(), "what": f.what, "detail": f.detail });
        say::json(&findings.iter().map(row).collect())?;
    } else {
        let row = |f: &Finding| [f.grade.word(), &f.what, &f.detail].map(say::escaped).to_vec();
        say::out(&say::table(&findings.iter().map(row).collect::<Vec<_>>()))?;
    }
    let bad = findings.iter().any(|f| f.grade == Grade::Fail);
    Ok(Exit::Code(i32::from(bad)))
}

/// What the privileged side sees; that it does not answer is a finding too.
fn ask_helper() -> Vec<Finding> {
    let mut text = String::new();
    let answer = question(Request::Doctor, |message| match message {
        HelperToCli::Text(piece) => {
            text.push_str(&piece);
            Ok(())
        }
        other => Err(unexpected(&other)),
    });
    let mut findings: Vec<_> = text.lines().filter(|l| !l.is_empty()).map(parse).collect();
    if let Err(failure) = answer {
        findings.push(Finding::new(Grade::Fail, "helper", failure.to_string()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helpers_lines_are_read_and_odd_ones_are_kept() {
        assert_eq!(parse("ok\tpolicy\tfine\tso"), Finding::new(Grade::Ok, "policy", "fine\tso"));
        assert_eq!(parse("fail\tx"), Finding::new(Grade::Fail, "x", ""));
        assert_eq!(parse("hello"), Finding::new(Grade::Warn, "helper", "hello"));
    }

    #[test]
    fn every_local_check_comes_to_a_verdict() {
        let findings = checks::all();
        assert!(findings.len() >= 8);
        assert!(findings.iter().all(|f| !f.what.is_empty() && !f.detail.is_empty()));
    }
}
