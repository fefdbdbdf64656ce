//! Decide: policy, the caller and the request become a grant, or one fixed text.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use agent_aws_plan::{Grant, facts, minting};
use agent_aws_policy::{
    Ask as PolicyAsk, Decision, Denial, Granted, Network, Policy, Reach, Sandbox, SourceKind, Wanted, is_region,
};
use agent_aws_protocol::{Ask, FailureCode, Minting, Refusal, RunRequest};

use crate::installation::{open_directory_of_root, open_file_of_root};
use crate::refusal::{advise, refuse};
use crate::subject::Person;

/// Everything that follows from the decision.
pub(crate) struct Granting {
    /// For the plan.
    pub(crate) grant: Grant,
    /// For the broker.
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

/// What a request asks of policy.
pub(crate) fn ask<'a>(identity: &'a Ask, sandbox: Option<&'a str>, network: Option<Network>) -> PolicyAsk<'a> {
    let wanted = match identity {
        Ask::Named(name) => Wanted::called(name),
        Ask::Own(profile) => Wanted::Own(profile),
        Ask::Unnamed => Wanted::Unnamed,
    };
    PolicyAsk { wanted, sandbox, network }
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
    let sandbox = decision.sandbox;
    let minting = minting(decision, &person.caller.login, request, session)
        .map_err(|text| refuse(FailureCode::BadRequest, text))?;
    let region = request.region.clone().or_else(|| minting.region.clone());
    if !region.as_deref().is_none_or(is_region) {
        return Err(refuse(FailureCode::BadRequest, "--region is no AWS region"));
    }
    let (kind, aliases) = match &decision.identity {
        Granted::Policy(identity, source) => (Some(source.kind.clone()), identity.aliases.clone()),
        Granted::Own { .. } => (None, vec![]),
    };
    let source = kind.as_ref().map(open_source).transpose()?.flatten();
    let spelt_out = |words| {
        let spelt = policy.spelt_out(words, region.as_deref());
        spelt.map_err(|what| refuse(FailureCode::BadRequest, format_args!("--allow-name: {what}")))
    };
    let (names, narrow) = (spelt_out(&sandbox.reach.names)?, spelt_out(&request.allow_names)?);
    let reach = Reach { names, ..sandbox.reach.clone() };
    let grant = Grant {
        session: session.into(),
        identity: decision.identity.to_string(),
        facts: facts(&minting, decision),
        aliases,
        role: minting.role.clone(),
        narrowing: minting.narrowing.clone(),
        region,
        sandbox: sandbox.name.clone(),
        network: decision.network,
        reach,
        narrow,
        publish: published(sandbox, request)?,
        home: sandbox.home,
        share_homes: sandbox.share_homes,
        nesting: sandbox.nesting,
        debug: sandbox.debug,
        limits: sandbox.limits,
        may_lift: sandbox.may_lift.clone(),
        hide: sandbox.hide.iter().map(|p| p.resolve(&person.caller.home)).collect(),
        waived: sandbox.waive.iter().map(ToString::to_string).collect(),
        rw_paths: sandbox.rw_paths.iter().map(|p| p.resolve(&person.caller.home)).collect(),
    };
    Ok(Granting { grant, minting, kind, source })
}

/// The ports that the caller wants on the host's loopback, where policy lets them.
fn published(sandbox: &Sandbox, request: &RunRequest) -> Result<Vec<u16>, Refusal> {
    match request.publish.iter().find(|port| !sandbox.publish.iter().any(|range| range.contains(port))) {
        None => Ok(request.publish.clone()),
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
