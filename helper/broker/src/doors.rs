//! The doors: ways for clients inside to get the one answer. No door takes a parameter, so there is nothing to parse
//! but HTTP's own frame.

mod capability;
mod clients;
mod fifo;
mod http;
mod socket;

use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::cause::Cause;
use crate::vault::Vault;

/// Serves at the doors that the supervisor made: capability, Unix listener, FIFOs for requests and answers, HTTP
/// listener if there is one.
pub(crate) fn open(vault: &Rc<Vault>, http: bool, descriptors: Vec<OwnedFd>) -> Result<(), Cause> {
    let refuse = |what: &str, e: &dyn std::fmt::Display| Cause::last(format!("the {what} door cannot be served: {e}"));
    let mut descriptors = descriptors.into_iter();
    let mut next = || descriptors.next();
    let (Some(capability), Some(listener), Some(request), Some(answer)) = (next(), next(), next(), next()) else {
        return Err(Cause::last("the doors came without their descriptors"));
    };
    let last = next();
    if last.is_some() != http || next().is_some() {
        return Err(Cause::last("the doors came with a wrong number of descriptors"));
    }
    let undertaker = clients::undertaker().map_err(|e| refuse("first", &e))?;
    capability::serve(capability, undertaker.clone(), Rc::clone(vault)).map_err(|e| refuse("capability", &e))?;
    socket::serve(listener, undertaker, Rc::clone(vault)).map_err(|e| refuse("socket", &e))?;
    fifo::serve(request, answer, Rc::clone(vault)).map_err(|e| refuse("FIFO", &e))?;
    if let Some(listener) = last {
        http::serve(listener, Rc::clone(vault)).map_err(|e| refuse("HTTP", &e))?;
    }
    Ok(())
}
