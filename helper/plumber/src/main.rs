//! agent-aws-plumber: lays the pipes of a session's own network namespace, and ends.
//!
//! Executed by the helper inside that namespace, before the agent is there, with three capabilities (CAP_NET_ADMIN,
//! CAP_NET_BIND_SERVICE, CAP_BPF), under the gateway's uid, and with nothing else: no file is opened, nothing is read
//! but its arguments. It makes every address local, opens the listeners that the gateway serves, and hands them to it.
//! Where ports are published it stays, without any capability, as the gateway's only way to a socket in there.
//!
//! `agent-aws-plumber [publish] [PORT...]`: ports of the host's loopback that are offered inside.

mod hand;
mod listen;
mod program;
mod route;
mod sys;

use std::process::ExitCode;

use agent_aws_protocol::Channel;
use agent_aws_protocol::gateway::{PlumberToGateway, PlumberToHelper};

use crate::hand::Hand;

/// Why a step did not work: the step, and the operating system's word.
type Fault = String;

fn main() -> ExitCode {
    let Some((helper, gateway)) = sys::channels() else {
        return ExitCode::from(2);
    };
    match lay(&gateway) {
        Ok(stay) => {
            if helper.send(&PlumberToHelper::Done).is_err() {
                return ExitCode::FAILURE;
            }
            drop(helper);
            if stay { hand::sockets(&gateway) } else { ExitCode::SUCCESS }
        }
        Err(cause) => {
            let _ = helper.send(&PlumberToHelper::Failed { cause });
            ExitCode::FAILURE
        }
    }
}

/// Everything in order; whether to stay.
fn lay(gateway: &Channel) -> Result<bool, Fault> {
    let (publish, ports) = arguments()?;
    route::loopback_up()?;
    let v6 = route::everything_is_local()?;
    let mut hand = Hand::new(gateway);
    listen::names(v6, &mut hand)?;
    let every_port = listen::everything(v6, &mut hand)?;
    listen::local(&ports, v6, &mut hand)?;
    hand.over()?;
    give_up()?;
    gateway.send(&PlumberToGateway::Done { every_port }).map_err(|e| format!("the gateway: {e}"))?;
    Ok(publish)
}

fn arguments() -> Result<(bool, Vec<u16>), Fault> {
    let mut words = std::env::args().skip(1).peekable();
    let publish = words.next_if(|word| word == "publish").is_some();
    let ports = words.map(|word| word.parse::<u16>().map_err(|_| format!("{word:?} is no port")));
    Ok((publish, ports.collect::<Result<_, _>>()?))
}

/// No capability from here on.
fn give_up() -> Result<(), Fault> {
    use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities};
    let none = CapabilitySet::empty();
    let fail = |e| format!("giving capabilities up: {e}");
    clear_ambient_capability_set().map_err(fail)?;
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).map_err(fail)
}
