//! The program that leads connections to the gateway, in the kernel's extended BPF (linux/bpf.h, bpf(2)).

/// One instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Instruction {
    /// Class, operation, kind of operand.
    pub(crate) code: u8,
    /// Destination in the low half, source in the high half.
    pub(crate) registers: u8,
    /// Of memory, or of a jump, in instructions.
    pub(crate) offset: i16,
    /// Operand.
    pub(crate) immediate: i32,
}

/// The verdicts of `sk_lookup`: an error for the client, or the lookup as it would be without us.
const DROP: i32 = 0;
const PASS: i32 = 1;

/// Fields of `struct bpf_sk_lookup`.
const FAMILY: i16 = 8;
const PROTOCOL: i16 = 12;
const LOCAL_IP4: i16 = 40;
const LOCAL_IP6: i16 = 44;
const LOCAL_PORT: i16 = 60;

/// Helpers, by their numbers.
const MAP_LOOKUP_ELEM: i32 = 1;
const SK_RELEASE: i32 = 86;
const SK_ASSIGN: i32 = 124;

const fn op(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction { code, registers: to | from << 4, offset, immediate }
}

/// `to = *(u32 *)(from + offset)`
pub(crate) const fn load(to: u8, from: u8, offset: i16) -> Instruction {
    op(0x61, to, from, offset, 0)
}

/// `to = from`
const fn copy(to: u8, from: u8) -> Instruction {
    op(0xbf, to, from, 0, 0)
}

/// `to = value`
const fn set(to: u8, value: i32) -> Instruction {
    op(0xb7, to, 0, 0, value)
}

/// Jumps over `over` instructions if the low half of the register is `value`.
const fn if_is(register: u8, value: i32, over: i16) -> Instruction {
    op(0x16, register, 0, over, value)
}

/// The same if it is not.
pub(crate) const fn if_not(register: u8, value: i32, over: i16) -> Instruction {
    op(0x56, register, 0, over, value)
}

/// `to &= mask`, in 32 bits
pub(crate) const fn and(to: u8, mask: i32) -> Instruction {
    op(0x54, to, 0, 0, mask)
}

/// Ends with a verdict.
pub(crate) const fn exit_with(verdict: i32) -> [Instruction; 2] {
    [set(0, verdict), op(0x95, 0, 0, 0, 0)]
}

const fn call(helper: i32) -> Instruction {
    op(0x85, 0, 0, 0, helper)
}

/// Four bytes of an address as the field of an address in the context has them.
pub(crate) const fn address(bytes: [u8; 4]) -> i32 {
    i32::from_ne_bytes(bytes)
}

/// TCP to any address is for the one socket in `map`, but for loopback (127/8, ::1), the `own` address of the agent's
/// and the port of names. Where the socket is gone, connections fail.
pub(crate) fn sk_lookup(map: i32, names: u16, own_port: u16, own: [u8; 4]) -> Vec<Instruction> {
    let (pass, drop) = (exit_with(PASS), exit_with(DROP));
    let v6 = [
        load(2, 6, LOCAL_IP6),
        load(3, 6, LOCAL_IP6 + 4),
        op(0x4f, 2, 3, 0, 0),
        load(3, 6, LOCAL_IP6 + 8),
        op(0x4f, 2, 3, 0, 0),
        load(3, 6, LOCAL_IP6 + 12),
        // ::1 passes; anything else goes on behind the part for IPv4.
        op(0x55, 2, 0, 3, 0),
        if_not(3, address([0, 0, 0, 1]), 2),
        pass[0],
        pass[1],
        op(0x05, 0, 0, 8, 0),
    ];
    let v4 = [
        load(2, 6, LOCAL_IP4),
        if_not(2, address(own), 2),
        pass[0],
        pass[1],
        and(2, address([0xff, 0, 0, 0])),
        if_not(2, address([127, 0, 0, 0]), 2),
        pass[0],
        pass[1],
    ];
    let find = [
        // The key 0, on the stack; the map, as two instructions; the lookup.
        op(0x62, 10, 0, -4, 0),
        op(0x18, 1, 1, 0, map),
        op(0, 0, 0, 0, 0),
        copy(2, 10),
        op(0x07, 2, 0, 0, -4),
        call(MAP_LOOKUP_ELEM),
        op(0x55, 0, 0, 2, 0),
        drop[0],
        drop[1],
    ];
    let assign = [
        copy(7, 0),
        copy(1, 6),
        copy(2, 7),
        set(3, 0),
        call(SK_ASSIGN),
        copy(8, 0),
        copy(1, 7),
        call(SK_RELEASE),
        if_is(8, 0, 2),
        drop[0],
        drop[1],
    ];
    let start = [copy(6, 1), load(2, 6, PROTOCOL), if_is(2, libc::IPPROTO_TCP, 2), pass[0], pass[1]];
    let port = [
        load(2, 6, LOCAL_PORT),
        if_not(2, i32::from(names), 2),
        pass[0],
        pass[1],
        // The one socket's own port is nobody's: without this, loopback too would have a listener there.
        if_not(2, i32::from(own_port), 2),
        drop[0],
        drop[1],
    ];
    let family = [load(2, 6, FAMILY), if_is(2, libc::AF_INET, 11)];
    [&start[..], &port, &family, &v6, &v4, &find, &assign, &pass].concat()
}
