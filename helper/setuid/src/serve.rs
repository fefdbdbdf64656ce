//! `serve`: a broker whose one door is a socket of the caller's, and no sandbox. Who may run an identity may have its
//! short-lived credentials outside too: an agent could print them.

use std::os::fd::{AsFd, OwnedFd};

use agent_aws_plan::Plan;
use agent_aws_protocol::{Channel, CliToHelper, Door, FailureCode, HelperToBroker, Refusal, RunRequest};
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::decide::Granting;
use crate::entry::Entered;
use crate::policy_files::PolicyFiles;
use crate::refusal::{broken, refuse};
use crate::renew::Renewal;
use crate::subject::Person;
use crate::supervise::{Broker, Parts};
use crate::{PREPARED, broker, confine, made_ready, out_of_turn, started, supervise};

/// The broker, with the caller's socket for its door.
pub(crate) fn assemble(
    entered: Entered,
    cli: &Channel,
    request: &RunRequest,
    person: Person,
    granting: Granting,
    mut plan: Plan,
    policy: PolicyFiles,
) -> Result<Parts, Refusal> {
    // A model belongs to a sandbox.
    let mandate = granting.mandates.into_iter().next().ok_or_else(out_of_turn)?;
    let broker = broker::start(&entered, &person, &mandate, request)?;
    made_ready(cli, &mut plan)?;
    let socket = socket(cli)?;
    let stop = supervise::stop()?;
    let root = confine::confine(entered.mode)?;
    let doors = HelperToBroker::Doors(vec![Door::Socket]);
    broker.channel.send_with(&doors, &[socket.as_fd()]).map_err(|e| broken("the broker", e))?;
    let renewal = Renewal { policy, person, grant: granting.grant, model: request.model.clone() };
    let (started, brokers) = (started(&plan), vec![Broker::new((broker, mandate))]);
    Ok(Parts { init: None, brokers, gateway: None, renewal, started, wait: true, mounts: None, stop, root })
}

/// The socket that the CLI bound, with the caller's rights, where the caller said.
fn socket(cli: &Channel) -> Result<OwnedFd, Refusal> {
    let mut said = cli.receive::<CliToHelper>(Some(PREPARED)).map_err(|e| broken("agent-aws", e))?;
    let (CliToHelper::Door, Some(socket), true) = (said.message, said.descriptors.pop(), said.descriptors.is_empty())
    else {
        return Err(out_of_turn());
    };
    let listens = sockopt::socket_domain(&socket) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(&socket) == Ok(SocketType::STREAM)
        && sockopt::socket_acceptconn(&socket) == Ok(true);
    match listens {
        true => Ok(socket),
        false => Err(refuse(FailureCode::BadRequest, "what is to be served is no listening Unix socket")),
    }
}
