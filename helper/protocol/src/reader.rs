//! Between the helper and the reader of its policy.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::Bytes;

/// From the helper.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum HelperToReader {
    /// The next file of a policy, which comes along, open for reading.
    File {
        /// Its path, for messages.
        name: String,
    },
    /// The policy that is shipped, in the place of a file.
    Shipped {
        /// What messages call it.
        name: String,
    },
    /// These are all of them: read them as one.
    Read,
}

/// From the reader: pieces and their end, or what is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReaderToHelper {
    /// A piece of the policy, as postcard has it.
    Piece(Bytes),
    /// That was the last piece.
    Done,
    /// It is no policy.
    Faulty {
        /// What is wrong and where: file, line, column.
        what: String,
    },
}
