//! Handing over what was made.

use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

use agent_aws_pipes::{GatewayToPlumber, Pipe, PlumberToGateway};
use agent_aws_protocol::{Channel, MAX_DESCRIPTORS};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::Fault;

/// What waits to be handed over, a frame at a time.
#[derive(Debug)]
pub(crate) struct Hand<'c> {
    to: &'c Channel,
    pipes: Vec<(Pipe, OwnedFd)>,
}

impl<'c> Hand<'c> {
    pub(crate) fn new(to: &'c Channel) -> Self {
        Self { to, pipes: Vec::new() }
    }

    pub(crate) fn add(&mut self, pipe: Pipe, descriptor: OwnedFd) {
        self.pipes.push((pipe, descriptor));
    }

    /// Sends them all.
    pub(crate) fn over(self) -> Result<(), Fault> {
        for some in self.pipes.chunks(MAX_DESCRIPTORS) {
            let kinds = some.iter().map(|(pipe, _)| *pipe).collect();
            let descriptors: Vec<_> = some.iter().map(|(_, descriptor)| descriptor.as_fd()).collect();
            let sent = self.to.send_with(&PlumberToGateway::Pipes(kinds), &descriptors);
            sent.map_err(|e| format!("the gateway: {e}"))?;
        }
        Ok(())
    }
}

/// Makes sockets for as long as the gateway asks for them; its end is ours.
pub(crate) fn sockets(gateway: &Channel) -> ExitCode {
    while let Ok(asked) = gateway.receive::<GatewayToPlumber>(None) {
        let GatewayToPlumber::Socket { v6 } = asked.message;
        let family = if v6 { AddressFamily::INET6 } else { AddressFamily::INET };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = socket_with(family, SocketType::STREAM, flags, None) else {
            return ExitCode::FAILURE;
        };
        if gateway.send_with(&PlumberToGateway::Socket, &[socket.as_fd()]).is_err() {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
