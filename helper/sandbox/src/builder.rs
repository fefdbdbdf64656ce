//! Applying operations: one system call each, mounts by descriptor only.

use std::ffi::OsStr;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, fchmod, mknodat, openat, openat2, symlinkat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags as Flags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, unmount,
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with, sockopt};

use crate::error::Failure;
use crate::namespace::interface_up;
use crate::op::Op;
use crate::open::{enter, normal_components};
use crate::sys;

const READ_ONLY: Flags = Flags::MOUNT_ATTR_RDONLY;
const NO_SUID: Flags = Flags::MOUNT_ATTR_NOSUID;
const NO_DEV: Flags = Flags::MOUNT_ATTR_NODEV;
const NO_EXEC: Flags = Flags::MOUNT_ATTR_NOEXEC;

/// The broker's ends of the doors.
#[derive(Debug, Default)]
pub struct Listeners {
    /// The socket in the sandbox's /run, the FIFO for requests, the one for answers, then the TCP listener.
    pub doors: Vec<OwnedFd>,
    /// Whether there is a TCP listener: where the network is the sandbox's own.
    pub http: bool,
}

/// Applies operations in the new namespaces.
#[derive(Debug)]
pub struct Builder {
    trees: Vec<Option<OwnedFd>>,
    owner: (u32, u32),
    root: Option<OwnedFd>,
    listeners: Listeners,
}

impl Builder {
    /// `trees` are the detached mounts, one for each source that is there; `owner` is the caller's uid and gid.
    pub fn new(trees: Vec<Option<OwnedFd>>, owner: (u32, u32)) -> Self {
        Self { trees, owner, root: None, listeners: Listeners::default() }
    }

    /// Applies everything, then hands the doors out.
    pub fn apply(mut self, ops: &[Op]) -> Result<Listeners, Failure> {
        for op in ops {
            self.step(op)?;
        }
        Ok(self.listeners)
    }

    fn step(&mut self, op: &Op) -> Result<(), Failure> {
        match op {
            Op::Private => mount_change(c"/", MountPropagationFlags::REC | MountPropagationFlags::PRIVATE)
                .map_err(|e| Failure::os("making mounts private", Path::new("/"), e)),
            Op::Loopback { door } => interface_up(*door),
            Op::Root { size } => self.new_root(*size),
            Op::Directory { path } => self.directory(path),
            Op::File { path, content } => self.create(path, content),
            Op::Over { path, made } => {
                let tree = crate::open::clone_tree(self.open(made)?.as_fd(), made)?;
                self.attach(&tree, path, true, false)
            }
            Op::Link { path, to } => {
                let (parent, name) = self.parent(path)?;
                symlinkat(to, &parent, name).map_err(|e| Failure::os("making the link", path, e))
            }
            Op::Attach { source, path, read_only, devices } => {
                let tree = self.trees.get_mut(source.0).and_then(Option::take);
                let tree = tree.ok_or_else(|| Failure::os("attaching", path, std::io::ErrorKind::NotFound))?;
                self.attach(&tree, path, *read_only, *devices)
            }
            Op::Memory { path, size, mode, owned } => self.memory(path, *size, *mode, *owned),
            Op::Processes { path } => {
                self.mount_new(new_file_system("proc", &[("hidepid", "invisible")], NO_DEV | NO_EXEC), path)
            }
            Op::Terminals { path } => {
                let options = [("newinstance", ""), ("ptmxmode", "0666"), ("mode", "0620")];
                self.mount_new(new_file_system("devpts", &options, NO_EXEC), path)
            }
            Op::Queues { path } => match new_file_system("mqueue", &[], NO_DEV | NO_EXEC) {
                // A kernel without queues.
                Err(Errno::NODEV) => Ok(()),
                made => self.mount_new(made, path),
            },
            Op::CoverFile { path } => self.cover(path),
            Op::Freeze { path } => match self.open(path) {
                Ok(there) => self.attach(&crate::open::clone_tree(there.as_fd(), path)?, path, true, false),
                // A kernel without it.
                Err(_) => Ok(()),
            },
            Op::Door { path } => self.door(path),
            Op::Fifo { path, mode } => self.fifo(path, *mode),
            Op::HttpDoor { address } => self.http_door(*address),
            Op::Seal { path } => {
                let mount = self.open(path)?;
                sys::mount_attributes(mount.as_fd(), READ_ONLY, false).map_err(|e| Failure::os("sealing", path, e))
            }
            Op::Enter => self.enter_root(),
        }
    }

