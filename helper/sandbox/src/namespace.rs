//! New namespaces and what must be up in them.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::cgroup::Group;
use crate::error::Failure;
use crate::sys::{self, Cloned};

/// Which namespaces a process gets besides mount, pid, ipc and uts, which it always gets.
#[derive(Debug)]
pub struct Namespaces {
    /// Of its own network.
    pub network: bool,
    /// Of its own users: without privilege there is no other way to make the rest.
    pub user: bool,
    /// The control group that it begins in.
    pub group: Option<Group>,
}

impl Namespaces {
    fn flags(&self) -> u64 {
        let always = libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
        let network = if self.network { libc::CLONE_NEWNET } else { 0 };
        let user = if self.user { libc::CLONE_NEWUSER } else { 0 };
        u64::try_from(always | network | user).unwrap_or_default()
    }
}

/// Forks a process in new namespaces; `None` makes a plain fork.
pub fn spawn(namespaces: Option<&Namespaces>) -> io::Result<Cloned> {
    let group = namespaces.and_then(|n| n.group.as_ref());
    sys::clone_process(namespaces.map_or(0, Namespaces::flags), group.map(|g| g.own.as_fd()))
}

/// Brings loopback up in the network namespace of this process, with one more address if there is a door.
pub fn interface_up(door: Option<Ipv4Addr>) -> Result<(), Failure> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|e| Failure::plain("a socket to configure loopback", e))?;
    sys::set_up(socket.as_fd(), "lo").map_err(|e| Failure::plain("bringing loopback up", e))?;
    match door {
        // An alias: the address gets a /16 by its class, which only means that all of 169.254/16 is this machine.
        Some(address) => sys::set_address(socket.as_fd(), "lo:1", address)
            .map_err(|e| Failure::plain("the address 169.254.170.2 on loopback", e)),
        None => Ok(()),
    }
}
