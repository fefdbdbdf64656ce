//! The plan: the complete, printable description of a session before anything is done. Pure, on any OS.
//!
//! A plan says intents (what stands where, how it may be accessed, why, and who asked for it). How a kernel is made to
//! do it is the business of `sandbox` (Linux) and `seatbelt` (macOS), which lower the same plan.
#![forbid(unsafe_code)]

mod build;
mod environment;
mod generated;
mod intent;
mod print;
pub mod tables;

pub use build::{Grant, PlanError, Wish, home_of, plan};
pub use environment::{EnvError, check_variable};
pub use generated::json_escape;
pub use intent::{Access, Caller, Intent, Kind, MountPoint, Opener, Origin, Plan, Source, SourceId, Variable, What};
pub use print::explain;
