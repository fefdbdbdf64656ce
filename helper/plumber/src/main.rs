//! agent-aws-plumber: lays the pipes of a session's network, and ends.
//!
//! Executed by the helper before the agent is there, with three capabilities (CAP_NET_ADMIN, CAP_NET_BIND_SERVICE,
//! CAP_BPF), under the gateway's uid, and with nothing else.
//!
//! `agent-aws-plumber pipes [publish] [PORT...]`, inside the session's own network namespace: makes every address local,
//! opens the listeners that the gateway serves (ports of the host's loopback among them), and hands them to it over
//! descriptor 4. No file is opened. Where ports are published it stays, without any capability, as the gateway's only way
//! to a socket in there.
//!
//! `agent-aws-plumber guard [alone]`, in the host's: attaches the programs that keep the control group which descriptor 4
//! is from metadata services, and with `alone` from this machine's own addresses too.

mod guard;
mod hand;
mod listen;
mod program;
mod route;
mod sys;

use std::os::fd::OwnedFd;
use std::process::ExitCode;

use agent_aws_pipes::PlumberToGateway;
use agent_aws_protocol::Channel;
use agent_aws_protocol::gateway::PlumberToHelper;

use crate::hand::Hand;

/// Why a step did not work: the step, and the operating system's word.
type Fault = String;

fn main() -> ExitCode {
    let Some((helper, other)) = sys::inherited() else {
        return ExitCode::from(2);
    };
    // Where it stays, the agent may have the same uid.
    let undumpable = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    match undumpable.map_err(|e| format!("becoming undumpable: {e}")).and_then(|()| work(other)) {
        Ok(staying) => {
            if helper.send(&PlumberToHelper::Done).is_err() {
                return ExitCode::FAILURE;
            }
            drop(helper);
            staying.map_or(ExitCode::SUCCESS, |gateway| hand::sockets(&gateway))
        }
        Err(cause) => {
            let _ = helper.send(&PlumberToHelper::Failed { cause });
            ExitCode::FAILURE
        }
    }
}

/// As the arguments say; the gateway, if we are to stay for it.
fn work(other: OwnedFd) -> Result<Option<Channel>, Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["pipes", rest @ ..] => {
            let (publish, ports) = rest
                .split_first()
                .filter(|(word, _)| **word == "publish")
                .map_or((false, rest), |(_, ports)| (true, ports));
            let ports = ports.iter().map(|word| word.parse::<u16>().map_err(|_| format!("{word:?} is no port")));
            let ports = ports.collect::<Result<Vec<_>, _>>()?;
            let gateway = Channel::new(other, sys::PATIENCE);
            lay(&gateway, &ports)?;
            Ok(publish.then_some(gateway))
        }
        ["guard", rest @ ..] => {
            guard::attach(&other, rest == ["alone"])?;
            give_up().map(|()| None)
        }
        _ => Err("agent-aws-plumber is started by agent-aws-helper, not by hand".into()),
    }
}

/// Everything in order.
fn lay(gateway: &Channel, ports: &[u16]) -> Result<(), Fault> {
    route::loopback_up()?;
    let v6 = route::everything_is_local()?;
    let mut hand = Hand::new(gateway);
    listen::names(v6, &mut hand)?;
    let every_port = listen::everything(v6, &mut hand)?;
    listen::local(ports, v6, &mut hand)?;
    hand.over()?;
    give_up()?;
    gateway.send(&PlumberToGateway::Done { every_port }).map_err(|e| format!("the gateway: {e}"))
}

/// No capability from here on.
fn give_up() -> Result<(), Fault> {
    use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities};
    let none = CapabilitySet::empty();
    let fail = |e| format!("giving capabilities up: {e}");
    clear_ambient_capability_set().map_err(fail)?;
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).map_err(fail)
}
