//! How any program that links netyard becomes a holder when it is started as one.

use crate::process::HOLDER_ARGV0;

/// Makes the function run instead of `main` in processes that were started as a holder
/// ([`spawn_holder`](crate::process::spawn_holder)).
///
/// The loader calls it before `main` (ELF `.init_array`), in test programs too, so that the copy of a test program
/// that is a holder does not run its tests again.
#[macro_export]
macro_rules! holder_entry {
    ($main:path) => {
        const _: () = {
            extern "C" fn entry() {
                if $crate::entry::is_holder() {
                    $main();
                }
            }
            #[used]
            #[unsafe(link_section = ".init_array")]
            static ENTRY: extern "C" fn() = entry;
        };
    };
}

/// Whether this process was started as a holder, told by its `argv[0]`.
///
/// Read from `/proc/self/cmdline`: the standard library's arguments need not be ready before `main`.
#[must_use]
pub fn is_holder() -> bool {
    // Before `main`, and in every process that links us: no allocation, one small read.
    let mut start = [0; HOLDER_ARGV0.len() + 1];
    let Ok(file) =
        rustix::fs::open(c"/proc/self/cmdline", rustix::fs::OFlags::RDONLY, rustix::fs::Mode::empty())
    else {
        return false;
    };
    let got = rustix::io::read(&file, &mut start).unwrap_or(0);
    got == start.len()
        && start[..HOLDER_ARGV0.len()] == *HOLDER_ARGV0.as_bytes()
        && start[HOLDER_ARGV0.len()] == 0
}

/// Whether this process runs tests: cargo keeps test programs, and no others, in a folder `deps`, and those of
/// documentation in one of rustdoc's. `NETYARD_TEST_USERNS=1` says so of any other.
///
/// A workspace that is built as a whole has one set of features: a feature for tests is on in its ordinary programs
/// too, which must not mind.
#[must_use]
pub fn is_test_program() -> bool {
    let path = std::env::current_exe().unwrap_or_default();
    let folder = path.parent().and_then(|folder| folder.file_name()?.to_str()).unwrap_or_default();
    folder == "deps"
        || folder.starts_with("rustdoctest")
        || std::env::var_os("NETYARD_TEST_USERNS").is_some_and(|value| value == "1")
}

/// Makes test programs of ordinary users enter a user namespace of their own before `main`
/// ([`userns::enter_own`](crate::userns::enter_own)).
#[macro_export]
macro_rules! userns_entry {
    () => {
        const _: () = {
            extern "C" fn entry() {
                if !$crate::entry::is_holder() && $crate::entry::is_test_program() {
                    $crate::userns::enter_own();
                }
            }
            #[used]
            #[unsafe(link_section = ".init_array")]
            static ENTRY: extern "C" fn() = entry;
        };
    };
}
