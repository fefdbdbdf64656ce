//! Runs a filter as the kernel would. For tests.
#![allow(clippy::indexing_slicing, clippy::panic, reason = "a test may fail loudly, and nothing that ships has this")]

use crate::classic::{AT_LEAST, EQUAL, LOAD, NATIVE_ABI, Program, RETURN, SHARES_A_BIT};

const JUMP: u16 = 0x05;
const MORE: u16 = 0x25;
const AND: u16 = 0x54;

/// What `program` answers to a call of this machine's own ABI.
pub fn answer(program: &Program, number: u32, arguments: [u64; 6]) -> u32 {
    answer_of(program, NATIVE_ABI, number, arguments)
}

/// What `program` answers to a call. Panics where the kernel would not take the program.
pub fn answer_of(program: &Program, abi: u32, number: u32, arguments: [u64; 6]) -> u32 {
    // seccomp_data: number, architecture, where the call was made from, arguments, lower half first.
    let mut data = vec![number, abi, 0, 0];
    let half = |value: u64| u32::try_from(value & u64::from(u32::MAX)).unwrap_or_default();
    data.extend(arguments.iter().flat_map(|argument| [half(*argument), half(argument >> 32)]));
    let (mut at, mut value) = (0, 0);
    loop {
        let op = &program[at];
        at += 1;
        let holds = match op.code {
            RETURN => return op.k,
            LOAD => {
                value = data[op.k as usize / 4];
                continue;
            }
            AND => {
                value &= op.k;
                continue;
            }
            JUMP => {
                at += op.k as usize;
                continue;
            }
            EQUAL => value == op.k,
            MORE => value > op.k,
            AT_LEAST => value >= op.k,
            SHARES_A_BIT => value & op.k != 0,
            code => panic!("{code:#x}"),
        };
        at += usize::from(if holds { op.jt } else { op.jf });
    }
}
