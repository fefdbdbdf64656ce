//! Starting what carries a session's network: the gateway and the plumber of `filtered`, the guard of `shared`.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use agent_aws_plan::Plan;
use agent_aws_policy::Network;
use agent_aws_protocol::gateway::{GatewayToHelper, HelperToGateway, PlumberToHelper, Rules};
use agent_aws_protocol::{Channel, FailureCode, Refusal};
use agent_aws_sandbox::Group;

use crate::child::Child;
use crate::entry::{Entered, null};
use crate::refusal::{advise, broken, refuse};
use crate::service::{Manner, Service, ids_of};
use crate::subject::{GATEWAY_USER, Person};

/// How long a gateway that failed may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Who carries a session's network, and who makes it so.
#[derive(Default)]
pub(crate) struct Gateway {
    /// The gateway, which waits for its pipes.
    pub(crate) child: Option<Child>,
    /// Not started yet: it must be where the pipes are, or wait for the control group.
    pub(crate) plumber: Option<Service>,
}

impl Gateway {
    /// Why it gave up, if it did: else the refusal that came of it.
    pub(crate) fn cause(&self, refusal: Refusal) -> Refusal {
        let said = self.child.as_ref().and_then(|g| g.channel.receive::<GatewayToHelper>(Some(LAST_WORDS)).ok());
        match said.map(|said| said.message) {
            Some(GatewayToHelper::Failed { cause }) => failed(&cause),
            _ => refusal,
        }
    }
}

/// A gateway that cannot serve.
pub(crate) fn failed(cause: &str) -> Refusal {
    refuse(FailureCode::Kernel, format_args!("network `filtered`: {cause}"))
}

/// Starts what the session's network takes, and tells the gateway what may be reached.
pub(crate) fn start(entered: &Entered, person: &Person, plan: &Plan) -> Result<Gateway, Refusal> {
    let (grant, privileged) = (&plan.grant, entered.mode.is_privileged());
    if grant.network == Network::None || (grant.network == Network::Shared && !privileged) {
        return Ok(Gateway::default());
    }
    let ids = ids_of(entered, person.gateway, GATEWAY_USER)?;
    let service = |name: &'static str, channel, arguments, manner| -> Result<Service, Refusal> {
        let program = entered.installation.program(name)?;
        Ok(Service { name, program, ids: ids.clone(), arguments, environment: vec![], channel, manner })
    };
    let plumber = |channel, words: Vec<String>| {
        let words = words.into_iter().flat_map(CString::new).collect();
        service("agent-aws-plumber", channel, words, Manner::Plumber).map(Some)
    };
    if grant.network == Network::Shared {
        let alone = (!grant.reach.host_loopback).then(|| "alone".into());
        let words = ["guard".into()].into_iter().chain(alone).collect();
        return Ok(Gateway { child: None, plumber: plumber(None, words)? });
    }
    let (theirs, pipes) = Channel::pair().map_err(|e| refuse(FailureCode::Kernel, e))?;
    let publish = (!grant.publish.is_empty()).then(|| "publish".into());
    let ports = grant.reach.local_ports.iter().map(ToString::to_string);
    let plumber = plumber(Some(theirs), ["pipes".into()].into_iter().chain(publish).chain(ports).collect())?;
    let child = service("agent-aws-gateway", None, vec![], Manner::NoFiles)?.start(None)?;
    // What is missing is as good as empty.
    let open = |path| File::open(path).map(OwnedFd::from).or_else(|_| null());
    let files = open("/etc/resolv.conf").and_then(|names| Ok((names, open("/etc/hosts")?)));
    let (names, hosts) = files.map_err(|e| refuse(FailureCode::Kernel, e))?;
    let with = [names.as_fd(), hosts.as_fd(), pipes.as_fd()];
    child.channel.send_with(&HelperToGateway::Serve(rules(plan)), &with).map_err(|e| broken("the gateway", e))?;
    Ok(Gateway { child: Some(child), plumber })
}

fn rules(plan: &Plan) -> Rules {
    let (grant, reach) = (&plan.grant, &plan.grant.reach);
    Rules {
        sandbox: grant.sandbox.clone(),
        allow: reach.names.clone(),
        narrow: grant.narrow.clone(),
        private: reach.private.clone(),
        local_ports: reach.local_ports.clone(),
        publish: grant.publish.clone(),
        upstream_proxy: reach.upstream_proxy.clone(),
    }
}

/// With the host's network: starts to keep the session's control group from metadata services.
pub(crate) fn guard(plumber: Option<&Service>, group: Option<&Group>, plan: &Plan) -> Result<Option<Child>, Refusal> {
    match (plumber, group) {
        (Some(plumber), Some(group)) => plumber.start(Some(group.own.as_fd())).map(Some),
        _ if plumber.is_none() || plan.grant.reach.unguarded => Ok(None),
        _ => Err(unguarded("this machine gives us no control group (`agent-aws doctor` says why)")),
    }
}

/// Waits until it is guarded.
pub(crate) fn guarded(guard: Option<Child>, plan: &Plan) -> Result<(), Refusal> {
    match guard.map_or(Ok(()), |guard| laid(guard, false)) {
        Err(refusal) if !plan.grant.reach.unguarded => Err(unguarded(&refusal.text)),
        _ => Ok(()),
    }
}

fn unguarded(why: &str) -> Refusal {
    let text = format!("network `shared`: metadata services cannot be kept from the agent: {why}");
    advise(FailureCode::Kernel, text, "use `filtered` or `none`; policy may say `metadata = \"unguarded\"`")
}

/// Waits until the plumber is done. For `filtered` in the sandbox's own namespaces, before the agent is there.
pub(crate) fn laid(plumber: Child, stays: bool) -> Result<(), Refusal> {
    let said = plumber.channel.receive::<PlumberToHelper>(None).map_err(|e| broken("the plumber", e))?;
    match said.message {
        PlumberToHelper::Done => {
            if stays {
                // Nobody's child but init's from here on; it ends with the gateway.
                std::mem::forget(plumber.process);
            }
            Ok(())
        }
        PlumberToHelper::Failed { cause } => Err(refuse(FailureCode::Kernel, cause)),
    }
}
