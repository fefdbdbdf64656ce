//! The only place with `unsafe` in this crate.
#![allow(unsafe_code)]

use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;

use agent_aws_protocol::Channel;
use rustix::io::Errno;

use crate::program::Instruction;

/// How long a message that has begun may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Numbers of linux/bpf.h that libc does not have.
const MAP_CREATE: libc::c_long = 0;
const MAP_UPDATE_ELEM: libc::c_long = 2;
const PROG_LOAD: libc::c_long = 5;
const PROG_ATTACH: libc::c_long = 8;
const LINK_CREATE: libc::c_long = 28;
const MAP_TYPE_SOCKMAP: u32 = 15;
const PROG_TYPE_SK_LOOKUP: u32 = 30;
const ATTACH_SK_LOOKUP: u32 = 36;
const PROG_TYPE_CGROUP_SOCK_ADDR: u32 = 18;
pub(crate) const CGROUP_INET4_CONNECT: u32 = 10;
pub(crate) const CGROUP_INET6_CONNECT: u32 = 11;
pub(crate) const CGROUP_UDP4_SENDMSG: u32 = 14;
pub(crate) const CGROUP_UDP6_SENDMSG: u32 = 15;
/// linux/sockios.h
const SIOCGSKNS: libc::Ioctl = 0x894c;

/// Takes what we were started with, descriptors 3 and 4; closes all above.
pub(crate) fn inherited() -> Option<(Channel, OwnedFd)> {
    // SAFETY: the first statement of main: nothing in this process owns a descriptor yet.
    unsafe { libc::close_range(5, libc::c_uint::MAX, 0) };
    let take = |number: i32| -> Option<OwnedFd> {
        // SAFETY: borrowed for one fcntl call only, which answers EBADF for a number that is not open.
        let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
        rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).ok()?;
        // SAFETY: it is open and nothing else in this process owns it; called once for each number.
        Some(unsafe { OwnedFd::from_raw_fd(number) })
    };
    Some((Channel::new(take(3)?, PATIENCE), take(4)?))
}

/// `union bpf_attr` for BPF_MAP_CREATE: the members that are used, the rest is zero for the kernel.
#[repr(C)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

/// For BPF_MAP_UPDATE_ELEM.
#[repr(C)]
struct MapUpdate {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// For BPF_PROG_LOAD, up to `expected_attach_type`.
#[repr(C)]
struct ProgLoad {
    prog_type: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    expected_attach_type: u32,
}

/// For BPF_PROG_ATTACH.
#[repr(C)]
struct ProgAttach {
    target: u32,
    program: u32,
    attach_type: u32,
    flags: u32,
}

/// For BPF_LINK_CREATE.
#[repr(C)]
struct LinkCreate {
    program: u32,
    target: u32,
    attach_type: u32,
    flags: u32,
}

fn bpf<T>(command: libc::c_long, attribute: &T) -> Result<i32, Errno> {
    // SAFETY: the structure is alive, of the size told and laid out as bpf(2) says for this command; each pointer in it
    // is to something that the callers here keep alive during the call, and of the length told beside it.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attribute), size_of::<T>()) };
    match i32::try_from(result) {
        Ok(number) if number >= 0 => Ok(number),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// As a member of an attribute.
fn bits(fd: i32) -> u32 {
    u32::try_from(fd).unwrap_or(u32::MAX)
}

fn owned(number: i32) -> OwnedFd {
    // SAFETY: used with what a bpf command or ioctl that makes a descriptor has just returned: nobody else owns it.
    unsafe { OwnedFd::from_raw_fd(number) }
}

/// As the immediate operand of an instruction.
pub(crate) fn number(fd: &OwnedFd) -> i32 {
    fd.as_raw_fd()
}

/// A map of one socket, with `socket` in it.
pub(crate) fn socket_map(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let create = MapCreate { map_type: MAP_TYPE_SOCKMAP, key_size: 4, value_size: 8, max_entries: 1 };
    let map = owned(bpf(MAP_CREATE, &create)?);
    let (key, value) = (0u32, u64::from(bits(socket.as_raw_fd())));
    let (key, value) = (std::ptr::from_ref(&key) as u64, std::ptr::from_ref(&value) as u64);
    bpf(MAP_UPDATE_ELEM, &MapUpdate { map: bits(map.as_raw_fd()), padding: 0, key, value, flags: 0 })?;
    Ok(map)
}

/// Has the kernel check and load a program of `sk_lookup`.
pub(crate) fn load(instructions: &[Instruction]) -> Result<OwnedFd, Errno> {
    load_as(PROG_TYPE_SK_LOOKUP, ATTACH_SK_LOOKUP, instructions)
}

/// The same for a hook of addresses in a control group.
pub(crate) fn load_sock_addr(instructions: &[Instruction], hook: u32) -> Result<OwnedFd, Errno> {
    load_as(PROG_TYPE_CGROUP_SOCK_ADDR, hook, instructions)
}

fn load_as(prog_type: u32, expected_attach_type: u32, instructions: &[Instruction]) -> Result<OwnedFd, Errno> {
    let load = ProgLoad {
        prog_type,
        count: u32::try_from(instructions.len()).unwrap_or_default(),
        instructions: instructions.as_ptr() as u64,
        license: c"MIT".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: *b"agent_aws\0\0\0\0\0\0\0",
        ifindex: 0,
        expected_attach_type,
    };
    bpf(PROG_LOAD, &load).map(owned)
}

/// Attaches the program to a network namespace for as long as the link that is returned is open somewhere.
pub(crate) fn attach(program: BorrowedFd<'_>, namespace: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let (program, target) = (bits(program.as_raw_fd()), bits(namespace.as_raw_fd()));
    bpf(LINK_CREATE, &LinkCreate { program, target, attach_type: ATTACH_SK_LOOKUP, flags: 0 }).map(owned)
}

/// Attaches the program to a control group, beside any that are above, for as long as the group is there.
pub(crate) fn attach_to_group(program: BorrowedFd<'_>, group: BorrowedFd<'_>, hook: u32) -> Result<(), Errno> {
    let (program, target) = (bits(program.as_raw_fd()), bits(group.as_raw_fd()));
    bpf(PROG_ATTACH, &ProgAttach { target, program, attach_type: hook, flags: 0 }).map(drop)
}

/// Addresses of this machine's interfaces.
pub(crate) fn own_addresses() -> Result<Vec<IpAddr>, Errno> {
    let all = nix::ifaddrs::getifaddrs().map_err(|e| Errno::from_raw_os_error(e as i32))?;
    let of = |address: nix::sys::socket::SockaddrStorage| {
        let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
    };
    Ok(all.filter_map(|interface| interface.address.and_then(of)).collect())
}

/// The network namespace that a socket is in: needs no /proc, only CAP_NET_ADMIN in it.
pub(crate) fn own_network_namespace(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // SAFETY: takes no argument but the descriptor, and returns a new one.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) };
    match result {
        number if number >= 0 => Ok(owned(number)),
        _ => Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)),
    }
}

/// Has the kernel tell with each datagram which address it was sent to (ip(7), ipv6(7)).
pub(crate) fn tell_destination(socket: BorrowedFd<'_>, v6: bool) -> Result<(), Errno> {
    let both = [(libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO), (libc::IPPROTO_IP, libc::IP_PKTINFO)];
    for (level, option) in both.into_iter().skip(usize::from(!v6)) {
        let on: libc::c_int = 1;
        let size = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default();
        // SAFETY: reads an int, which is alive and of the size told.
        let result = unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const on).cast(), size) };
        if result != 0 {
            return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO));
        }
    }
    Ok(())
}
