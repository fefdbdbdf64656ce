//! Between the supervisor and the gateway, and between the plumber and the gateway.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

/// What a session may reach. There is no other way to tell the gateway anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// Name of the sandbox, for messages.
    pub sandbox: String,
    /// `allow-names` of the policy, presets already spelt out: `*`, `example.com`, `*.example.com`, `203.0.113.0/24`, each with `:port`
    /// or without.
    pub allow: Vec<String>,
    /// What the caller narrowed that to (`--allow-name`), in the same words: both must let a name through. Empty: it is not
    /// narrowed.
    pub narrow: Vec<String>,
    /// `allow-private` of the policy: names whose addresses may be private, and networks.
    pub private: Vec<String>,
    /// Ports of the host's loopback that are offered inside, at 127.0.0.1, ::1 and `host.internal`.
    pub local_ports: Vec<u16>,
    /// Ports of the agent's loopback that are offered on the host's, at 127.0.0.1.
    pub publish: Vec<u16>,
    /// `http://HOST:PORT` of a proxy that every connection to a name takes.
    pub upstream_proxy: Option<String>,
}

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelperToGateway {
    /// The one message. /etc/resolv.conf and /etc/hosts come along, open for reading, then the plumber's channel.
    Serve(Rules),
}

/// From the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayToHelper {
    /// It has the listeners and serves.
    Ready {
        /// Whether every port is caught, or only those of the plumber's list.
        every_port: bool,
    },
    /// It cannot serve; the last message.
    Failed {
        /// Why, for the caller.
        cause: String,
    },
    /// Something was refused, for the first time in this session or again after some while.
    Blocked {
        /// The name, or the address where no name was asked for. Never anything of what was sent.
        name: String,
        /// The port; 0 for a question for the name.
        port: u16,
        /// Which rule refused it, and what to do, in words.
        why: String,
        /// How often since the last message about it.
        count: u32,
    },
}

/// A descriptor that the plumber hands over, made in the sandbox's network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pipe {
    /// UDP port 53 of every address, IPv4 and IPv6, with the address asked as packet information.
    Dns,
    /// TCP, listening: port 53 of every address.
    DnsTcp,
    /// TCP, listening: what is not the agent's own loopback arrives here, on any port (by `sk_lookup`) or on one port of the
    /// list. The connection's own address is what the client dialled.
    Any,
    /// TCP, listening: a port of the agent's loopback that stands for the same port of the host's.
    Local(u16),
    /// Nothing to listen on: the link of the `sk_lookup` program, which ends with its last descriptor.
    Link,
}

/// From the plumber, which is in the sandbox's network namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlumberToGateway {
    /// A few descriptors, in this order.
    Pipes(Vec<Pipe>),
    /// That was all.
    Done {
        /// Whether every port is caught. If not, only those of the plumber's list are.
        every_port: bool,
    },
    /// Answer to [`GatewayToPlumber::Socket`]: it comes along.
    Socket,
}

/// From the plumber, when it is done or cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlumberToHelper {
    /// The namespace is as it should be.
    Done,
    /// It is not.
    Failed {
        /// Why, for the caller.
        cause: String,
    },
}

/// To the plumber, after it is done, and only where ports are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayToPlumber {
    /// A TCP socket of the sandbox's network namespace, not connected yet.
    Socket {
        /// IPv6, not IPv4.
        v6: bool,
    },
}

/// Where the sandbox's resolv.conf sends questions, and where the explicit proxy is (IPv4). In the pool of stand-ins.
pub const GATEWAY_ADDRESS: [u8; 4] = [198, 18, 0, 1];
/// TCP port of the explicit proxy at [`GATEWAY_ADDRESS`]: HTTP CONNECT, plain HTTP, SOCKS5.
pub const PROXY_PORT: u16 = 3128;
/// First address of the pool of stand-ins, a /15 (RFC 2544); .0.0 to .0.255 are kept back.
pub const POOL_V4: [u8; 4] = [198, 18, 0, 0];
/// First 64 bits of the IPv6 pool of stand-ins (RFC 4193); interface ids count as the addresses of the IPv4 pool do.
pub const POOL_V6: [u16; 4] = [0xfd61, 0x6761, 0x7773, 0];
/// The credential door of the sandbox, which is the agent's own address and never the gateway's.
pub const DOOR_ADDRESS: [u8; 4] = [169, 254, 170, 2];
