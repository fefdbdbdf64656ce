//! The emulator from outside: signed by another's signer, over a socket, one test for each rule.

#[cfg(test)]
mod assume_role;
#[cfg(test)]
mod authentication;
#[cfg(test)]
mod chaining;
#[cfg(test)]
mod control;
#[cfg(test)]
mod narrowing;
#[cfg(test)]
mod program;
#[cfg(test)]
mod session_terms;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
