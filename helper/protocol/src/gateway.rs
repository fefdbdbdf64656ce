//! Between the supervisor and the gateway, and from the plumber. What those two say to each other is not the helper's.

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
