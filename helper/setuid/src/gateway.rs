//! Starting the gateway of a session with `network = "filtered"`, and the plumber that lays its pipes.

use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use agent_aws_plan::Plan;
use agent_aws_policy::Network;
use agent_aws_protocol::gateway::{HelperToGateway, PlumberToHelper, Rules};
use agent_aws_protocol::{Channel, FailureCode, Refusal};

use crate::child::Child;
use crate::entry::{Entered, null};
use crate::refusal::{broken, refuse};
use crate::service::{Manner, Service, ids_of};
use crate::subject::{GATEWAY_USER, Person};

/// A gateway that waits for its pipes, and who is to lay them.
pub(crate) struct Gateway {
    /// The process.
    pub(crate) child: Child,
    /// Not started yet: it must be where the pipes are.
    pub(crate) plumber: Service,
}

/// Starts it, for a session that has one, and tells it what may be reached.
pub(crate) fn start(entered: &Entered, person: &Person, plan: &Plan) -> Result<Option<Gateway>, Refusal> {
    if plan.grant.network != Network::Filtered {
        return Ok(None);
    }
    let ids = ids_of(entered, person.gateway, GATEWAY_USER)?;
    let service = |name, file, channel, arguments, manner| -> Result<Service, Refusal> {
        let program = entered.installation.program(file)?;
        Ok(Service { name, program, ids: ids.clone(), arguments, environment: vec![], channel, manner })
    };
    let (theirs, pipes) = Channel::pair().map_err(|e| refuse(FailureCode::Kernel, e))?;
    let gateway = service(c"agent-aws-gateway", "agent-aws-gateway", None, vec![], Manner::NoFiles)?;
    let publish = (!plan.grant.publish.is_empty()).then(|| CString::from(c"publish"));
    let ports = plan.grant.reach.local_ports.iter().flat_map(|port| CString::new(port.to_string()));
    let arguments = publish.into_iter().chain(ports).collect();
    let plumber = service(c"agent-aws-plumber", "agent-aws-plumber", Some(theirs), arguments, Manner::Plumber)?;
    let child = gateway.start()?;
    // What is missing is as good as empty.
    let open = |path| File::open(path).map(OwnedFd::from).or_else(|_| null());
    let files = open("/etc/resolv.conf").and_then(|names| Ok((names, open("/etc/hosts")?)));
    let (names, hosts) = files.map_err(|e| refuse(FailureCode::Kernel, e))?;
    let with = [names.as_fd(), hosts.as_fd(), pipes.as_fd()];
    child.channel.send_with(&HelperToGateway::Serve(rules(plan)), &with).map_err(|e| broken("the gateway", e))?;
    Ok(Some(Gateway { child, plumber }))
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

/// Waits until the pipes are laid. In the sandbox's own namespaces, before the agent is there.
pub(crate) fn laid(plumber: Child, stays: bool) -> Result<(), Refusal> {
    let said = plumber.channel.receive::<PlumberToHelper>(None).map_err(|e| broken("the plumber", e))?;
    match said.message {
        PlumberToHelper::Done if stays => {
            // Nobody's child but init's from here on; it ends with the gateway.
            std::mem::forget(plumber.process);
            Ok(())
        }
        PlumberToHelper::Done => Ok(()),
        PlumberToHelper::Failed { cause } => {
            Err(refuse(FailureCode::Kernel, format_args!("the sandbox's network: {cause}")))
        }
    }
}
