//! The files of the caller's AWS configuration, before the SDK reads them. It reads whatever they are: a device to an end that
//! never comes, with all memory, and a FIFO for as long as nobody writes to it.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use aws_types::os_shim_internal::Env;

use crate::cause::Cause;

/// The largest that is read, in bytes.
const LARGEST: u64 = 1024 * 1024;
/// Variables that name them, and where they are usually.
const FILES: [(&str, &str); 2] =
    [("AWS_CONFIG_FILE", "~/.aws/config"), ("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")];

/// Whether they can be read to their end. One that is not there is the SDK's business, and `/dev/null` is how one is left out.
pub(super) fn check(env: &Env) -> Result<(), Cause> {
    for (variable, usual) in FILES {
        let named = env.get(variable).ok().filter(|named| !named.is_empty());
        let named = named.unwrap_or_else(|| usual.to_owned());
        let path = match named.strip_prefix("~/") {
            Some(below) => Path::new(&env.get("HOME").unwrap_or_default()).join(below),
            None => named.into(),
        };
        let Ok(found) = std::fs::metadata(&path) else { continue };
        let null = found.file_type().is_char_device() && found.rdev() == rustix::fs::makedev(1, 3);
        if !found.is_file() && !null {
            return Err(Cause::denied(format!("{} is no regular file", path.display())));
        }
        if found.len() > LARGEST {
            return Err(Cause::denied(format!("{} is larger than {LARGEST} bytes", path.display())));
        }
    }
    Ok(())
}
