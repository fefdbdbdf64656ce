//! The agent's home, as far as it is the caller's business: made with the caller's rights, in a directory of theirs.

pub(crate) mod beneath;
pub(crate) mod git;
pub(crate) mod hide;
pub(crate) mod lock;
pub(crate) mod remove;
pub(crate) mod store;
pub(crate) mod toolchains;
pub(crate) mod walk;

#[cfg(test)]
mod tests;
