//! Classic BPF, as seccomp uses it (linux/filter.h, linux/seccomp.h), and filters by number.

pub use seccompiler::{BpfProgram as Program, sock_filter as Op};

use crate::Made;

/// Loads a word of seccomp_data.
pub const LOAD: u16 = 0x20;
/// Jumps if what was loaded is this.
pub const EQUAL: u16 = 0x15;
/// Jumps if it is this or more.
pub const AT_LEAST: u16 = 0x35;
/// Jumps if a bit is set in both.
pub const SHARES_A_BIT: u16 = 0x45;
/// Answers.
pub const RETURN: u16 = 0x06;

/// The call is made.
pub const ALLOW: u32 = 0x7fff_0000;
/// The process is ended.
pub const KILL: u32 = 0x8000_0000;
/// The call is not made: EPERM.
pub const NOT_PERMITTED: u32 = 0x0005_0000 | libc::EPERM.unsigned_abs();
/// The call is not made: ENOSYS, as on a kernel that does not have it.
pub const NOT_THERE: u32 = 0x0005_0000 | libc::ENOSYS.unsigned_abs();

/// Calls of the x32 ABI, which reports itself as x86-64, carry this bit.
pub const X32_BIT: u32 = 0x4000_0000;
/// As seccomp_data.arch says it (linux/audit.h).
pub const NATIVE_ABI: u32 = if cfg!(target_arch = "aarch64") { 0xc000_00b7 } else { 0xc000_003e };
/// No call has this number or a higher one yet.
const NUMBERS: usize = 1024;

/// One instruction.
pub const fn op(code: u16, jt: u8, jf: u8, k: u32) -> Op {
    Op { code, jt, jf, k }
}

/// A filter by number, as ranges with one answer. The kernel runs a new filter once for every number there is (to know
/// which calls it may pass without running it), so that a comparison for each call would take longer than the sandbox,
/// and longer than all else that the broker does before it mints. A foreign architecture is killed, and so is the x32
/// ABI. `first` has the number and leaves it as it is, or answers.
///
/// # Errors
/// A number that no call has.
pub fn by_number(first: &[Op], given: impl Iterator<Item = (i64, u32)>, otherwise: u32) -> Made<Program> {
    let kill = op(RETURN, 0, 0, KILL);
    let mut program = vec![op(LOAD, 0, 0, 4), op(EQUAL, 1, 0, NATIVE_ABI), kill.clone(), op(LOAD, 0, 0, 0)];
    if cfg!(target_arch = "x86_64") {
        program.extend([op(AT_LEAST, 0, 1, X32_BIT), kill]);
    }
    program.extend_from_slice(first);
    let mut answers = [otherwise; NUMBERS];
    for (number, answer) in given {
        let place = usize::try_from(number).ok().and_then(|n| answers.get_mut(n));
        *place.ok_or_else(|| format!("no number of a call: {number}"))? = answer;
    }
    let mut end = 0;
    for range in answers.chunk_by(u32::eq) {
        end += u32::try_from(range.len())?;
        program.extend([op(AT_LEAST, 1, 0, end), op(RETURN, 0, 0, *range.first().unwrap_or(&otherwise))]);
    }
    program.push(op(RETURN, 0, 0, otherwise));
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpreter::{answer, answer_of};

    #[test]
    fn a_list_of_its_own_admits_that_and_nothing_else() {
        let program = by_number(&[], [(libc::SYS_read, ALLOW)].into_iter(), NOT_PERMITTED).unwrap();
        for number in 0..2000 {
            let expected = if i64::from(number) == libc::SYS_read { ALLOW } else { NOT_PERMITTED };
            assert_eq!(answer(&program, number, [0; 6]), expected, "{number}");
        }
        assert_eq!(answer_of(&program, 0x4000_0003, 3, [0; 6]), KILL, "a call of the 32-bit ABI");
        #[cfg(target_arch = "x86_64")]
        assert_eq!(answer(&program, X32_BIT | 39, [0; 6]), KILL, "a call of the x32 ABI");
        assert!(by_number(&[], [(1024, ALLOW)].into_iter(), NOT_THERE).is_err());
        assert!(by_number(&[], [(-1, ALLOW)].into_iter(), NOT_THERE).is_err());
    }
}
