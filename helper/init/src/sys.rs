//! The only place with `unsafe` in this program: system calls that rustix does not wrap, and what a C library would do
//! for a program that has one.
#![allow(unsafe_code)]

use alloc::vec::Vec;
use core::arch::asm;
use core::ffi::{CStr, c_char};
use core::ptr;

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::command::Command;

/// The number under which the supervisor hands the channel over.
const CHANNEL: i32 = 3;
/// Bytes that a signal descriptor gives for one signal (signalfd(2)).
pub(crate) const TOLD_OF_A_CHILD: usize = 128;

const SIGCHLD: usize = 17;
const NONBLOCK_CLOEXEC: usize = 0o4000 | 0o200_0000;

#[cfg(target_arch = "x86_64")]
mod number {
    pub(super) const RT_SIGACTION: usize = 13;
    pub(super) const RT_SIGPROCMASK: usize = 14;
    pub(super) const CLONE: usize = 56;
    pub(super) const EXECVE: usize = 59;
    pub(super) const EXIT_GROUP: usize = 231;
    pub(super) const SIGNALFD4: usize = 289;
    pub(super) const DUP3: usize = 292;
}

#[cfg(target_arch = "aarch64")]
mod number {
    pub(super) const DUP3: usize = 24;
    pub(super) const SIGNALFD4: usize = 74;
    pub(super) const EXIT_GROUP: usize = 94;
    pub(super) const RT_SIGACTION: usize = 134;
    pub(super) const RT_SIGPROCMASK: usize = 135;
    pub(super) const CLONE: usize = 220;
    pub(super) const EXECVE: usize = 221;
}

/// A system call by number.
///
/// # Safety
/// The arguments are what that call asks for.
unsafe fn call(number: usize, [a, b, c, d]: [usize; 4]) -> Result<usize, Errno> {
    let result: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the kernel keeps every register but these (syscall(2)); the fifth argument of clone(2) is 0.
    unsafe {
        asm!("syscall", inlateout("rax") number => result, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
             in("r8") 0usize, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d,
             in("x4") 0usize, options(nostack));
    }
    match i32::try_from(result.cast_signed()) {
        Ok(negative @ -4095..=-1) => Err(Errno::from_raw_os_error(negative.wrapping_neg())),
        _ => Ok(result),
    }
}

/// Takes ownership of descriptor 3, close-on-exec; `None` if it is not open.
pub(crate) fn inherited_channel() -> Option<OwnedFd> {
    // SAFETY: borrowed for one fcntl call only, which answers EBADF for a number that is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(CHANNEL) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC).ok()?;
    // SAFETY: it is open (the call above worked) and nothing else in this program owns it; called once, at the start.
    Some(unsafe { OwnedFd::from_raw_fd(CHANNEL) })
}

/// Forks: the child's id, `None` in the child.
pub(crate) fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: clone(2) without a flag but SIGCHLD is fork(2). There is one thread, and no C library that would have to
    // know of it, so the child may do anything the parent may.
    let child = unsafe { call(number::CLONE, [SIGCHLD, 0, 0, 0]) }?;
    Ok(i32::try_from(child).ok().and_then(Pid::from_raw))
}

/// Gives `fd` the number `to`, kept across execve(2).
pub(crate) fn duplicate_to(fd: BorrowedFd<'_>, to: i32) -> Result<(), Errno> {
    let place = |fd: i32| usize::try_from(fd).map_err(|_| Errno::BADF);
    // SAFETY: dup3 closes whatever `to` was; the caller uses a number far above any descriptor of this program.
    unsafe { call(number::DUP3, [place(fd.as_raw_fd())?, place(to)?, 0, 0]) }.map(drop)
}

/// Blocks every signal, or none.
pub(crate) fn block_signals(all: bool) -> Result<(), Errno> {
    const SIG_SETMASK: usize = 2;
    let mask = if all { u64::MAX } else { 0 };
    // SAFETY: reads a mask of eight bytes, which is alive; the former one is not asked for.
    unsafe { call(number::RT_SIGPROCMASK, [SIG_SETMASK, (&raw const mask).expose_provenance(), 0, 8]) }.map(drop)
}

