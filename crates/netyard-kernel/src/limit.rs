//! Limits of the calling process (getrlimit(2)).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the number of descriptors that may be open to the most that the process may ask for, and returns it; none
/// when there is no limit. A lab holds two for each namespace, and 1024 is the usual limit to begin with.
///
/// Same as `ulimit -n hard`.
pub fn raise_open_files() -> Option<u64> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    // A refusal leaves the lower limit, and opening tells when that is reached.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    getrlimit(Resource::Nofile).current
}

/// Lets all threads of the process allocate from one heap, so that what one gives back another can use (mallopt(3),
/// `M_ARENA_MAX`). For processes that live long and do little.
pub fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: mallopt(3) takes two integers.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Gives free memory of the heap back to the kernel (malloc_trim(3)).
pub fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) takes an integer.
    unsafe {
        libc::malloc_trim(0);
    }
}
