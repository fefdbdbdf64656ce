//! The gateway carries the traffic of one sandbox, as far as its rules allow.
//!
//! Every TCP connection and every question for a name in the sandbox's network namespace ends here. A name that is let
//! through resolves to a stand-in address; a connection to a stand-in becomes a connection to that name, made outside. The
//! process reads all that the agent sends, so it is confined as if it were lost: see [`confine`].

mod blocked;
mod confine;
mod dial;
mod dns;
mod entry;
pub mod fuzzing;
mod gateway;
mod own;
mod places;
mod pool;
mod proxy;
mod publish;
mod relay;
mod rules;
mod seccomp;
mod serve;
mod setup;
#[allow(unsafe_code)]
mod sys;

use std::net::TcpListener as StdListener;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::time::Duration;

use agent_aws_protocol::Channel;
use agent_aws_protocol::gateway::GatewayToHelper;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::task::{LocalSet, spawn_local};

pub use confine::confine;
pub use entry::{complain, isolate};
pub use rules::{Host, Name, NotAName, Refusal, Rules, check_word};

use crate::blocked::Blocked;
use crate::gateway::Gateway;
use crate::publish::Plumber;
use crate::serve::Door;
use crate::setup::{Given, Pipes};

/// A frame of the supervisor's that has begun must be whole within this time.
pub const PATIENCE: Duration = setup::FRAME;

/// One session, from the first message to the end of the channel. The error is why there is none.
pub fn session(channel: Channel) -> Result<(), String> {
    entry::check()?;
    let Some(given) = setup::first_message(&channel)? else { return Ok(()) };
    let channel = Rc::new(channel);
    let Given { rules, resolv_conf, hosts, plumber } = given;
    let gateway = Rc::new(Gateway::new(&rules, &resolv_conf, &hosts, blocked(&channel))?);
    let published = publish::bind(&rules.publish)?;
    let pipes = Pipes::receive(&plumber, &rules)?;
    let every_port = pipes.every_port;
    // Before the filter: a build of tokio with signals makes a pair of Unix sockets for them. It makes no thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start the gateway: {e}"))?;
    confine()?;
    LocalSet::new().block_on(&runtime, async {
        let links = open(&gateway, pipes, plumber, published).map_err(|e| format!("cannot serve: {e}"))?;
        channel.send(&GatewayToHelper::Ready { every_port }).map_err(|e| format!("the supervisor: {e}"))?;
        let ended = until_gone(&channel).await;
        drop(links);
        ended
    })
}

/// Refusals are told where that takes no time: a supervisor that is stopped must not stop the agent's traffic.
fn blocked(channel: &Rc<Channel>) -> Blocked {
    let channel = Rc::clone(channel);
    Blocked::new(move |message| {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        matches!(poll(&mut [PollFd::new(&*channel, PollFlags::OUT)], Some(&now)), Ok(1))
            && channel.send(message).is_ok()
    })
}

/// Starts to serve. What is returned must stay open.
fn open(
    gateway: &Rc<Gateway>,
    pipes: Pipes,
    plumber: Channel,
    published: Vec<(u16, StdListener)>,
) -> std::io::Result<Vec<std::os::fd::OwnedFd>> {
    for socket in pipes.dns {
        spawn_local(dns::server::serve_udp(Rc::clone(gateway), socket));
    }
    let any = pipes.any.into_iter().map(|socket| (socket, Door::Any));
    let dns = pipes.dns_tcp.into_iter().map(|socket| (socket, Door::Dns));
    let local = pipes.local.into_iter().map(|(port, socket)| (socket, Door::Local(port)));
    for (socket, door) in any.chain(dns).chain(local) {
        spawn_local(serve::serve(Rc::clone(gateway), serve::listener(socket)?, door));
    }
    let plumber = Rc::new(Plumber::new(plumber, pipes.cookie)?);
    for (port, listener) in published {
        let listener = serve::listener(listener.into())?;
        spawn_local(publish::serve(Rc::clone(gateway), Rc::clone(&plumber), port, listener));
    }
    let gateway = Rc::clone(gateway);
    spawn_local(async move {
        loop {
            tokio::time::sleep(blocked::PERIOD).await;
            gateway.blocked.settle();
        }
    });
    Ok(pipes.links)
}

/// The channel is the lifeline: its end is ours. Nothing more comes over it.
async fn until_gone(channel: &Channel) -> Result<(), String> {
    let watched = channel
        .as_fd()
        .try_clone_to_owned()
        .and_then(sys::watch)
        .map_err(|e| format!("cannot watch the channel: {e}"))?;
    loop {
        let mut ready = watched.readable().await.map_err(|e| format!("cannot watch the channel: {e}"))?;
        match rustix::net::recv(&watched, &mut [0u8; 1][..], rustix::net::RecvFlags::DONTWAIT) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => ready.clear_ready(),
            Ok((_, length)) if length > 0 => return Err("the supervisor said a thing that does not come here".into()),
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}
