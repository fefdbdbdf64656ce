//! Starting the broker: another uid, nothing inherited but its channel, told once what to mint.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use agent_aws_plan::tables::OWN_VARIABLES;
use agent_aws_protocol::{EnvVar, FailureCode, HelperToBroker, Refusal, RunRequest, SourceCredentials};
use agent_aws_sandbox::{Failure, Ids, become_permanently, forbid_gaining_unprivileged};
use nix::sys::signal::SigSet;
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::child::Child;
use crate::decide::Granting;
use crate::entry::{Entered, null};
use crate::refusal::{broken, installation, refuse};
use crate::subject::{BROKER_USER, Person};
use crate::sys;

/// How long a message that has begun may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where distributions keep the trusted certificates in one file. Without it the broker would read them twice, once
/// from hundreds of files.
const BUNDLES: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Starts it and tells it what to mint; minting begins while the sandbox is being made.
pub(crate) fn start(
    entered: &Entered,
    person: &Person,
    granting: &Granting,
    request: &RunRequest,
) -> Result<Child, Refusal> {
    let program = entered.installation.program("agent-aws-broker")?;
    let own = matches!(granting.minting.source, SourceCredentials::Own { .. });
    let ids = ids(entered, person, own)?;
    let environment = environment(if own { &request.own.environment } else { &[] });
    let source = source(granting)?;
    let null = null().map_err(|e| installation(format!("/dev/null: {e}"), "the machine is broken"))?;
    let child = Child::start("starting the broker", None, PATIENCE, |socket| {
        let failure = become_broker(&program, ids.as_ref(), &environment, &null, socket);
        drop(failure);
        125
    })?;
    let message = HelperToBroker::Mint(Box::new(granting.minting.clone()));
    let descriptors: Vec<_> = source.iter().map(AsFd::as_fd).collect();
    child.channel.send_with(&message, &descriptors).map_err(|e| broken("the broker", e))?;
    Ok(child)
}

/// Whose ids the broker gets; `None` keeps the caller's (no setuid bit).
fn ids(entered: &Entered, person: &Person, own: bool) -> Result<Option<Ids>, Refusal> {
    if !entered.mode.is_privileged() {
        return Ok(None);
    }
    if own {
        return Ok(Some(entered.caller.clone()));
    }
    match person.broker {
        Some((uid, gid)) if uid != 0 && gid != 0 && uid != entered.caller.uid => {
            Ok(Some(Ids { uid, gid, groups: Some(vec![]) }))
        }
        _ => Err(installation(
            format!("there is no usable user `{BROKER_USER}` to keep credentials under"),
            "reinstall agent-aws, or run `make install` as root",
        )),
    }
}

fn source(granting: &Granting) -> Result<Option<OwnedFd>, Refusal> {
    match granting.source.as_ref().map(crate::decide::SourceFile::open) {
        None => Ok(None),
        Some(Ok(file)) => Ok(Some(file)),
        Some(Err(what)) => Err(refuse(FailureCode::Credentials, format_args!("source: {what}"))),
    }
}

/// What an own source needs of the caller's variables; for a system source nothing of them.
fn environment(given: &[EnvVar]) -> Vec<CString> {
    let known = given.iter().filter(|v| OWN_VARIABLES.find(&v.name).is_some());
    let mut all: Vec<_> =
        known.filter_map(|v| CString::new([v.name.as_slice(), b"=", v.value.as_slice()].concat()).ok()).collect();
    let chosen = given.iter().any(|v| v.name.starts_with(b"SSL_CERT_"));
    if let Some(bundle) = BUNDLES.iter().find(|path| !chosen && Path::new(path).exists()) {
        all.extend(CString::new(format!("SSL_CERT_FILE={bundle}")));
    }
    all
}

/// In the child. Returns only with what kept it from becoming the broker.
fn become_broker(
    program: &OwnedFd,
    ids: Option<&Ids>,
    environment: &[CString],
    null: &OwnedFd,
    socket: OwnedFd,
) -> Result<(), Failure> {
    let os = |e: std::io::Error| Failure::plain("starting the broker", e);
    // A process in the caller's group would get the signals of the caller's terminal.
    nix::unistd::setsid().map_err(|e| Failure::plain("setsid", e))?;
    for number in 0..=2 {
        sys::duplicate_to(null.as_fd(), number).map_err(os)?;
    }
    sys::duplicate_to(socket.as_fd(), sys::CHANNEL).map_err(os)?;
    match ids {
        Some(ids) => become_permanently(ids)?,
        None => forbid_gaining_unprivileged()?,
    }
    rustix::process::chdir("/").map_err(|e| Failure::plain("chdir", e))?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|e| Failure::plain("PDEATHSIG", e))?;
    SigSet::empty().thread_set_mask().map_err(|e| Failure::plain("signal mask", e))?;
    Err(os(sys::execute(program.as_fd(), &[c"agent-aws-broker".into()], environment)))
}
