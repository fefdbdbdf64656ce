//! Decide: policy, the caller and the request become a grant, or one fixed text.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use agent_aws_plan::{Grant, grant, minting, model_minting};
use agent_aws_policy::{Ask as PolicyAsk, Decision, Denial, Granted, Network, Policy, Sandbox, SourceKind, Wanted};
use agent_aws_protocol::{Ask, FailureCode, Minting, ModelAsk, Refusal, RunRequest};

use crate::installation::{open_directory_of_root, open_file_of_root};
use crate::refusal::{advise, refuse};
use crate::subject::Person;

/// Everything that follows from the decision.
pub(crate) struct Granting {
    /// For the plan.
    pub(crate) grant: Grant,
    /// For each broker: that of the task, and that of the model if there is one.
    pub(crate) mandates: Vec<Mandate>,
}

/// What one broker is for.
pub(crate) struct Mandate {
    /// What it is told.
    pub(crate) minting: Minting,
    /// Where the credentials of a system source are.
    pub(crate) kind: Option<SourceKind>,
    /// The file of it, where it has one.
    pub(crate) source: Option<SourceFile>,
}

/// A root-owned file of a source: its directory stays open, so that it can be reopened at each renewal.
pub(crate) struct SourceFile {
    directory: OwnedFd,
    path: PathBuf,
    secret: bool,
}

impl SourceFile {
    /// Opens it as it is now: rotation works by replacing the file. One that is not secret is a program, which the broker
    /// executes by its name: it is looked at, and not handed over.
    pub(crate) fn open(&self) -> Result<Option<OwnedFd>, String> {
        let name = self.path.file_name().unwrap_or_default();
        let file = open_file_of_root(&self.directory, Path::new(name), self.secret)
            .map_err(|what| format!("{}: {what}", self.path.display()))?;
        Ok(self.secret.then_some(file))
    }
}

impl Mandate {
    fn new(minting: Minting, decision: &Decision<'_>) -> Result<Self, Refusal> {
        let kind = match &decision.identity {
            Granted::Policy(_, source) => Some(source.kind.clone()),
            Granted::Own { .. } => None,
        };
        let source = kind.as_ref().map(open_source).transpose()?.flatten();
        Ok(Self { minting, kind, source })
    }
}

/// What a request asks of policy.
pub(crate) fn ask<'a>(identity: &'a Ask, sandbox: Option<&'a str>, network: Option<Network>) -> PolicyAsk<'a> {
    PolicyAsk { wanted: Wanted::of(identity), sandbox, network }
}

/// Decides which identity a model is asked with, if one is: now, and again before each of its refreshes.
pub(crate) fn model<'p>(
    policy: &'p Policy,
    person: &Person,
    first: &Decision<'p>,
    asked: &'p ModelAsk,
) -> Result<Option<Decision<'p>>, Denial> {
    match asked {
        ModelAsk::Without => Ok(None),
        ModelAsk::OfSandbox => policy.decide_model(&person.subject, first, None),
        ModelAsk::Asked(identity) => policy.decide_model(&person.subject, first, Some(Wanted::of(identity))),
    }
}

/// Decides a run. The text for an identity that does not exist and for one that is not the caller's is the same.
pub(crate) fn decide(
    policy: &Policy,
    person: &Person,
    request: &RunRequest,
    session: &str,
) -> Result<Granting, Refusal> {
    let network = network(request.network.as_deref())?;
    let asked = ask(&request.identity, request.sandbox.as_deref(), network);
    let decision = policy.decide(&person.subject, &asked).map_err(|denial| denied(&denial))?;
    granting(policy, &decision, person, request, session)
}

fn network(word: Option<&str>) -> Result<Option<Network>, Refusal> {
    let unknown = || refuse(FailureCode::BadRequest, "--network is one of none, filtered, shared");
    word.map(|word| Network::from_word(word).ok_or_else(unknown)).transpose()
}

/// A denial in words.
pub(crate) fn denied(denial: &Denial) -> Refusal {
    let code = match denial {
        Denial::NotGranted => FailureCode::NotGranted,
        Denial::NoChoice { offers } if offers.is_empty() => FailureCode::NotGranted,
        _ => FailureCode::BadRequest,
    };
    let advice = match denial {
        Denial::NotGranted => "`agent-aws identities` lists what you may use",
        Denial::NoChoice { .. } => {
            "name one with --as NAME or --profile NAME, or set one: agent-aws config default NAME"
        }
        _ => "see `agent-aws identities`",
    };
    advise(code, denial, advice)
}

fn granting(
    policy: &Policy,
    decision: &Decision<'_>,
    person: &Person,
    request: &RunRequest,
    session: &str,
) -> Result<Granting, Refusal> {
    let bad = |text: String| refuse(FailureCode::BadRequest, text);
    let login = &person.caller.login;
    let minting = minting(decision, login, request, session).map_err(bad)?;
    published(decision.sandbox, request)?;
    let second = model(policy, person, decision, &request.model).map_err(|denial| model_denied(&denial))?;
    let second = second.map(|it| (model_minting(&it, login, request, session), it));
    let both = (&minting, second.as_ref().map(|(minting, _)| minting));
    let grant = grant(policy, decision, request, both, (session, &person.caller.home)).map_err(bad)?;
    let all = [(minting, *decision)].into_iter().chain(second);
    let mandates = all.map(|(minting, decision)| Mandate::new(minting, &decision)).collect::<Result<_, _>>()?;
    Ok(Granting { grant, mandates })
}

fn model_denied(denial: &Denial) -> Refusal {
    let refusal = denied(denial);
    let advice = "`agent-aws identities` lists what you may use; --no-model-identity goes without";
    advise(refusal.code, format_args!("the identity of the model: {}", refusal.text), advice)
}

/// Whether policy lets the caller have the ports that they want on the host's loopback.
fn published(sandbox: &Sandbox, request: &RunRequest) -> Result<(), Refusal> {
    match request.publish.iter().find(|port| !sandbox.publish.iter().any(|range| range.contains(port))) {
        None => Ok(()),
        Some(port) => {
            let text = format!("--publish {port}: sandbox `{}` does not let you", sandbox.name);
            Err(advise(FailureCode::NotGranted, text, "ask your administrator for `publish` in its policy"))
        }
    }
}

/// The file of a source, if it has one: opened now, so that a session does not begin without.
fn open_source(kind: &SourceKind) -> Result<Option<SourceFile>, Refusal> {
    let Some((path, secret)) = kind.file() else { return Ok(None) };
    let advice = "ask your administrator: the source of this identity is not usable";
    let fail = |what: String| advise(FailureCode::Credentials, format_args!("source: {what}"), advice);
    let directory = open_directory_of_root(path.parent().unwrap_or(Path::new("/"))).map_err(fail)?;
    let file = SourceFile { directory, path: path.into(), secret };
    file.open().map_err(fail)?;
    Ok(Some(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_for_a_denied_and_for_an_unknown_identity_is_one_constant() {
        let refusal = denied(&Denial::NotGranted);
        assert_eq!(refusal.code, FailureCode::NotGranted);
        assert!(!refusal.text.contains('`'));
    }
}
