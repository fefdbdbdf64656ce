//! The plan: the complete, printable description of a session before anything is done. Pure, on any OS.
//!
//! A plan says intents (what stands where, how it may be accessed, why, and who asked for it). How a kernel is made to
//! do it is the business of `sandbox` (Linux) and `seatbelt` (macOS), which lower the same plan.
#![forbid(unsafe_code)]

mod bounds;
mod build;
#[cfg(any(test, feature = "for-tests"))]
#[path = "tests/fixture.rs"]
pub mod fixture;
mod grant;
mod intent;
mod minting;
pub mod tables;

pub use bounds::PlanError;
pub use build::{Grant, MODEL_CLIENT, Model, OURS, Wish, home_of, plan};
pub use grant::grant;
pub use intent::{
    Access, Caller, Intent, Kind, MountPoint, Opener, Origin, Plan, Source, SourceId, Text, What, around,
};
pub use minting::{minting, model_minting};