/// SIGCHLD as a descriptor.
pub(crate) fn watch_children() -> Result<OwnedFd, Errno> {
    let mask = 1u64 << (SIGCHLD - 1);
    let arguments = [usize::MAX, (&raw const mask).expose_provenance(), 8, NONBLOCK_CLOEXEC];
    // SAFETY: -1 asks for a new descriptor; reads a mask of eight bytes, which is alive.
    let fd = unsafe { call(number::SIGNALFD4, arguments) }?;
    let fd = i32::try_from(fd).map_err(|_| Errno::BADF)?;
    // SAFETY: the call worked, so this is a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives every signal its default action. Numbers that cannot be changed, or do not exist, are passed over.
pub(crate) fn default_dispositions() {
    // struct sigaction of the kernel: handler, flags, restorer, mask. SIG_DFL is 0.
    let default = [0usize; 4];
    for number in 1..=64 {
        // SAFETY: reads `default`, which is alive; SIG_DFL is no function of ours, so nothing can run at a bad moment.
        let _ = unsafe { call(number::RT_SIGACTION, [number, (&raw const default).expose_provenance(), 0, 8]) };
    }
}

/// Ends this process at once.
pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: an integer argument only.
        let _ = unsafe { call(number::EXIT_GROUP, [usize::try_from(status).unwrap_or(255), 0, 0, 0]) };
    }
}

/// The agent's command: our own arguments, but the first.
pub(crate) struct Arguments {
    /// Strings that end in NUL, and a null pointer after the last; they live as long as the program.
    list: Vec<*const c_char>,
}

impl Arguments {
    /// One of them.
    pub(crate) fn get(&self, n: usize) -> Option<&CStr> {
        let place = self.list.get(n).filter(|place| !place.is_null())?;
        // SAFETY: not null, so it is one of the strings that the kernel or `as_ordinary_program` put there.
        Some(unsafe { CStr::from_ptr(*place) })
    }
}

/// Executes the command; as execvp(3) does, a file without a known format is given to /bin/sh.
pub(crate) fn execute(command: &Command, arguments: &Arguments) -> Errno {
    let variables = command.environment.iter().map(|v| v.as_ptr());
    let environment: Vec<*const c_char> = variables.chain([ptr::null()]).collect();
    match execve(&command.file, &arguments.list, &environment) {
        Errno::NOEXEC => {
            let shell = [c"/bin/sh".as_ptr(), command.file.as_ptr()];
            let rest = arguments.list.iter().skip(1).copied();
            execve(c"/bin/sh", &shell.into_iter().chain(rest).collect::<Vec<_>>(), &environment)
        }
        e => e,
    }
}

fn execve(file: &CStr, arguments: &[*const c_char], environment: &[*const c_char]) -> Errno {
    let (argv, envp) = (arguments.as_ptr().expose_provenance(), environment.as_ptr().expose_provenance());
    // SAFETY: both lists end in a null pointer, and what they and `file` point at outlives the call.
    let result = unsafe { call(number::EXECVE, [file.as_ptr().expose_provenance(), argv, envp, 0]) };
    result.err().unwrap_or(Errno::NOEXEC)
}

/// With the standard library: what a debug build is.
#[cfg(any(test, not(panic = "abort")))]
pub(crate) fn as_ordinary_program() {
    use std::os::unix::ffi::OsStringExt;
    let words = std::env::args_os().skip(1).filter_map(|word| alloc::ffi::CString::new(word.into_vec()).ok());
    let words = words.map(|word| word.into_raw().cast_const());
    exit(crate::start(&Arguments { list: words.chain([ptr::null()]).collect() }))
}

