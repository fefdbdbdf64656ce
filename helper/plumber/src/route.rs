//! Loopback and routes, by rtnetlink(7): three messages, written as the kernel reads them.

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use crate::Fault;

/// Loopback is the first interface of every network namespace.
const LOOPBACK: u32 = 1;

/// Brings loopback up.
pub(crate) fn loopback_up() -> Result<(), Fault> {
    // struct ifinfomsg: family, padding, type, index, flags, which flags change.
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    let message = [&[0, 0, 0, 0][..], &LOOPBACK.to_ne_bytes(), &up, &up].concat();
    ask(libc::RTM_NEWLINK, 0, &message).map_err(|e| format!("bringing loopback up: {e}"))
}

/// Every address is one of this machine's (AnyIP), so that what is dialled arrives at a listener in here, whatever it
/// is. Whether IPv6 is there.
pub(crate) fn everything_is_local() -> Result<bool, Fault> {
    local_route(libc::AF_INET).map_err(|e| format!("the route of IPv4: {e}"))?;
    match local_route(libc::AF_INET6) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ACCESS) => Ok(false),
        Err(e) => Err(format!("the route of IPv6: {e}")),
    }
}

/// `ip route add local default dev lo table local`.
fn local_route(family: i32) -> Result<(), rustix::io::Errno> {
    let family = u8::try_from(family).unwrap_or_default();
    // struct rtmsg: family, lengths of destination and source, tos, table, protocol, scope, type, flags.
    let kind = [libc::RT_TABLE_LOCAL, libc::RTPROT_BOOT, libc::RT_SCOPE_HOST, libc::RTN_LOCAL];
    // One attribute: its length, its type, the interface.
    let attribute = [8u16.to_ne_bytes(), libc::RTA_OIF.to_ne_bytes()].concat();
    let message = [&[family, 0, 0, 0], &kind[..], &[0; 4], &attribute, &LOOPBACK.to_ne_bytes()].concat();
    ask(libc::RTM_NEWROUTE, libc::NLM_F_CREATE, &message)
}

/// Sends one request and reads its acknowledgement.
fn ask(kind: u16, flags: i32, message: &[u8]) -> Result<(), rustix::io::Errno> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    let flags = u16::try_from(flags | libc::NLM_F_REQUEST | libc::NLM_F_ACK).unwrap_or_default();
    let length = u32::try_from(16 + message.len()).unwrap_or_default();
    // struct nlmsghdr: length, type, flags, sequence, port.
    let header = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]].concat();
    send(&socket, &[header.as_slice(), message].concat(), SendFlags::empty())?;
    let mut answer = [0u8; 1024];
    let (read, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;
    // struct nlmsgerr after the header: the error, negative.
    let error = answer.get(16..20).filter(|_| read >= 20).and_then(|bytes| bytes.try_into().ok());
    match error.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(error) => Err(rustix::io::Errno::from_raw_os_error(-error)),
        None => Err(rustix::io::Errno::IO),
    }
}
