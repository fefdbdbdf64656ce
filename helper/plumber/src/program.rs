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

/// Ends with the verdict if the low half of the register is `value`.
const fn ends_if(register: u8, value: i32, verdict: i32) -> [Instruction; 3] {
    let [say, exit] = exit_with(verdict);
    [if_not(register, value, 2), say, exit]
}

/// The same if it is not.
const fn ends_unless(register: u8, value: i32, verdict: i32) -> [Instruction; 3] {
    let [say, exit] = exit_with(verdict);
    [if_is(register, value, 2), say, exit]
}

/// Goes on behind `part`.
fn behind(part: &[Instruction]) -> i16 {
    i16::try_from(part.len()).unwrap_or(i16::MAX)
}

/// TCP to any address is for the one socket in `map`, but for loopback (127/8, ::1), the `own` address of the agent's
/// and the port of names. Where the socket is gone, connections fail.
pub(crate) fn sk_lookup(map: i32, names: u16, own_port: u16, own: [u8; 4]) -> Vec<Instruction> {
    let mut program = vec![copy(6, 1), load(2, 6, PROTOCOL)];
    program.extend(ends_unless(2, libc::IPPROTO_TCP, PASS));
    program.push(load(2, 6, LOCAL_PORT));
    program.extend(ends_if(2, i32::from(names), PASS));
    // The one socket's own port is nobody's: without this, loopback too would have a listener there.
    program.extend(ends_if(2, i32::from(own_port), DROP));
    let v4 = unless_own_v4(own);
    let v6 = unless_loopback_v6(&v4);
    program.extend([load(2, 6, FAMILY), if_is(2, libc::AF_INET, behind(&v6))]);
    program.extend(v6);
    program.extend(v4);
    program.extend(assign(map));
    program
}

/// Passes the agent's own address and 127/8.
fn unless_own_v4(own: [u8; 4]) -> Vec<Instruction> {
    let mut part = vec![load(2, 6, LOCAL_IP4)];
    part.extend(ends_if(2, address(own), PASS));
    part.push(and(2, address([0xff, 0, 0, 0])));
    part.extend(ends_if(2, address([127, 0, 0, 0]), PASS));
    part
}

/// Passes ::1; anything else goes on behind the part for IPv4, which follows.
fn unless_loopback_v6(v4: &[Instruction]) -> Vec<Instruction> {
    let mut part = vec![
        load(2, 6, LOCAL_IP6),
        load(3, 6, LOCAL_IP6 + 4),
        op(0x4f, 2, 3, 0, 0),
        load(3, 6, LOCAL_IP6 + 8),
        op(0x4f, 2, 3, 0, 0),
        load(3, 6, LOCAL_IP6 + 12),
    ];
    let last = ends_if(3, address([0, 0, 0, 1]), PASS);
    part.push(op(0x55, 2, 0, behind(&last), 0));
    part.extend(last);
    part.push(op(0x05, 0, 0, behind(v4), 0));
    part
}

/// Gives the connection to the socket in the map.
fn assign(map: i32) -> Vec<Instruction> {
    let gone = exit_with(DROP);
    let mut part = vec![
        // The key 0, on the stack; the map, as two instructions; the lookup.
        op(0x62, 10, 0, -4, 0),
        op(0x18, 1, 1, 0, map),
        op(0, 0, 0, 0, 0),
        copy(2, 10),
        op(0x07, 2, 0, 0, -4),
        call(MAP_LOOKUP_ELEM),
        op(0x55, 0, 0, behind(&gone), 0),
    ];
    part.extend(gone);
    part.extend([
        copy(7, 0),
        copy(1, 6),
        copy(2, 7),
        set(3, 0),
        call(SK_ASSIGN),
        copy(8, 0),
        copy(1, 7),
        call(SK_RELEASE),
    ]);
    part.extend(ends_unless(8, 0, DROP));
    part.extend(exit_with(PASS));
    part
}
