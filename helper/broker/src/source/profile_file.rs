//! A shared-credentials file that only root can read, opened by the supervisor and read here, once for each mint.

use std::os::fd::OwnedFd;

use aws_config::profile::ProfileSet;
use aws_credential_types::Credentials;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};
use zeroize::Zeroizing;

use crate::cause::Cause;

/// The largest file that is read.
const LARGEST: usize = 64 * 1024;

/// Reads the keys of `profile`.
pub(crate) fn read(file: OwnedFd, profile: &str) -> Result<Credentials, Cause> {
    let contents = contents(&file)?;
    keys(&contents, profile)
}

fn contents(file: &OwnedFd) -> Result<Zeroizing<String>, Cause> {
    let unreadable = |e: rustix::io::Errno| Cause::denied(format!("the source's file cannot be read: {e}"));
    let stat = rustix::fs::fstat(file).map_err(unreadable)?;
    if !rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
        return Err(Cause::denied("the source's file is no regular file"));
    }
    // Read by position: the descriptor may share its offset with the supervisor's.
    let mut bytes = Zeroizing::new(vec![0; LARGEST + 1]);
    let mut length = 0;
    while let Some(rest) = bytes.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(file, rest, length as u64) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(unreadable(e)),
        }
    }
    if length > LARGEST {
        return Err(Cause::denied(format!("the source's file is larger than {LARGEST} bytes")));
    }
    let text = std::str::from_utf8(bytes.get(..length).unwrap_or_default())
        .map_err(|_| Cause::denied("the source's file is not UTF-8"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The SDK's own parser, with neither a file system nor an environment to look into.
fn parse(contents: &str, profile: &str) -> Result<ProfileSet, Cause> {
    let files = EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Credentials, contents).build();
    let (fs, env) = (Fs::from_slice(&[]), Env::from_slice(&[]));
    let load = aws_config::profile::load(&fs, &env, &files, Some(profile.to_owned().into()));
    // Nothing in there can wait, since there is nothing to read but memory.
    let mut load = std::pin::pin!(load);
    match load.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(Ok(set)) => Ok(set),
        // The parser's words may quote a line, which may be a key.
        _ => Err(Cause::denied("the source's file is no shared-credentials file")),
    }
}

fn keys(contents: &str, profile: &str) -> Result<Credentials, Cause> {
    let set = parse(contents, profile)?;
    let Some(found) = set.get_profile(profile) else {
        return Err(Cause::denied(format!("the source's file has no profile '{profile}'")));
    };
    let value = |key| found.get(key).map(str::trim).filter(|v| !v.is_empty());
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(id), Some(secret)) => {
            let token = value("aws_session_token").map(Into::into);
            Ok(Credentials::new(id, secret, token, None, "ProfileFile"))
        }
        _ => Err(Cause::denied(format!(
            "profile '{profile}' of the source's file needs aws_access_key_id and aws_secret_access_key, and may have \
             aws_session_token; nothing else in it is used"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(text: &[u8]) -> OwnedFd {
        let fd = rustix::fs::memfd_create("source", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut file = std::fs::File::from(fd);
        file.write_all(text).unwrap();
        file.into()
    }

    #[test]
    fn keys_are_read_from_the_named_profile_wherever_the_offset_stands() {
        let text = b"[default]\naws_access_key_id = A\naws_secret_access_key = B\n[w]\naws_access_key_id=C\naws_secret_access_key=D/+=\naws_session_token=E\n";
        let got = read(file(text), "w").unwrap();
        assert_eq!((got.access_key_id(), got.secret_access_key(), got.session_token()), ("C", "D/+=", Some("E")));
    }

    #[test]
    fn a_profile_that_is_not_there_and_one_without_keys_say_so() {
        let text = b"[w]\nrole_arn = x\ncredential_process = /bin/false\n";
        assert!(read(file(text), "v").unwrap_err().text.contains("no profile 'v'"));
        assert!(read(file(text), "w").unwrap_err().text.contains("needs aws_access_key_id"));
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let cause = read(file(b"[w\nsecret-line"), "w").unwrap_err();
        assert!(!cause.text.contains("secret-line"), "{}", cause.text);
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused() {
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        assert!(read(pipe, "w").unwrap_err().text.contains("no regular file"));
        assert!(read(file(&vec![b'#'; LARGEST + 1]), "w").unwrap_err().text.contains("larger"));
    }
}
