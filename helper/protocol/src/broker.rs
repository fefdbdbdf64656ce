//! Between the supervisor and the broker.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::Narrowing;

/// Where the credentials that mint a session come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceCredentials {
    /// A profile in a shared-credentials file, whose descriptor comes along (again at each renewal).
    ProfileFile {
        /// Profile name in that file.
        profile: String,
    },
    /// A program that prints them.
    Process {
        /// It, by its absolute path, and its arguments.
        command: Vec<String>,
    },
    /// A token, whose descriptor comes along (again at each renewal), with which a role is assumed.
    WebIdentity {
        /// The role's ARN.
        role: String,
    },
    /// EC2's metadata service.
    Instance,
    /// The endpoint of ECS or EKS; the descriptor of its token may come along.
    Container {
        /// Where it answers.
        uri: String,
    },
    /// The caller's own AWS configuration, reached through the broker's environment.
    Own {
        /// AWS profile.
        profile: String,
    },
}

/// Everything the broker needs to mint. There is no other way to tell it anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Minting {
    /// Name of the identity, for messages.
    pub identity: String,
    /// Source credentials.
    pub source: SourceCredentials,
    /// Role to assume; without one the source's session is passed on as it is, or exchanged.
    pub role: Option<String>,
    /// External id that the role's trust policy asks for.
    pub external_id: Option<String>,
    /// Region of STS.
    pub region: Option<String>,
    /// STS endpoint other than the region's own.
    pub sts_endpoint: Option<String>,
    /// Whether the region's FIPS endpoint is asked.
    pub fips: bool,
    /// Whether its endpoint for IPv4 and IPv6 is.
    pub dual_stack: bool,
    /// `DurationSeconds` of each session.
    pub duration: u32,
    /// `RoleSessionName`.
    pub session_name: String,
    /// `SourceIdentity`, with attribution = "full".
    pub source_identity: Option<String>,
    /// Session tags, with attribution = "full".
    pub tags: Vec<(String, String)>,
    /// What the session shall lose.
    pub narrowing: Narrowing,
}

/// A way for a client to get credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Door {
    /// One descriptor: a SEQPACKET socket, whose other end the agent inherits.
    Capability,
    /// One descriptor: a Unix listener.
    Socket,
    /// Two descriptors: the FIFO for requests and the one for answers, both open for reading and writing, non-blocking.
    Fifos,
    /// One descriptor: a TCP listener in the sandbox's own network namespace.
    Http,
}

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelperToBroker {
    /// First message. Where the source is a file, its descriptor comes along.
    Mint(Box<Minting>),
    /// The doors that there are; their descriptors come along in the same order.
    Doors(Vec<Door>),
    /// Answer to [`BrokerToHelper::Renew`]: still allowed. A fresh source comes along where it is a file.
    Renewed,
    /// Answer to [`BrokerToHelper::Renew`]: it cannot be said now (policy or source cannot be read); ask again later.
    NotNow {
        /// Why, for clients inside.
        why: String,
    },
    /// Answer to [`BrokerToHelper::Renew`]: no more. What was served stays valid until it expires.
    Revoked {
        /// Why, for clients inside.
        why: String,
    },
}

/// What was minted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedSession {
    /// AWS account id.
    pub account: String,
    /// ARN of the assumed role, or of the identity that is passed on.
    pub arn: String,
    /// Access key id (not secret), for the audit trail.
    pub access_key_id: String,
    /// End, seconds since 1970.
    pub expires: u64,
    /// How much of what STS packs policies and tags into they take, in percent, where there are any.
    pub packed: Option<u32>,
    /// What could not be narrowed or attributed, in words.
    pub notes: Vec<String>,
}

/// From the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BrokerToHelper {
    /// A session was minted: the first one, or a refresh.
    Minted(MintedSession),
    /// A mint failed.
    Failed {
        /// Why, with the service's own words; no secret.
        cause: String,
        /// Seconds until the next try; none if trying again is pointless unless somebody changes something (the
        /// broker may still look, slowly, and report [`BrokerToHelper::Minted`] after all).
        retry: Option<u32>,
    },
    /// May I refresh?
    Renew,
}
