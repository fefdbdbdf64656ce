//! `doctor`: for each feature that a session needs, what is asked, what this machine gives, and by what; first as far as
//! the caller can see, then what the helper sees.

mod deep;
mod groups;
mod installation;
mod kernel;
mod network;

use agent_aws_policy::{Policy, Sandbox};
use agent_aws_protocol::{Exit, HelperToCli, Request};
use serde_json::json;

use crate::args::Doctor;
use crate::command::policy;
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

    /// Ok, or this one.
    fn unless(self, fine: bool) -> Self {
        if fine { Self::Ok } else { self }
    }
}

/// One row of the report.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    grade: Grade,
    what: String,
    /// What a session needs, or what policy asks for.
    asked: String,
    /// What is there.
    given: String,
    /// The system call, setting or file that gives it, or keeps it away.
    by: String,
    /// What to do if it does not do.
    fix: Option<String>,
}

impl Finding {
    fn new(
        grade: Grade,
        what: &str,
        asked: impl Into<String>,
        given: impl Into<String>,
        by: impl Into<String>,
    ) -> Self {
        Self { grade, what: what.to_owned(), asked: asked.into(), given: given.into(), by: by.into(), fix: None }
    }

    /// What to do, unless it is fine.
    fn fix(self, fix: impl Into<String>) -> Self {
        let fix = (self.grade != Grade::Ok).then(|| fix.into());
        Self { fix, ..self }
    }

    fn row(&self) -> Vec<String> {
        [self.grade.word(), &self.what, &self.asked, &self.given, &self.by].map(say::escaped).to_vec()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "grade": self.grade.word(),
            "what": self.what,
            "asked": self.asked,
            "given": self.given,
            "by": self.by,
            "fix": self.fix,
        })
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
    let finding = |grade, what, given: &str| Finding::new(grade, what, "", given, "agent-aws-helper");
    match (what, detail) {
        (Some(what), detail) => finding(grade, what, detail.unwrap_or_default()),
        (None, _) => finding(Grade::Warn, "helper", line),
    }
}

/// What sessions here may ask for: the sandboxes of the policy, as far as the caller can read it.
struct Asked(Option<Policy>);

impl Asked {
    /// Names of the sandboxes for which this holds.
    fn by(&self, holds: impl Fn(&Sandbox) -> bool) -> Vec<&str> {
        let all = self.0.iter().flat_map(|policy| &policy.sandboxes);
        all.filter(|sandbox| holds(sandbox)).map(|sandbox| sandbox.name.as_str()).collect()
    }
}

/// What to do about a kernel that gave less than was needed.
pub(crate) fn advice_on_kernel() -> String {
    match kernel::user_namespaces_off().filter(|_| !installation::is_setuid()) {
        Some(by) => {
            format!("{by}: without the setuid bit a sandbox needs user namespaces; allow them, or install setuid root")
        }
        None => "`agent-aws doctor` shows what this kernel gives, and by what".into(),
    }
}

/// All that the caller can see, in the order in which a session would fail.
fn seen() -> Vec<Finding> {
    let asked = Asked(policy::installed());
    let mut findings = installation::all();
    findings.extend(kernel::all(&asked));
    findings.extend(groups::all(&asked));
    findings.extend(network::all(&asked));
    findings.extend(installation::users());
    findings.push(installation::policy_file());
    findings.push(installation::clock());
    findings
}

/// Looks, prints, and fails if anything does.
pub(super) fn perform(options: &Doctor) -> Result<Exit, Failure> {
    let mut findings = seen();
    findings.extend(ask_helper());
    if options.deep {
        findings.extend(deep::all(options.allow_root));
    }
    if options.json {
        say::json(&findings.iter().map(Finding::json).collect())?;
    } else {
        say::out(&text(&findings))?;
    }
    let bad = findings.iter().any(|f| f.grade == Grade::Fail);
    Ok(Exit::Code(i32::from(bad)))
}

/// A table, and below each row that needs something done, what that is.
fn text(findings: &[Finding]) -> String {
    let head = ["", "feature", "asked", "given", "by"].map(str::to_owned).to_vec();
    let rows: Vec<_> = std::iter::once(head).chain(findings.iter().map(Finding::row)).collect();
    let table = say::table(&rows);
    let fixes = std::iter::once(None).chain(findings.iter().map(|f| f.fix.as_ref()));
    let mut text = String::new();
    for (line, fix) in table.lines().zip(fixes) {
        text.push_str(line);
        text.push('\n');
        if let Some(fix) = fix {
            text.push_str(&format!("      -> {}\n", say::escaped(fix)));
        }
    }
    text
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
        findings.push(Finding::new(Grade::Fail, "helper", "an answer", failure.to_string(), "agent-aws-helper"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helpers_lines_are_read_and_odd_ones_are_kept() {
        let row = |line| {
            let finding = parse(line);
            (finding.grade, finding.what, finding.given)
        };
        assert_eq!(row("ok\tpolicy\tfine\tso"), (Grade::Ok, "policy".into(), "fine\tso".into()));
        assert_eq!(row("fail\tx"), (Grade::Fail, "x".into(), String::new()));
        assert_eq!(row("hello"), (Grade::Warn, "helper".into(), "hello".into()));
    }

    #[test]
    fn every_row_says_what_is_asked_what_is_given_by_what_and_what_to_do() {
        let findings = seen();
        assert!(findings.len() >= 15, "{findings:#?}");
        for f in &findings {
            assert!(![&f.what, &f.asked, &f.given, &f.by].iter().any(|cell| cell.is_empty()), "{f:?}");
            assert_eq!(f.fix.is_some(), f.grade != Grade::Ok, "{f:?}");
        }
    }

    #[test]
    fn what_to_do_stands_below_its_row() {
        let bad = Finding::new(Grade::Fail, "a", "b", "c", "d").fix("do e");
        let good = Finding::new(Grade::Ok, "f", "g", "h", "i").fix("nothing");
        let text = text(&[bad, good]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "      feature  asked  given  by", "fail  a        b      c      d", "      -> do e",
                "ok    f        g      h      i"
            ]
        );
    }
}
