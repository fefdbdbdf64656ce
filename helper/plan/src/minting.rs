//! What the broker is told to mint: from the decision and the request.

use agent_aws_policy::{Attribution, Decision, Granted, SourceKind};
use agent_aws_protocol::{Minting, Narrowing, RunRequest, SourceCredentials};

/// How long a session passed on or exchanged for an own profile lasts, in seconds.
const OWN_DURATION: u32 = 3600;

/// What a decision means for STS. `login` is the caller's, `session` the id of the session.
///
/// # Errors
/// A request for more than policy gives, in words.
pub fn minting(decision: &Decision<'_>, login: &str, request: &RunRequest, session: &str) -> Result<Minting, String> {
    let mut minting = unnarrowed(decision, login, request, session);
    narrow(&mut minting.narrowing, request)?;
    Ok(minting)
}

/// The same for the identity that a model is asked with: of it there is nothing but that. What the caller does without is
/// said of the other one.
pub fn model_minting(decision: &Decision<'_>, login: &str, request: &RunRequest, session: &str) -> Minting {
    let mut minting = unnarrowed(decision, login, request, session);
    if minting.role.is_none() {
        minting.region = request.model_region.clone().or(minting.region);
    }
    minting.narrowing.may_assume.clear();
    minting.narrowing.model = true;
    minting
}

fn unnarrowed(decision: &Decision<'_>, login: &str, request: &RunRequest, session: &str) -> Minting {
    let session_name = session_name(login, session);
    match &decision.identity {
        Granted::Policy(identity, source) => {
            let full = identity.attribution == Attribution::Full;
            Minting {
                identity: identity.name.clone(),
                source: credentials(&source.kind),
                role: Some(identity.role.clone()),
                external_id: identity.external_id.clone(),
                region: identity.region.clone().or_else(|| source.region.clone()),
                sts_endpoint: source.sts_endpoint.clone(),
                fips: source.fips,
                dual_stack: source.dual_stack,
                duration: u32::try_from(identity.duration.as_secs()).unwrap_or(3600),
                session_name,
                source_identity: full.then(|| aws_name(login)),
                tags: if full { tags(login, identity.name.as_str(), session) } else { vec![] },
                narrowing: identity.narrowing.clone(),
            }
        }
        Granted::Own { profile } => Minting {
            identity: format!("own:{profile}"),
            source: SourceCredentials::Own { profile: (*profile).to_string() },
            role: None,
            external_id: None,
            region: request.region.clone(),
            sts_endpoint: own_variable(request, b"AWS_ENDPOINT_URL_STS"),
            fips: false,
            dual_stack: false,
            duration: OWN_DURATION,
            session_name,
            source_identity: None,
            tags: vec![],
            // Nothing is said of other roles: see `session_policy::compile_for`.
            narrowing: Narrowing::default(),
        },
    }
}

/// As the broker hears of it: files come as descriptors.
fn credentials(kind: &SourceKind) -> SourceCredentials {
    match kind {
        SourceKind::ProfileFile { profile, .. } => SourceCredentials::ProfileFile { profile: profile.clone() },
        SourceKind::Process { program, arguments } => {
            let program = program.to_string_lossy().into_owned();
            SourceCredentials::Process { command: [program].into_iter().chain(arguments.iter().cloned()).collect() }
        }
        SourceKind::WebIdentity { role, .. } => SourceCredentials::WebIdentity { role: role.clone() },
        SourceKind::Instance => SourceCredentials::Instance,
        SourceKind::Container { uri, .. } => SourceCredentials::Container { uri: uri.clone() },
    }
}

/// What the caller does without, of what policy gives.
fn narrow(narrowing: &mut Narrowing, request: &RunRequest) -> Result<(), String> {
    if let Some(asked) = request.access {
        if asked < narrowing.access {
            return Err(format!("--access {asked} is not less than the `{}` of this identity", narrowing.access));
        }
        narrowing.access = asked;
    }
    narrowing.deny_actions.extend(request.deny_actions.iter().cloned());
    Ok(())
}

/// What the caller's environment says to the broker of an own source.
fn own_variable(request: &RunRequest, name: &[u8]) -> Option<String> {
    let given = request.own.environment.iter().find(|v| v.name == name)?;
    String::from_utf8(given.value.clone()).ok()
}

/// Session tags of attribution = "full".
fn tags(login: &str, identity: &str, session: &str) -> Vec<(String, String)> {
    vec![
        ("agent-aws:user".into(), aws_name(login)),
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

/// What else there is to say of it to people: (name, value).
pub(crate) fn facts(minting: &Minting, decision: &Decision<'_>) -> Vec<(String, String)> {
    let text = |name: &str, value: String| (name.to_owned(), value);
    match &decision.identity {
        Granted::Policy(_, source) => {
            let full = minting.source_identity.is_some();
            vec![
                text("source", format!("system ({}: {})", source.name, source.kind)),
                text("duration", format!("{} s", minting.duration)),
                text("attribution", if full { "full (SourceIdentity and tags)" } else { "name" }.to_owned()),
            ]
        }
        Granted::Own { profile } => vec![text("source", format!("own (AWS profile {profile})"))],
    }
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
}
