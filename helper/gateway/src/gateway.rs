//! What all parts share. There is one thread.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use agent_aws_protocol::gateway::Rules as Words;

use crate::blocked::Blocked;
use crate::dns::files::{Hosts, servers};
use crate::dns::lookup::Lookups;
use crate::dns::upstream::Upstream;
use crate::own::Own;
use crate::places::Places;
use crate::pool::Pool;
use crate::proxy::upstream::UpstreamProxy;
use crate::relay::Scratch;
use crate::rules::{Name, Refusal, Rules};

/// One session.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) rules: Rules,
    pub(crate) own: Own,
    pub(crate) pool: RefCell<Pool>,
    pub(crate) lookups: Lookups,
    pub(crate) proxy: Option<UpstreamProxy>,
    pub(crate) blocked: Blocked,
    pub(crate) places: Rc<Places>,
    pub(crate) scratch: Scratch,
}

impl Gateway {
    /// Reads the rules and the two files. Before the process is confined.
    pub(crate) fn new(rules: &Words, resolv_conf: &[u8], hosts: &[u8], blocked: Blocked) -> Result<Self, String> {
        Ok(Self {
            rules: Rules::parse(rules)?,
            own: Own::look()?,
            pool: RefCell::default(),
            lookups: Lookups::new(Hosts::parse(hosts), Upstream::new(servers(resolv_conf))),
            proxy: rules.upstream_proxy.as_deref().map(UpstreamProxy::parse).transpose()?,
            blocked,
            places: Places::new(),
            scratch: Scratch::default(),
        })
    }

    /// Of the addresses of a name, those that may be connected to, in both families by turns, IPv6 first (RFC 8305). The
    /// error is why the first may not.
    pub(crate) fn permitted(&self, name: &Name, found: &[IpAddr], port: u16) -> Result<Vec<SocketAddr>, Refusal> {
        let mut refused = None;
        let (mut v6, mut v4) = (Vec::new(), Vec::new());
        for &address in found {
            match self.rules.address(name, address, port, self.own.has(address)) {
                Ok(()) if address.is_ipv6() => v6.push(SocketAddr::new(address, port)),
                Ok(()) => v4.push(SocketAddr::new(address, port)),
                Err(why) => refused = refused.or(Some(why)),
            }
        }
        let (mut v6, mut v4) = (v6.into_iter(), v4.into_iter());
        let mut permitted = Vec::new();
        loop {
            let pair = [v6.next(), v4.next()];
            if pair == [None, None] {
                break;
            }
            permitted.extend(pair.into_iter().flatten());
        }
        match refused {
            Some(why) if permitted.is_empty() => Err(why),
            _ if permitted.is_empty() => Err("it has no address".into()),
            _ => Ok(permitted),
        }
    }
}
