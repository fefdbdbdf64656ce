//! The resolver of the sandbox.

pub(crate) mod answer;
pub(crate) mod files;
pub(crate) mod lookup;
pub(crate) mod server;
pub(crate) mod upstream;