/// What ships: entry, memory, and the functions that the compiler takes for granted.
#[cfg(all(panic = "abort", not(test)))]
mod bare {
    use alloc::vec::Vec;
    use core::alloc::{GlobalAlloc, Layout};
    use core::arch::global_asm;
    use core::cell::UnsafeCell;
    use core::ffi::c_char;
    use core::ptr;
    use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::{Arguments, exit};

    // The kernel leaves the number of arguments and then the arguments on the stack.
    #[cfg(target_arch = "x86_64")]
    global_asm!(
        ".globl _start",
        ".hidden _DYNAMIC",
        ".hidden __ehdr_start",
        "_start: xor ebp, ebp",
        "mov rdi, rsp",
        "lea rsi, [rip + _DYNAMIC]",
        "lea rdx, [rip + __ehdr_start]",
        "and rsp, -16",
        "call {enter}",
        "ud2",
        ".globl memcpy, memmove, memset, memcmp, bcmp, strlen",
        "memmove: mov rax, rdi",
        "sub rax, rsi",
        "cmp rax, rdx",
        "jae memcpy",
        "mov rax, rdi",
        "mov rcx, rdx",
        "lea rdi, [rdi + rdx - 1]",
        "lea rsi, [rsi + rdx - 1]",
        "std",
        "rep movsb",
        "cld",
        "ret",
        "memcpy: mov rax, rdi",
        "mov rcx, rdx",
        "rep movsb",
        "ret",
        "memset: mov r8, rdi",
        "mov eax, esi",
        "mov rcx, rdx",
        "rep stosb",
        "mov rax, r8",
        "ret",
        "bcmp:",
        "memcmp: xor eax, eax",
        "xor ecx, ecx",
        "2: cmp rcx, rdx",
        "je 3f",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "inc rcx",
        "sub eax, r8d",
        "je 2b",
        "3: ret",
        "strlen: xor eax, eax",
        "4: cmp byte ptr [rdi + rax], 0",
        "je 5f",
        "inc rax",
        "jmp 4b",
        "5: ret",
        enter = sym enter,
    );

    #[cfg(target_arch = "aarch64")]
    global_asm!(
        ".globl _start",
        ".hidden _DYNAMIC",
        ".hidden __ehdr_start",
        "_start: mov x29, #0",
        "mov x30, #0",
        "mov x0, sp",
        "adrp x1, _DYNAMIC",
        "add x1, x1, :lo12:_DYNAMIC",
        "adrp x2, __ehdr_start",
        "add x2, x2, :lo12:__ehdr_start",
        "bl {enter}",
        "brk #1",
        ".globl memcpy, memmove, memset, memcmp, bcmp, strlen",
        "memmove: sub x3, x0, x1",
        "cmp x3, x2",
        "b.hs memcpy",
        "2: cbz x2, 3f",
        "sub x2, x2, #1",
        "ldrb w4, [x1, x2]",
        "strb w4, [x0, x2]",
        "b 2b",
        "3: ret",
        "memcpy: mov x3, x0",
        "4: cbz x2, 3b",
        "ldrb w4, [x1], #1",
        "strb w4, [x3], #1",
        "sub x2, x2, #1",
        "b 4b",
        "memset: mov x3, x0",
        "5: cbz x2, 3b",
        "strb w1, [x3], #1",
        "sub x2, x2, #1",
        "b 5b",
        "bcmp:",
        "memcmp: mov x3, x0",
        "mov w0, #0",
        "6: cbz x2, 3b",
        "ldrb w0, [x3], #1",
        "ldrb w4, [x1], #1",
        "sub x2, x2, #1",
        "subs w0, w0, w4",
        "b.eq 6b",
        "ret",
        "strlen: mov x1, x0",
        "mov x0, #0",
        "7: ldrb w2, [x1, x0]",
        "cbz w2, 3b",
        "add x0, x0, #1",
        "b 7b",
        enter = sym enter,
    );

    /// One pair of the dynamic section (elf(5)).
    type Entry = [usize; 2];
    /// One relocation with an addend: place, kind, addend.
    type Relocation = [usize; 3];

