//! A shared-credentials file that only root can read, opened by the supervisor and read here, once for each mint.

use std::os::fd::OwnedFd;

use aws_config::profile::ProfileSet;
use aws_credential_types::Credentials;
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_types::os_shim_internal::{Env, Fs};
use zeroize::Zeroizing;

use super::Role;
use crate::cause::Cause;

/// The largest file that is read.
const LARGEST: usize = 64 * 1024;

/// The most roles that a profile leads through.
const MOST_ROLES: usize = 4;

/// Reads the keys of `profile`, and the roles that are assumed with them, the first one first.
pub(crate) fn read(file: &OwnedFd, profile: &str) -> Result<(Credentials, Vec<Role>), Cause> {
    let contents = contents(file)?;
    let set = parse(&contents, profile)?;
    let (mut name, mut roles) = (profile.to_owned(), Vec::new());
    loop {
        let Some(found) = set.get_profile(&name) else {
            return Err(Cause::denied(format!("the source's file has no profile '{name}'")));
        };
        let value = |key: &str| found.get(key).map(str::trim).filter(|v| !v.is_empty());
        match (value("role_arn"), value("source_profile")) {
            (Some(arn), Some(next)) if roles.len() < MOST_ROLES => {
                let (arn, external_id) = (arn.to_owned(), value("external_id").map(Into::into));
                roles.insert(0, Role { arn, external_id, session_name: None, duration: None });
                if next == name {
                    // One that names itself means its own keys.
                    return Ok((keys(value, &name)?, roles));
                }
                name = next.to_owned();
            }
            (Some(_), Some(_)) => {
                return Err(Cause::denied(format!(
                    "profile '{profile}' of the source's file leads through too many roles"
                )));
            }
            _ => return Ok((keys(value, &name)?, roles)),
        }
    }
}

/// The whole of a secret file, which is wiped when it is dropped.
pub(super) fn contents(file: &OwnedFd) -> Result<Zeroizing<String>, Cause> {
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

fn keys<'p>(value: impl Fn(&str) -> Option<&'p str>, profile: &str) -> Result<Credentials, Cause> {
    match (value("aws_access_key_id"), value("aws_secret_access_key")) {
        (Some(id), Some(secret)) => {
            let token = value("aws_session_token").map(Into::into);
            Ok(Credentials::new(id, secret, token, None, "ProfileFile"))
        }
        _ => Err(Cause::denied(format!(
            "profile '{profile}' of the source's file needs aws_access_key_id and aws_secret_access_key, and may have \
             aws_session_token; or role_arn and source_profile; nothing else in it is used"
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
        let (got, roles) = read(&file(text), "w").unwrap();
        assert!(roles.is_empty());
        assert_eq!((got.access_key_id(), got.secret_access_key(), got.session_token()), ("C", "D/+=", Some("E")));
    }

    #[test]
    fn a_profile_that_is_not_there_and_one_without_keys_say_so() {
        let text = b"[w]\nregion = x\ncredential_process = /bin/false\n";
        assert!(read(&file(text), "v").unwrap_err().text.contains("no profile 'v'"));
        assert!(read(&file(text), "w").unwrap_err().text.contains("needs aws_access_key_id"));
    }

    #[test]
    fn a_chain_of_roles_is_followed_to_its_keys_and_no_further() {
        let text = b"[w]\nrole_arn=two\nsource_profile=v\n[v]\nrole_arn=one\nexternal_id=e\nsource_profile=k\n[k]\naws_access_key_id=A\naws_secret_access_key=B\n";
        let (got, roles) = read(&file(text), "w").unwrap();
        let roles: Vec<_> = roles.iter().map(|r| (r.arn.as_str(), r.external_id.as_deref())).collect();
        assert_eq!((got.access_key_id(), roles.as_slice()), ("A", &[("one", Some("e")), ("two", None)][..]));
        let own = b"[w]\nrole_arn=r\nsource_profile=w\naws_access_key_id=A\naws_secret_access_key=B\n";
        assert_eq!(read(&file(own), "w").unwrap().1.len(), 1);
        let ring = b"[w]\nrole_arn=a\nsource_profile=v\n[v]\nrole_arn=b\nsource_profile=w\n";
        assert!(read(&file(ring), "w").unwrap_err().text.contains("too many roles"));
        assert!(
            read(&file(b"[w]\nrole_arn=a\nsource_profile=gone\n"), "w").unwrap_err().text.contains("no profile 'gone'")
        );
    }

    #[test]
    fn a_broken_file_is_not_quoted() {
        let cause = read(&file(b"[w\nsecret-line"), "w").unwrap_err();
        assert!(!cause.text.contains("secret-line"), "{}", cause.text);
    }

    #[test]
    fn what_is_no_file_or_too_large_is_refused() {
        let (pipe, _other) = rustix::pipe::pipe().unwrap();
        assert!(read(&pipe, "w").unwrap_err().text.contains("no regular file"));
        assert!(read(&file(&vec![b'#'; LARGEST + 1]), "w").unwrap_err().text.contains("larger"));
    }
}
