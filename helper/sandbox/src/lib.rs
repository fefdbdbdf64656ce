//! The Linux sandbox: [`lower`] turns a plan into operations (pure), [`Builder`] applies them one by one.
//!
//! Nothing here decides anything: what may be seen is in the plan, what the kernel can give is in [`KernelFacts`], and
//! what cannot be given is a [`Failure`], never something weaker.

mod builder;
mod cgroup;
mod error;
mod facts;
mod fence;
mod lower;
mod namespace;
mod op;
mod open;
mod privilege;
mod seccomp;
pub mod sys;

pub use agent_aws_bpf::calls;
pub use builder::{Builder, Listeners, new_file_system};
pub use cgroup::{Group, USUAL_PIDS};
pub use error::Failure;
pub use facts::KernelFacts;
pub use fence::restrict;
pub use lower::{Lowered, lower};
pub use namespace::{Namespaces, interface_up, spawn};
pub use op::{Fence, Op};
pub use open::{clone_tree, is_plain, is_same, is_there, kind_of, open_source, real_path};
pub use privilege::{
    Ids, Kept, become_permanently, become_plumber, empty_bounding_set, forbid_gaining, forbid_gaining_unprivileged,
    not_dumpable,
};
pub use seccomp::allow_only;
