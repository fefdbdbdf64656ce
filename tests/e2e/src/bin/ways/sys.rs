//! The calls that need `unsafe`.
#![allow(unsafe_code)]

use std::net::SocketAddrV4;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::sockopt::{self, Timeout};
use rustix::net::{AddressFamily, SocketFlags, SocketType, getpeername, socket_with};

/// Connects to `other` again and again while another thread flips the address in memory to `address` and back: whoever
/// checks a copy of what the kernel then reads again lets some through. How often `address` answered.
pub(crate) fn race(count: u32, address: SocketAddrV4, other: SocketAddrV4) -> u32 {
    let bits = |at: SocketAddrV4| u32::from(*at.ip()).to_be();
    let (wanted, shown) = (bits(address), bits(other));
    // SAFETY: a structure of integers, for which all zeros is a valid value.
    let mut to: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    to.sin_family = libc::sa_family_t::try_from(libc::AF_INET).expect("a family");
    to.sin_port = address.port().to_be();
    to.sin_addr.s_addr = shown;
    let (stop, mut reached) = (AtomicBool::new(false), 0);
    // SAFETY: the field is aligned, alive until the scope ends, and from here on only used as an atomic by us.
    let flipped = unsafe { AtomicU32::from_ptr(&raw mut to.sin_addr.s_addr) };
    let pointer = (&raw const to) as usize;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                flipped.store(wanted, Ordering::Relaxed);
                flipped.store(shown, Ordering::Relaxed);
            }
        });
        for _ in 0..count {
            let socket =
                socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
            sockopt::set_socket_timeout(&socket, Timeout::Send, Some(Duration::from_millis(200)))
                .expect("a time limit");
            // SAFETY: the structure is alive; that another thread writes to it is the attack.
            let done = unsafe { libc::connect(socket.as_raw_fd(), pointer as *const libc::sockaddr, 16) };
            let peer = getpeername(&socket).ok().flatten().and_then(|peer| SocketAddrV4::try_from(peer).ok());
            reached += u32::from(done == 0 && peer.is_some_and(|peer| bits(peer) == wanted));
        }
        stop.store(true, Ordering::Relaxed);
    });
    reached
}
