//! Starting the broker and telling it once what to mint.

use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;

use agent_aws_plan::tables::OWN_VARIABLES;
use agent_aws_protocol::{EnvVar, FailureCode, HelperToBroker, Refusal, RunRequest, SourceCredentials};

use crate::child::Child;
use crate::decide::{Mandate, SourceFile};
use crate::entry::Entered;
use crate::refusal::{broken, refuse};
use crate::service::{Manner, Service, ids_of};
use crate::subject::{BROKER_USER, Person};

/// Where distributions keep the trusted certificates in one file. Without it the broker would read them twice, once
/// from hundreds of files.
const BUNDLES: &[&str] =
    &["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem"];

/// Holds a code of a second factor.
const CODE: &[u8] = b"AGENT_AWS_MFA_CODE";

/// Starts it and tells it what to mint; minting begins while the sandbox is being made.
pub(crate) fn start(
    entered: &Entered,
    person: &Person,
    mandate: &Mandate,
    request: &RunRequest,
) -> Result<Child, Refusal> {
    let own = matches!(mandate.minting.source, SourceCredentials::Own { .. });
    // That of an own source has the caller's rights, and may be any program's.
    let ids = match own && entered.mode.is_privileged() {
        true => Some(entered.caller.clone()),
        false => ids_of(entered, person.broker, BROKER_USER)?,
    };
    let service = Service {
        name: "agent-aws-broker",
        program: entered.installation.program("agent-aws-broker")?,
        ids,
        arguments: vec![],
        environment: environment(if own { &request.own.environment } else { &[] }, mandate.minting.narrowing.model),
        channel: None,
        manner: Manner::Files,
    };
    let source = mandate.source.as_ref().map(SourceFile::open).transpose();
    let source = source.map_err(|what| refuse(FailureCode::Credentials, format_args!("source: {what}")))?.flatten();
    let child = service.start(None)?;
    let message = HelperToBroker::Mint(Box::new(mandate.minting.clone()));
    let descriptors: Vec<_> = source.iter().map(AsFd::as_fd).collect();
    child.channel.send_with(&message, &descriptors).map_err(|e| broken("the broker", e))?;
    Ok(child)
}

/// What an own source needs of the caller's variables; for a system source nothing of them. A code is good once, and was
/// asked for the task.
fn environment(given: &[EnvVar], model: bool) -> Vec<CString> {
    let good = |v: &&EnvVar| OWN_VARIABLES.find(&v.name).is_some() && !(model && v.name == CODE);
    let known = given.iter().filter(good);
    let mut all: Vec<_> =
        known.filter_map(|v| CString::new([v.name.as_slice(), b"=", v.value.as_slice()].concat()).ok()).collect();
    let chosen = given.iter().any(|v| v.name.starts_with(b"SSL_CERT_"));
    if let Some(bundle) = BUNDLES.iter().find(|path| !chosen && Path::new(path).exists()) {
        all.extend(CString::new(format!("SSL_CERT_FILE={bundle}")));
    }
    all
}
