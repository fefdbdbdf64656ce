//! Decide: policy, the caller and the request become a grant, or one fixed text.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use agent_aws_plan::Grant;
use agent_aws_policy::{
    Access, Ask as PolicyAsk, Attribution, Decision, Denial, Granted, Network, Policy, Reach, Sandbox, SourceKind,
    Wanted, is_region,
};
use agent_aws_protocol::{Ask, FailureCode, Minting, Refusal, RunRequest, SourceCredentials};

use crate::installation::{open_directory_of_root, open_file_of_root};
use crate::refusal::{advise, refuse};
use crate::subject::Person;

/// How long a session passed on or exchanged for an own profile lasts, in seconds.
const OWN_DURATION: u32 = 3600;

/// Everything that follows from the decision.
pub(crate) struct Granting {
    /// For the plan.
    pub(crate) grant: Grant,
    /// For the broker.
    pub(crate) minting: Minting,
    /// The source file, for a system source.
    pub(crate) source: Option<SourceFile>,
}

/// A root-owned source of credentials: its directory stays open, so that it can be reopened at each renewal.
pub(crate) struct SourceFile {
    directory: OwnedFd,
    path: PathBuf,
}

impl SourceFile {
    /// Where policy says that it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it as it is now: rotation works by replacing the file.
    pub(crate) fn open(&self) -> Result<OwnedFd, String> {
        let name = self.path.file_name().unwrap_or_default();
        open_file_of_root(&self.directory, Path::new(name), true)
            .map_err(|what| format!("{}: {what}", self.path.display()))
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
    let mut minting = minting(decision, person, request, session);
    narrow(&mut minting, request)?;
    let region = request.region.clone().or_else(|| minting.region.clone());
    if !region.as_deref().is_none_or(is_region) {
        return Err(refuse(FailureCode::BadRequest, "--region is no AWS region"));
    }
    let (source, aliases) = match &decision.identity {
        Granted::Policy(identity, source) => (Some(open_source(&source.kind)?), identity.aliases.clone()),
        Granted::Own { .. } => (None, vec![]),
    };
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
        access: minting.access.clone(),
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
    Ok(Granting { grant, minting, source })
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

fn minting(decision: &Decision<'_>, person: &Person, request: &RunRequest, session: &str) -> Minting {
    let session_name = session_name(&person.caller.login, session);
    match &decision.identity {
        Granted::Policy(identity, source) => {
            let full = identity.attribution == Attribution::Full;
            let SourceKind::ProfileFile { profile, .. } = &source.kind;
            Minting {
                identity: identity.name.clone(),
                source: SourceCredentials::ProfileFile { profile: profile.clone() },
                role: Some(identity.role.clone()),
                external_id: identity.external_id.clone(),
                region: identity.region.clone().or_else(|| source.region.clone()),
                sts_endpoint: source.sts_endpoint.clone(),
                duration: u32::try_from(identity.duration.as_secs()).unwrap_or(3600),
                session_name,
                source_identity: full.then(|| aws_name(&person.caller.login)),
                tags: if full { tags(person, identity.name.as_str(), session) } else { vec![] },
                access: identity.access.to_string(),
                deny_actions: identity.deny_actions.clone(),
                may_assume: identity.may_assume.clone(),
            }
        }
        Granted::Own { profile } => Minting {
            identity: format!("own:{profile}"),
            source: SourceCredentials::Own { profile: (*profile).to_string() },
            role: None,
            external_id: None,
            region: request.region.clone(),
            sts_endpoint: own_variable(request, b"AWS_ENDPOINT_URL_STS"),
            duration: OWN_DURATION,
            session_name,
            source_identity: None,
            tags: vec![],
            access: "full".into(),
            deny_actions: vec![],
            // A session of one's own is passed on as it is, or exchanged: nothing narrows it.
            may_assume: vec!["arn:aws:iam::*:role/*".into()],
        },
    }
}

/// What the caller does without, of what policy gives.
fn narrow(minting: &mut Minting, request: &RunRequest) -> Result<(), Refusal> {
    if let Some(asked) = &request.access {
        let rank = |word: &str| Access::WORDS.iter().position(|(known, _)| *known == word);
        if rank(asked).is_none_or(|asked| Some(asked) < rank(&minting.access)) {
            let text = format!("--access {asked} is not less than the `{}` of this identity", minting.access);
            return Err(refuse(FailureCode::BadRequest, text));
        }
        minting.access.clone_from(asked);
    }
    minting.deny_actions.extend(request.deny_actions.iter().cloned());
    Ok(())
}

/// What the caller's environment says to the broker of an own source.
fn own_variable(request: &RunRequest, name: &[u8]) -> Option<String> {
    let given = request.own.environment.iter().find(|v| v.name == name)?;
    String::from_utf8(given.value.clone()).ok()
}

/// Session tags of attribution = "full".
fn tags(person: &Person, identity: &str, session: &str) -> Vec<(String, String)> {
    vec![
        ("agent-aws:user".into(), aws_name(&person.caller.login)),
        ("agent-aws:identity".into(), aws_name(identity)),
        ("agent-aws:session".into(), session.into()),
    ]
}

/// Only what STS admits in a SourceIdentity, a session name and a tag: `[\w+=,.@-]`.
fn aws_name(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "_+=,.@-".contains(c) { c } else { '_' }
    };
    let name: String = text.chars().map(plain).take(64).collect();
    if name.len() < 2 { format!("{name}__") } else { name }
}

/// `RoleSessionName`, 2 to 64 characters: the login name and the session id.
fn session_name(login: &str, session: &str) -> String {
    let room = 64usize.saturating_sub(session.len() + 1);
    let login: String = aws_name(login).chars().take(room).collect();
    format!("{login}-{session}")
}

fn open_source(kind: &SourceKind) -> Result<SourceFile, Refusal> {
    let SourceKind::ProfileFile { path, .. } = kind;
    let advice = "ask your administrator: the source of this identity is not usable";
    let fail = |what: String| advise(FailureCode::Credentials, format_args!("source: {what}"), advice);
    let parent = path.parent().unwrap_or(Path::new("/"));
    let directory = open_directory_of_root(parent).map_err(fail)?;
    let file = SourceFile { directory, path: path.clone() };
    file.open().map_err(fail)?;
    Ok(file)
}

fn facts(minting: &Minting, decision: &Decision<'_>) -> Vec<(String, String)> {
    let (source, narrowed) = match &decision.identity {
        Granted::Policy(_, source) => (format!("system ({})", source.name), true),
        Granted::Own { profile } => (format!("own (AWS profile {profile})"), false),
    };
    let attribution = if minting.source_identity.is_some() { "full (SourceIdentity and tags)" } else { "name" };
    let of_policy = |text: String| if narrowed { text } else { String::new() };
    let rows = [
        ("access", minting.access.clone()),
        ("role", minting.role.clone().unwrap_or_default()),
        ("source", source),
        ("duration", of_policy(format!("{} s", minting.duration))),
        ("attribution", of_policy(attribution.into())),
        ("denied", minting.deny_actions.join(", ")),
        ("may assume", of_policy(minting.may_assume.join(", "))),
    ];
    rows.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.into(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_for_aws_hold_only_what_sts_admits() {
        assert_eq!(aws_name("jo smith/../x"), "jo_smith_.._x");
        assert_eq!(aws_name(""), "__");
        let name = session_name(&"x".repeat(200), "0011223344556677");
        assert_eq!(name.len(), 64);
        assert!(name.ends_with("-0011223344556677"));
    }

    #[test]
    fn the_text_for_a_denied_and_for_an_unknown_identity_is_one_constant() {
        let refusal = denied(&Denial::NotGranted);
        assert_eq!(refusal.code, FailureCode::NotGranted);
        assert!(!refusal.text.contains('`'));
    }
}
