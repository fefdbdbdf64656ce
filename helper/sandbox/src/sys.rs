//! The only place with `unsafe` in this crate: system calls that neither nix nor rustix wraps.
#![allow(unsafe_code)]

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::mount::MountAttrFlags;

/// A process made by [`clone_process`].
#[derive(Debug)]
pub enum Cloned {
    /// In the parent.
    Parent {
        /// The child's process id here.
        pid: i32,
        /// A descriptor of it, which no reuse of the number can mislead.
        pidfd: OwnedFd,
    },
    /// In the child.
    Child,
}

/// CLONE_INTO_CGROUP of linux/sched.h: libc has it as an int, which it does not fit into.
const INTO_GROUP: u64 = 1 << 33;

/// clone3(2) as fork(2) with namespaces: no shared memory, SIGCHLD at its end, a pidfd for the parent. With a control
/// group, the child is in it from its first instruction on.
pub fn clone_process(namespaces: u64, group: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: a structure of integers, for which all zeros is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = namespaces | libc::CLONE_PIDFD as u64 | group.map_or(0, |_| INTO_GROUP);
    args.cgroup = group.and_then(|fd| u64::try_from(fd.as_raw_fd()).ok()).unwrap_or(0);
    args.pidfd = std::ptr::from_mut(&mut pidfd) as u64;
    args.exit_signal = libc::SIGCHLD as u64;
    // SAFETY: the structure is alive and of the size told. Without CLONE_VM the child works on copies; this program
    // has one thread, so no lock is held by a thread that the child lacks.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match pid {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Cloned::Child),
        pid => {
            // SAFETY: the call worked, so the kernel put a new descriptor there that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Cloned::Parent { pid: i32::try_from(pid).unwrap_or(i32::MAX), pidfd })
        }
    }
}

/// mount_setattr(2): adds `set` to the mount at `fd`, with everything below it if `recursive`, and makes it private: a
/// clone of a shared mount is a peer of it, so that each mask made in the sandbox would stand on the host too.
pub fn mount_attributes(fd: BorrowedFd<'_>, set: MountAttrFlags, recursive: bool) -> io::Result<()> {
    // SAFETY: a structure of integers, for which all zeros is a valid value.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = set.bits().into();
    attributes.propagation = libc::MS_PRIVATE;
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: path and structure are alive during the call and the structure is of the size told.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            fd.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The ABI version of Landlock that the kernel offers; 0 if none.
pub fn landlock_abi() -> u32 {
    const VERSION: libc::c_long = 1;
    // SAFETY: with a null attribute and the version flag nothing is read or written (landlock_create_ruleset(2)).
    let version = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<libc::c_void>(), 0 as libc::c_long, VERSION)
    };
    u32::try_from(version).unwrap_or(0)
}

/// Gives the interface an address (netdevice(7)) through any IPv4 socket of the same network namespace.
pub fn set_address(socket: BorrowedFd<'_>, interface: &str, address: Ipv4Addr) -> io::Result<()> {
    let mut request = interface_request(interface);
    // SAFETY: a structure of integers, for which all zeros is a valid value.
    let mut inet: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    inet.sin_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default();
    inet.sin_addr.s_addr = u32::from(address).to_be();
    // SAFETY: an IPv4 address is smaller than the generic one it is written over; both are plain integers.
    request.ifr_ifru.ifru_addr = unsafe { *(&raw const inet).cast::<libc::sockaddr>() };
    interface_ioctl(socket, libc::SIOCSIFADDR, &mut request)
}

/// Sets the interface up.
pub fn set_up(socket: BorrowedFd<'_>, interface: &str) -> io::Result<()> {
    let mut request = interface_request(interface);
    let flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    request.ifr_ifru.ifru_flags = flags;
    interface_ioctl(socket, libc::SIOCSIFFLAGS, &mut request)
}

fn interface_request(interface: &str) -> libc::ifreq {
    // SAFETY: a structure of integers and unions of them, for which all zeros is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero: names are at most IFNAMSIZ - 1 long.
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(interface.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request
}

fn interface_ioctl(socket: BorrowedFd<'_>, number: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: both requests used here read an ifreq, which is alive.
    match unsafe { libc::ioctl(socket.as_raw_fd(), number, std::ptr::from_mut(request)) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
