//! The sandbox of macOS, seatbelt: [`lower`] turns the plan that Linux has too into a profile, and [`Profile::may`] says
//! what such a profile decides. Nothing here reads a file or asks a system: all of it runs, and is tested, on any OS.
//!
//! No word of the caller's is ever in the text of a profile: the text depends on how many paths there are, the paths go
//! beside it as parameters (docs/adr/0014). What seatbelt cannot do is in docs/macos.md.
#![forbid(unsafe_code)]

mod decide;
mod expression;
mod filter;
mod lower;
mod path;
mod profile;
mod rules;
pub mod tables;
mod template;

pub use decide::{Decision, Object, Reading, Whose};
pub use lower::{Found, Place, lower};
pub use path::Refusal;
pub use profile::{Parameter, Profile, Tier, Verdict, Why};
pub use rules::{Rules, Unreadable};

#[cfg(test)]
mod tests;
