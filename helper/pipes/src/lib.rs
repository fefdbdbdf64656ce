//! What plumber and gateway say to each other, and the addresses of a network of `filtered`. A crate of its own, because
//! the setuid program has no use for it.
#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

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