    /// # Safety
    /// The kernel's first jump into this program only: `stack` is as elf(5) says, the other two are the linker's.
    unsafe extern "C" fn enter(stack: *const usize, dynamic: *const Entry, base: usize) -> ! {
        // SAFETY: the linker says where this program's dynamic section and its first byte are.
        unsafe { relocate(dynamic, base) };
        // SAFETY: the kernel put the number of arguments there.
        let count = unsafe { *stack };
        // SAFETY: that many arguments follow, and a null pointer.
        let all = unsafe { core::slice::from_raw_parts(stack.add(1).cast::<*const c_char>(), count.wrapping_add(1)) };
        let list: Vec<*const c_char> = all.iter().skip(1).copied().collect();
        let list = if list.is_empty() { Vec::from([ptr::null()]) } else { list };
        exit(crate::start(&Arguments { list }))
    }

    /// This program lies anywhere, and nobody else adds that place to the addresses in its data. Nothing is called
    /// here: calls may go through such addresses.
    ///
    /// # Safety
    /// Both are this program's own, and this is called once.
    unsafe fn relocate(mut dynamic: *const Entry, base: usize) {
        const RELA: usize = 7;
        const RELA_SIZE: usize = 8;
        let (mut table, mut size) = (0usize, 0usize);
        loop {
            // SAFETY: the section ends with an entry of kind 0.
            match unsafe { *dynamic } {
                [0, _] => break,
                [RELA, at] => table = at,
                [RELA_SIZE, bytes] => size = bytes,
                _ => {}
            }
            // SAFETY: as above: this was not the last.
            dynamic = unsafe { dynamic.add(1) };
        }
        let mut here = ptr::with_exposed_provenance::<Relocation>(base.wrapping_add(table));
        let end = ptr::with_exposed_provenance::<Relocation>(base.wrapping_add(table).wrapping_add(size));
        while here < end {
            // SAFETY: the table is as long as the section says. In a program without a C library every row is of the
            // relative kind, for a place in data of ours that is not in use yet.
            let [place, _, addend] = unsafe { *here };
            let place = ptr::with_exposed_provenance_mut::<usize>(base.wrapping_add(place));
            // SAFETY: as above.
            unsafe { place.write(base.wrapping_add(addend)) };
            // SAFETY: at most the end of the table.
            here = unsafe { here.add(1) };
        }
    }

    /// Nothing is said: the supervisor sees that init is gone.
    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        exit(crate::FAILED)
    }

    /// More than the largest message needs with all that is made of it. Pages that are not used cost nothing.
    const SIZE: usize = 16 << 20;

    /// Memory from one piece. What was taken last is given back; that is all that a message leaves.
    struct Memory {
        piece: UnsafeCell<[u8; SIZE]>,
        used: AtomicUsize,
    }

    // SAFETY: this program has one thread.
    unsafe impl Sync for Memory {}

    #[global_allocator]
    static MEMORY: Memory = Memory { piece: UnsafeCell::new([0; SIZE]), used: AtomicUsize::new(0) };

    // SAFETY: pieces do not overlap: `used` is the end of the last one, and only ever shrinks by what was the last.
    unsafe impl GlobalAlloc for Memory {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            let base = self.piece.get().cast::<u8>();
            let free = base.addr().wrapping_add(self.used.load(Relaxed));
            let at = free.next_multiple_of(layout.align()).wrapping_sub(base.addr());
            match at.checked_add(layout.size()) {
                Some(end) if end <= SIZE => {
                    self.used.store(end, Relaxed);
                    base.wrapping_add(at)
                }
                _ => ptr::null_mut(),
            }
        }

        /// # Safety
        /// As [`GlobalAlloc`] says: what `alloc` gave, with the same layout.
        unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
            let at = at.addr().wrapping_sub(self.piece.get().addr());
            if at.wrapping_add(layout.size()) == self.used.load(Relaxed) {
                self.used.store(at, Relaxed);
            }
        }
    }
}
