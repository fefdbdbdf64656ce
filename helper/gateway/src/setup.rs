//! From the first message to `Ready`.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Duration;

use agent_aws_pipes::{Pipe, PlumberToGateway};
use agent_aws_protocol::gateway::{self, HelperToGateway};
use agent_aws_protocol::{Channel, ChannelError};
use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::dns::server;
use crate::sys;

/// How long the supervisor and the plumber may take for each message.
const PATIENCE: Duration = Duration::from_secs(30);
/// A frame that has begun must be whole within this time.
pub(crate) const FRAME: Duration = Duration::from_secs(1);
/// Of resolv.conf and of hosts, in bytes. The rest of a longer one is not read.
const LONGEST: u64 = 4 * 1024 * 1024;

/// What the supervisor gave.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) rules: gateway::Rules,
    pub(crate) resolv_conf: Vec<u8>,
    pub(crate) hosts: Vec<u8>,
    pub(crate) plumber: Channel,
}

/// Waits for the one message. None: the supervisor is gone.
pub(crate) fn first_message(channel: &Channel) -> Result<Option<Given>, String> {
    let received = match channel.receive(Some(PATIENCE)) {
        Ok(received) => received,
        Err(ChannelError::Closed) => return Ok(None),
        Err(e) => return Err(format!("no word from the supervisor: {e}")),
    };
    let HelperToGateway::Serve(rules) = received.message;
    let [resolv_conf, hosts, plumber] = <[OwnedFd; 3]>::try_from(received.descriptors)
        .map_err(|given| format!("{} descriptors came with the rules, not three", given.len()))?;
    if sockopt::socket_type(&plumber) != Ok(SocketType::STREAM) {
        return Err("the plumber's channel is no stream".into());
    }
    let (resolv_conf, hosts) = (read(resolv_conf, "resolv.conf")?, read(hosts, "hosts")?);
    Ok(Some(Given { rules, resolv_conf, hosts, plumber: Channel::new(plumber, FRAME) }))
}

fn read(file: OwnedFd, name: &str) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    File::from(file).take(LONGEST).read_to_end(&mut text).map_err(|e| format!("cannot read {name}: {e}"))?;
    Ok(text)
}

/// What the plumber made.
#[derive(Debug, Default)]
pub(crate) struct Pipes {
    pub(crate) dns: Vec<OwnedFd>,
    pub(crate) dns_tcp: Vec<OwnedFd>,
    pub(crate) any: Vec<OwnedFd>,
    pub(crate) local: Vec<(u16, OwnedFd)>,
    /// Held open: with the last of them the ports are no longer caught.
    pub(crate) links: Vec<OwnedFd>,
    /// Whether every port is caught.
    pub(crate) every_port: bool,
    /// Of the sandbox's network namespace; none on a kernel that does not tell.
    pub(crate) cookie: Option<u64>,
}

impl Pipes {
    /// Waits for all that the plumber hands over, and holds each against what it says it is.
    pub(crate) fn receive(plumber: &Channel, rules: &gateway::Rules) -> Result<Self, String> {
        let mut pipes = Self::default();
        loop {
            let received = plumber.receive(Some(PATIENCE)).map_err(|e| format!("no word from the plumber: {e}"))?;
            match received.message {
                PlumberToGateway::Pipes(kinds) if kinds.len() == received.descriptors.len() => {
                    for (kind, descriptor) in kinds.into_iter().zip(received.descriptors) {
                        pipes.add(kind, descriptor, rules)?;
                    }
                }
                PlumberToGateway::Done { every_port } if received.descriptors.is_empty() => {
                    pipes.every_port = every_port;
                    break;
                }
                _ => return Err("the plumber said a thing that does not come here".into()),
            }
        }
        if pipes.dns.is_empty() || pipes.dns_tcp.is_empty() || pipes.any.is_empty() {
            return Err("the plumber did not hand over a listener for each purpose".into());
        }
        Ok(pipes)
    }

    fn add(&mut self, kind: Pipe, descriptor: OwnedFd, rules: &gateway::Rules) -> Result<(), String> {
        let wrong = |why: &str| Err(format!("the plumber's {kind:?} {why}"));
        let listens = |descriptor: &OwnedFd| sockopt::socket_acceptconn(descriptor) == Ok(true);
        match kind {
            Pipe::Link => {
                self.links.push(descriptor);
                return Ok(());
            }
            Pipe::Dns if sockopt::socket_type(&descriptor) != Ok(SocketType::DGRAM) => {
                return wrong("is no UDP socket");
            }
            Pipe::Any | Pipe::DnsTcp | Pipe::Local(_) if !listens(&descriptor) => return wrong("does not listen"),
            _ => {}
        }
        if !matches!(sockopt::socket_domain(&descriptor), Ok(AddressFamily::INET | AddressFamily::INET6)) {
            return wrong("is no socket of the internet");
        }
        self.same_namespace(kind, &descriptor)?;
        match kind {
            Pipe::Dns => {
                server::prepare(&descriptor).map_err(|e| format!("the plumber's Dns: {e}"))?;
                self.dns.push(descriptor);
            }
            Pipe::DnsTcp => self.dns_tcp.push(descriptor),
            Pipe::Any => self.any.push(descriptor),
            Pipe::Local(port) if rules.local_ports.contains(&port) => self.local.push((port, descriptor)),
            Pipe::Local(_) => return wrong("is none of local-ports"),
            Pipe::Link => {}
        }
        Ok(())
    }

    fn same_namespace(&mut self, kind: Pipe, descriptor: &OwnedFd) -> Result<(), String> {
        let Ok(cookie) = sys::namespace_cookie(descriptor) else { return Ok(()) };
        match self.cookie.replace(cookie) {
            Some(other) if other != cookie => Err(format!("the plumber's {kind:?} is of another network namespace")),
            _ => Ok(()),
        }
    }
}