    fn base(&self) -> Result<BorrowedFd<'_>, Failure> {
        self.root.as_ref().map(AsFd::as_fd).ok_or_else(|| Failure::plain("the new root", "is not there yet"))
    }

    /// Opens a path beneath the new root; a link anywhere on the way is an error.
    fn open(&self, path: &Path) -> Result<OwnedFd, Failure> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let relative = path.strip_prefix("/").unwrap_or(path);
        let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
        openat2(self.base()?, relative, OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty(), resolve)
            .map_err(|e| Failure::os("opening in the new root", path, e))
    }

    /// Makes the directories above `path`; returns the last of them and the name in it.
    fn parent<'p>(&self, path: &'p Path) -> Result<(OwnedFd, &'p OsStr), Failure> {
        let names = normal_components(path)?;
        let (last, directories) = names.split_last().ok_or_else(|| Failure::plain("a path of the plan", "is empty"))?;
        let mut here = self.open(Path::new("/"))?;
        for name in directories {
            here = enter(&here, name).map_err(|e| Failure::os("making the directories above", path, e))?;
        }
        Ok((here, last))
    }

    fn directory(&self, path: &Path) -> Result<(), Failure> {
        let (parent, name) = self.parent(path)?;
        enter(&parent, name).map(drop).map_err(|e| Failure::os("making the directory", path, e))
    }

    fn create(&self, path: &Path, content: &[u8]) -> Result<(), Failure> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&parent, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|e| Failure::os("making the file", path, e))?;
        let mut file = std::fs::File::from(file);
        file.write_all(content).map_err(|e| Failure::os("writing", path, e))?;
        fchmod(&file, Mode::from_raw_mode(0o444)).map_err(|e| Failure::os("setting the mode of", path, e))
    }

    fn attach(&self, tree: &OwnedFd, path: &Path, read_only: bool, devices: bool) -> Result<(), Failure> {
        let only = |flag: Flags, wanted: bool| if wanted { flag } else { Flags::empty() };
        let flags = NO_SUID | only(NO_DEV, !devices) | only(READ_ONLY, read_only);
        sys::mount_attributes(tree.as_fd(), flags, true)
            .map_err(|e| Failure::os("restricting the mount of", path, e))?;
        self.mount_at(tree, path)
    }

    fn mount_at(&self, tree: &OwnedFd, path: &Path) -> Result<(), Failure> {
        let target = self.open(path)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        move_mount(tree, c"", &target, c"", flags).map_err(|e| Failure::os("mounting", path, e))
    }

    fn memory(&self, path: &Path, size: u64, mode: u32, owned: bool) -> Result<(), Failure> {
        let (uid, gid) = self.owner;
        let values = [size.to_string(), format!("{mode:o}"), uid.to_string(), gid.to_string()];
        let mut options: Vec<_> =
            ["size", "mode", "uid", "gid"].into_iter().zip(values.iter().map(String::as_str)).collect();
        options.truncate(if owned { 4 } else { 2 });
        self.mount_new(new_file_system("tmpfs", &options, NO_DEV), path)
    }

    fn mount_new(&self, made: Result<OwnedFd, Errno>, path: &Path) -> Result<(), Failure> {
        self.mount_at(&made.map_err(|e| Failure::os("making a file system for", path, e))?, path)
    }

    fn cover(&self, path: &Path) -> Result<(), Failure> {
        // A bind of a device with nodev: opening it is EACCES, as for a file that is somebody else's.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let null = openat(self.base()?, c"dev/null", flags, Mode::empty());
        let null = null.map_err(|e| Failure::os("opening /dev/null to hide", path, e))?;
        let tree = crate::open::clone_tree(null.as_fd(), path)?;
        self.attach(&tree, path, true, false)
    }

    fn door(&mut self, path: &Path) -> Result<(), Failure> {
        let (parent, name) = self.parent(path)?;
        let fail = |e| Failure::os("making the door", path, e);
        // A socket is bound by path only: a relative one, from its own directory.
        rustix::process::fchdir(&parent).map_err(|e| fail(e.into()))?;
        let listener = UnixListener::bind(Path::new(name)).map_err(fail)?;
        let all = Mode::from_raw_mode(0o666);
        rustix::fs::chmodat(&parent, name, all, AtFlags::empty()).map_err(|e| fail(e.into()))?;
        self.listeners.doors.push(listener.into());
        Ok(())
    }

    fn fifo(&mut self, path: &Path, mode: u32) -> Result<(), Failure> {
        let (parent, name) = self.parent(path)?;
        let fail = |e| Failure::os("making the door", path, e);
        mknodat(&parent, name, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).map_err(fail)?;
        // Both ways: so it has a reader and a writer whatever clients do, and no end of file.
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fifo = openat(&parent, name, flags, Mode::empty()).map_err(fail)?;
        fchmod(&fifo, Mode::from_raw_mode(mode)).map_err(fail)?;
        self.listeners.doors.push(fifo);
        Ok(())
    }

    fn http_door(&mut self, address: Ipv4Addr) -> Result<(), Failure> {
        let fail = |e: rustix::io::Errno| Failure::plain("the door on 169.254.170.2", e);
        let listener =
            socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(fail)?;
        // The plumber may have to listen at this port of every other address.
        sockopt::set_socket_reuseport(&listener, true).map_err(fail)?;
        bind(&listener, &SocketAddrV4::new(address, 80)).and_then(|()| listen(&listener, 128)).map_err(fail)?;
        self.listeners.doors.push(listener);
        self.listeners.http = true;
        Ok(())
    }

    fn new_root(&mut self, size: u64) -> Result<(), Failure> {
        // It must be attached somewhere before anything can be mounted in it. /proc exists on every host that can
        // run us, and nothing is opened through it from here on.
        let at = Path::new("/proc");
        let root = new_file_system("tmpfs", &[("size", &size.to_string()), ("mode", "755")], NO_DEV)
            .map_err(|e| Failure::os("making a file system for", at, e))?;
        move_mount(&root, c"", rustix::fs::CWD, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .map_err(|e| Failure::os("attaching the new root at", at, e))?;
        self.root = Some(root);
        Ok(())
    }

    /// The new root becomes the root, the host's is detached; then `..` of the root must be the root itself.
    fn enter_root(&self) -> Result<(), Failure> {
        let fail = |step| move |e: Errno| Failure::plain(step, e);
        rustix::process::fchdir(self.base()?).map_err(fail("entering the new root"))?;
        rustix::process::pivot_root(c".", c".").map_err(fail("pivot_root"))?;
        unmount(c".", UnmountFlags::DETACH).map_err(fail("detaching the host's root"))?;
        rustix::process::chdir(c"/").map_err(fail("entering the new root"))?;
        let stat =
            |path| rustix::fs::statat(rustix::fs::CWD, path, AtFlags::empty()).map_err(fail("looking at the root"));
        let (root, above) = (stat(c"/")?, stat(c"/..")?);
        match (root.st_dev, root.st_ino) == (above.st_dev, above.st_ino) {
            true => Ok(()),
            false => Err(Failure::plain("the new root", "does not end at itself")),
        }
    }
}

/// A new file system that is mounted nowhere yet: nosuid, and with `flags`.
pub fn new_file_system(kind: &str, options: &[(&str, &str)], flags: Flags) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (name, value) in options {
        match *value {
            "" => fsconfig_set_flag(&context, *name)?,
            value => fsconfig_set_string(&context, *name, value)?,
        }
    }
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags | NO_SUID)
}
