//! A filter of system calls (seccomp(2)).

use std::mem::offset_of;

/// The machine language that system calls of this program are numbered in (linux/audit.h `AUDIT_ARCH_*`); none where
/// it is not known here, and no filter is made.
const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
    Some(0xc000_003e)
} else if cfg!(target_arch = "aarch64") {
    Some(0xc000_00b7)
} else if cfg!(target_arch = "riscv64") {
    Some(0xc000_00f3)
} else {
    None
};

// Instructions of classic BPF (linux/bpf_common.h): load a word of `seccomp_data`; compare; return.
const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IS_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const fn statement(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

/// Goes on with the next instruction when equal, else skips so many.
const fn unless_equal_skip(k: u32, count: u8) -> libc::sock_filter {
    libc::sock_filter { code: IS_EQUAL, jt: 0, jf: count, k }
}

/// setgroups(2) returns 0 and is not made; everything else passes, as do calls of other machine languages, whose
/// numbers mean something else.
const fn filter(architecture: u32) -> [libc::sock_filter; 6] {
    [
        statement(LOAD, offset_of!(libc::seccomp_data, arch) as u32),
        unless_equal_skip(architecture, 3),
        statement(LOAD, offset_of!(libc::seccomp_data, nr) as u32),
        unless_equal_skip(libc::SYS_setgroups as u32, 1),
        // An errno of 0 is success.
        statement(RETURN, libc::SECCOMP_RET_ERRNO),
        statement(RETURN, libc::SECCOMP_RET_ALLOW),
    ]
}

/// Lets setgroups(2) succeed without effect, for the calling thread and all that it starts. Returns -1 with errno set
/// where that is refused; takes `CAP_SYS_ADMIN` in the caller's user namespace, or `PR_SET_NO_NEW_PRIVS`.
///
/// # Safety
/// Async-signal-safe; the caller wants every program that it executes to be told so.
pub(crate) unsafe fn grant_setgroups() -> i32 {
    let Some(architecture) = ARCHITECTURE else { return 0 };
    let mut filter = filter(architecture);
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program names an array on this frame that outlives the call; the kernel copies it.
    unsafe {
        let mode = libc::SECCOMP_MODE_FILTER;
        libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program, 0, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the filter answers to a call, told by running it.
    fn answer(arch: u32, nr: u32) -> u32 {
        let filter = filter(0xc000_003e);
        let (mut word, mut at) = (0, 0);
        loop {
            let step = filter[at];
            at += 1;
            match step.code {
                LOAD if step.k == 4 => word = arch,
                LOAD => word = nr,
                IS_EQUAL => at += usize::from(if word == step.k { step.jt } else { step.jf }),
                RETURN => return step.k,
                other => panic!("instruction {other}"),
            }
        }
    }

    #[test]
    fn only_setgroups_is_answered() {
        let setgroups = libc::SYS_setgroups as u32;
        assert_eq!(answer(0xc000_003e, setgroups), libc::SECCOMP_RET_ERRNO);
        assert_eq!(answer(0xc000_003e, setgroups + 1), libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer(0xc000_003e, setgroups | 0x4000_0000), libc::SECCOMP_RET_ALLOW);
        assert_eq!(answer(0x4000_0003, setgroups), libc::SECCOMP_RET_ALLOW);
    }
}
