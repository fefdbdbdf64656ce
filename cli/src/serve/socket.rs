//! The socket: nobody but the caller can connect to it, nobody else can put one in its place, and it has its name only
//! while there are credentials behind it.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, fchmod, flock, fstat};
use rustix::fs::{openat, renameat_with, statat, unlinkat};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with};

use super::shown;
use crate::failure::Failure;
use crate::home::lock;

/// The longest path that connect(2) takes, in bytes.
const LONGEST: usize = 107;
/// Clients that may wait to be let in.
const BACKLOG: i32 = 1024;
/// How long another `serve` in the same directory may take to begin or to end.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a socket is called while it has no name yet.
pub(super) const UNNAMED: &str = ".agent-aws-serve-";
/// What to do about a directory that will not do.
const ELSEWHERE: &str = "choose a directory that only you can write to, such as $XDG_RUNTIME_DIR";

/// A socket that listens.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    directory: OwnedFd,
    name: OsString,
    unnamed: OsString,
    /// Ours until the broker has it: whoever holds it can accept connections.
    listener: Option<OwnedFd>,
    /// Its file, held so that no other one gets its number.
    file: OwnedFd,
}

fn failed(path: &Path) -> impl Fn(Errno) -> Failure {
    move |e| Failure::Path(path.into(), e.into())
}

fn refused(path: &Path, what: &str, advice: &str) -> Failure {
    Failure::Other(format!("{}: {what}", shown(path)), Some(advice.into()))
}

impl Socket {
    /// Binds and listens, under another name for now. `path` is absolute.
    pub(super) fn bind(path: &Path) -> Result<Self, Failure> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(refused(path, "this is no path for a socket", ELSEWHERE));
        };
        let size = path.as_os_str().len();
        if size > LONGEST {
            return Err(refused(
                path,
                &format!("{size} bytes are too long for a socket (at most {LONGEST})"),
                ELSEWHERE,
            ));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, parent, flags, Mode::empty()).map_err(failed(parent))?;
        only_ours(parent)?;
        let _alone = alone(&directory, parent)?;
        sweep(&directory, parent)?;
        free(&directory, name, path)?;
        let unnamed = OsString::from(format!("{UNNAMED}{}", std::process::id()));
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None);
        let listener = listener.map_err(failed(path))?;
        // Of a socket that is not bound yet this is the mode that its file will have: there is no moment with another.
        fchmod(&listener, Mode::RUSR | Mode::WUSR).map_err(failed(path))?;
        bind(&listener, &address(&directory, &unnamed).map_err(failed(path))?).map_err(failed(path))?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&directory, &unnamed, flags, Mode::empty()).map_err(failed(path))?;
        let (path, name) = (path.to_owned(), name.to_owned());
        let socket = Self { path, directory, name, unnamed, listener: Some(listener), file };
        match socket.listener.as_ref().map(|listener| listen(listener, BACKLOG)) {
            Some(Err(e)) => Err(failed(&socket.path)(e)),
            _ => Ok(socket),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// For the broker.
    pub(super) fn listener(&self) -> Option<BorrowedFd<'_>> {
        self.listener.as_ref().map(AsFd::as_fd)
    }

    /// Gives it its name. From then on only the broker can accept connections.
    pub(super) fn publish(&mut self) -> Result<(), Failure> {
        self.listener = None;
        let directory = &self.directory;
        let _alone = alone(directory, &self.path)?;
        free(directory, &self.name, &self.path)?;
        renameat_with(directory, &self.unnamed, directory, &self.name, RenameFlags::NOREPLACE)
            .map_err(failed(&self.path))
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _alone = alone(&self.directory, &self.path);
        let Ok(file) = fstat(&self.file) else { return };
        for name in [&self.name, &self.unnamed] {
            let found = statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW);
            if found.is_ok_and(|found| (found.st_dev, found.st_ino) == (file.st_dev, file.st_ino)) {
                let _ = unlinkat(&self.directory, name, AtFlags::empty());
            }
        }
    }
}

/// A name in a directory, however long the path of that is.
fn address(directory: &OwnedFd, name: &OsStr) -> Result<SocketAddrUnix, Errno> {
    SocketAddrUnix::new(Path::new(&format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name))
}

/// A lock on the directory, until it is dropped: two that begin at once must not both find a name free.
struct Lock(OwnedFd);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

fn alone(directory: &OwnedFd, path: &Path) -> Result<Lock, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Opened anew: a lock belongs to an open file.
    let own = openat(directory, c".", flags, Mode::empty()).map_err(failed(path))?;
    match lock::within(PATIENCE, &own, FlockOperation::NonBlockingLockExclusive).map_err(failed(path))? {
        true => Ok(Lock(own)),
        false => Err(refused(path, "another program keeps the directory locked", "try again, or choose another")),
    }
}

