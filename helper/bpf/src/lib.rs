//! Programs that the kernel runs for us, as words: filters of system calls. Nothing here installs one.
#![forbid(unsafe_code)]

pub mod classic;
#[cfg(any(test, feature = "for-tests"))]
#[path = "tests/interpreter.rs"]
pub mod interpreter;
pub mod seccomp;
mod syscalls;

#[doc(hidden)]
pub use libc;

/// A program, or why there is none.
pub type Made<T> = Result<T, Box<dyn std::error::Error>>;
