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
