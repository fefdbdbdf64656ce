//! The data table of `access = "read-metadata"`.

/// An action that reads what is stored, not how it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataRead {
    /// In IAM's words, `*` allowed.
    pub action: &'static str,
    /// What it would hand out.
    pub reason: &'static str,
}

const fn row(action: &'static str, reason: &'static str) -> DataRead {
    DataRead { action, reason }
}

/// Actions of ReadOnlyAccess that hand out data, secrets, or code.
pub const DATA_READS: &[DataRead] = &[row("s3:GetObject*", "objects, their versions and tags")];