/// Nobody but the caller and root may put anything in the place of the socket, or of a directory above it.
pub(super) fn only_ours(directory: &Path) -> Result<(), Failure> {
    let os = |path: &Path| {
        let path = path.to_owned();
        move |e: io::Error| Failure::Path(path, e)
    };
    let real = directory.canonicalize().map_err(os(directory))?;
    let us = rustix::process::getuid().as_raw();
    for above in real.ancestors() {
        let found = std::fs::symlink_metadata(above).map_err(os(above))?;
        if let Some(what) = others(&found, us) {
            return Err(refused(above, what, ELSEWHERE));
        }
    }
    Ok(())
}

/// Who else could replace what is in a directory.
fn others(found: &Metadata, us: u32) -> Option<&'static str> {
    if ![0, us].contains(&found.uid()) {
        return Some("this directory belongs to somebody else, who could put another socket in the place of yours");
    }
    // What a sticky directory holds can be replaced by its owner only.
    let open = found.mode() & 0o022 != 0 && found.mode() & 0o1000 == 0;
    open.then_some("others may write to this directory, and could put another socket in the place of yours")
}

/// What former runs left that were killed.
fn sweep(directory: &OwnedFd, path: &Path) -> Result<(), Failure> {
    for entry in rustix::fs::Dir::read_from(directory).map_err(failed(path))? {
        let entry = entry.map_err(failed(path))?;
        if entry.file_name().to_bytes().starts_with(UNNAMED.as_bytes()) {
            let name = OsString::from(entry.file_name().to_string_lossy().into_owned());
            remove_if_dead(directory, &name);
        }
    }
    Ok(())
}

/// Makes sure that a name is free: a socket of ours that nobody listens at any more is what a killed run left.
fn free(directory: &OwnedFd, name: &OsStr, path: &Path) -> Result<(), Failure> {
    remove_if_dead(directory, name);
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => Ok(()),
        Err(e) => Err(failed(path)(e)),
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Socket => Err(refused(
            path,
            "somebody serves there already",
            "`agent-aws sessions` lists yours; or choose another path",
        )),
        Ok(_) => Err(refused(path, "there is something already", "choose another path, or remove it")),
    }
}

fn remove_if_dead(directory: &OwnedFd, name: &OsStr) {
    let Ok(found) = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) else { return };
    let ours = found.st_uid == rustix::process::getuid().as_raw();
    if !ours || FileType::from_raw_mode(found.st_mode) != FileType::Socket {
        return;
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let Ok(client) = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None) else { return };
    let Ok(address) = address(directory, name) else { return };
    if connect(&client, &address) == Err(Errno::CONNREFUSED) {
        let _ = unlinkat(directory, name, AtFlags::empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    fn scratch() -> tempfile::TempDir {
        let base = std::env::var_os("CARGO_TARGET_TMPDIR").map(PathBuf::from);
        match base {
            Some(base) => tempfile::tempdir_in(base).unwrap(),
            None => tempfile::tempdir().unwrap(),
        }
    }

    fn text(result: Result<Socket, Failure>) -> String {
        result.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn it_has_its_name_only_between_publish_and_drop_and_the_mode_of_the_caller_alone() {
        let scratch = scratch();
        let path = scratch.path().join("a.sock");
        let mut socket = Socket::bind(&path).unwrap();
        assert!(!path.exists());
        let listener = socket.listener().unwrap().try_clone_to_owned().unwrap();
        socket.publish().unwrap();
        assert!(socket.listener().is_none(), "only the broker accepts from now on");
        assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        UnixStream::connect(&path).unwrap();
        drop(listener);
        drop(socket);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_run_left_is_replaced_and_what_lives_or_is_no_socket_is_not() {
        let scratch = scratch();
        let path = scratch.path().join("a.sock");
        drop(UnixListener::bind(&path).unwrap());
        drop(UnixListener::bind(scratch.path().join(format!("{UNNAMED}1"))).unwrap());
        drop(Socket::bind(&path).unwrap());
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
        let living = UnixListener::bind(&path).unwrap();
        assert!(text(Socket::bind(&path)).contains("somebody serves there already"));
        drop(living);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "kept").unwrap();
        assert!(text(Socket::bind(&path)).contains("there is something already"));
        assert_eq!(std::fs::read(&path).unwrap(), b"kept");
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_refused_and_a_sticky_one_is_not() {
        let scratch = scratch();
        let below = scratch.path().join("below");
        std::fs::create_dir(&below).unwrap();
        for (mode, good) in [(0o777, false), (0o770, false), (0o1777, true), (0o755, true)] {
            std::fs::set_permissions(scratch.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Socket::bind(&below.join("a.sock")).is_ok(), good, "{mode:o}");
        }
        let long = below.join("x".repeat(LONGEST));
        assert!(text(Socket::bind(&long)).contains("too long"));
    }

    #[test]
    fn a_socket_that_took_its_place_is_left_alone() {
        let scratch = scratch();
        let path = scratch.path().join("a.sock");
        let mut socket = Socket::bind(&path).unwrap();
        socket.publish().unwrap();
        std::fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
        drop(other);
    }
}
