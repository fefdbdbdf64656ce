//! What end-to-end tests, demo and bench share: a world of their own with test users and the installed products in it,
//! calls of `agent-aws` as one of those users, an STS, and a look at what is left afterwards.
//!
//! A test program is a table of functions given to [`suite`]. Every function runs once for each [`Mode`], in a process
//! of its own; as root also in mount and pid namespaces of its own, so that a test may write policy, break `/etc` or
//! leave processes behind without another test (or the machine) noticing.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)] // a test fails by panicking

mod call;
mod homes;
mod internet;
mod machine;
mod mounts;
mod names;
mod processes;
mod scene;
mod stage;
mod suite;
mod users;
mod wait;
mod world;

pub use call::{Call, Output};
pub use homes::Homes;
pub use internet::Internet;
pub use machine::{Machine, Mode};
pub use names::Names;
pub use processes::{Process, processes};
pub use scene::{ACCOUNT, BASE_ROLE, DEVICE, GUARDED, OWN_ROLE, ROLE, Scene, Setup, TOKEN};
pub use stage::Stage;
pub use suite::{Case, suite};
pub use users::User;
pub use wait::{SOON, until, within};
pub use world::{End, Entered, enter};

pub use agent_aws_sts_emulator as emulator;
