//! The doors: ways for clients inside to get the one answer. No door takes a parameter, so there is nothing to parse
//! but HTTP's own frame.

mod capability;
mod clients;
mod fifo;
mod http;
mod socket;

use std::os::fd::OwnedFd;
use std::rc::Rc;

use agent_aws_protocol::Door;

use crate::cause::Cause;
use crate::vault::Vault;

/// Serves at the doors that the supervisor has.
pub(crate) fn open(vault: &Rc<Vault>, doors: &[Door], descriptors: Vec<OwnedFd>) -> Result<(), Cause> {
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next().ok_or_else(|| Cause::last("the doors came without their descriptors"));
    let undertaker = clients::undertaker().map_err(|e| cannot_serve("first", &e))?;
    for door in doors {
        let (vault, undertaker) = (Rc::clone(vault), undertaker.clone());
        let (what, served) = match door {
            Door::Capability => ("capability", capability::serve(next()?, undertaker, vault)),
            Door::Socket => ("socket", socket::serve(next()?, undertaker, vault)),
            Door::Fifos => ("FIFO", fifo::serve(next()?, next()?, vault)),
            Door::Http => ("HTTP", http::serve(next()?, vault)),
        };
        served.map_err(|e| cannot_serve(what, &e))?;
    }
    match descriptors.next() {
        None => Ok(()),
        Some(_) => Err(Cause::last("the doors came with a wrong number of descriptors")),
    }
}

fn cannot_serve(what: &str, why: &dyn std::fmt::Display) -> Cause {
    Cause::last(format!("the {what} door cannot be served: {why}"))
}
