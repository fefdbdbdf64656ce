//! Why a decision is what it is.

use std::fmt;

use crate::rule::Target;
use crate::{Ask, Decision, Denial, Granted, Policy, Position, Rule, RuleKind, Subject};

/// What one rule has to say to an ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It allows the identity, in this sandbox. A deny still wins.
    Allows {
        /// The sandbox.
        sandbox: String,
    },
    /// It denies the identity.
    Denies,
    /// It speaks of the subject, but of other identities.
    OtherIdentity,
    /// It speaks of the subject. What it says of the identity is not told: the ask was denied, and an answer would
    /// tell an identity that exists from one that does not; or no identity was named.
    Applies,
    /// It would speak of the subject, but the database does not list them in this group of their process.
    GroupOnlyInProcess {
        /// The group, as the rule has it.
        group: String,
    },
    /// It would speak of the subject, but their process lacks this group: they must log in again.
    GroupOnlyInDatabase {
        /// The group, as the rule has it.
        group: String,
    },
    /// It speaks of others. Only an admin sees these.
    OtherSubject,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allows { sandbox } => write!(f, "allows it in sandbox {sandbox}"),
            Self::Denies => f.write_str("denies it"),
            Self::OtherIdentity => f.write_str("is about other identities"),
            Self::Applies => f.write_str("is about you"),
            Self::GroupOnlyInProcess { group } => {
                write!(f, "is about group {group}, in which the user database does not have you")
            }
            Self::GroupOnlyInDatabase { group } => write!(f, "is about group {group}: log in again to be in it"),
            Self::OtherSubject => f.write_str("is about others"),
        }
    }
}

/// A rule in an explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleReport<'p> {
    /// Allow or deny.
    pub kind: RuleKind,
    /// Where it stands.
    pub position: &'p Position,
    /// What it says.
    pub verdict: Verdict,
}

/// A decision and the rules behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation<'p> {
    /// The decision itself, exactly as [`Policy::decide`] makes it.
    pub outcome: Result<Decision<'p>, Denial>,
    /// The rules, denies first: for an admin all, for others those that speak of the subject.
    pub rules: Vec<RuleReport<'p>>,
}

impl Policy {
    /// Explains the decision for an ask. Without `admin`, only rules that speak of the subject are shown, and an
    /// identity that is denied is explained exactly as one that does not exist.
    pub fn explain<'p>(&'p self, subject: &Subject, ask: &Ask<'p>, admin: bool) -> Explanation<'p> {
        let outcome = self.decide(subject, ask);
        let hidden = !admin && outcome == Err(Denial::NotGranted);
        let identity = self.wanted(subject, ask.wanted).ok().flatten().filter(|_| !hidden);
        let target = identity.as_ref().map(Granted::target);
        let report = |rule: &'p Rule| {
            let verdict = verdict(rule, subject, target);
            RuleReport { kind: rule.kind, position: &rule.position, verdict }
        };
        let rules = self.denies.iter().chain(&self.allows).map(report);
        let rules = rules.filter(|report| admin || report.verdict != Verdict::OtherSubject).collect();
        Explanation { outcome, rules }
    }
}

impl Explanation<'_> {
    /// In words, a line each. `to` is whom it is about, where that is not who reads it.
    pub fn in_words(&self, policy: &Policy, subject: &Subject, to: Option<&str>) -> String {
        let to = to.map(|to| format!(" to {to}")).unwrap_or_default();
        let mut text = match &self.outcome {
            Ok(decision) => {
                let model = match policy.decide_model(subject, decision, None) {
                    Ok(model) => model.map(|it| format!(", its model as {}", it.identity)),
                    Err(_) => Some(", its model denied: --no-model-identity".into()),
                };
                let Decision { identity, sandbox, network, rule } = decision;
                let (model, sandbox) = (model.unwrap_or_default(), &sandbox.name);
                format!("granted{to}: {identity} in sandbox {sandbox} (network {network}{model}), by {rule}\n")
            }
            Err(denial) => format!("not granted{to}: {denial}\n"),
        };
        for RuleReport { kind, position, verdict } in &self.rules {
            text.push_str(&format!("  {kind} {position}: {verdict}\n"));
        }
        text
    }
}

fn verdict(rule: &Rule, subject: &Subject, target: Option<Target<'_>>) -> Verdict {
    match (target, &rule.sandbox) {
        _ if !rule.applies_to(subject) => rule.near_miss(subject).unwrap_or(Verdict::OtherSubject),
        (None, _) => Verdict::Applies,
        (Some(target), _) if !rule.covers(target) => Verdict::OtherIdentity,
        (Some(_), Some(sandbox)) => Verdict::Allows { sandbox: sandbox.clone() },
        (Some(_), None) => Verdict::Denies,
    }
}
