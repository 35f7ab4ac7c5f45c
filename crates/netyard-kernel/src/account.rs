//! The caller's account (passwd(5)).

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The home folder of the effective user, as the account says; none without an account (getpwuid_r(3)).
#[must_use]
pub fn home() -> Option<PathBuf> {
    let mut buffer = vec![0; 16 * 1024];
    // SAFETY: the pointers name an account, a buffer of the length told, and a result, all on this frame; the texts of
    // the account point into the buffer.
    unsafe {
        let mut account: libc::passwd = std::mem::zeroed();
        let mut found = std::ptr::null_mut();
        let uid = libc::geteuid();
        libc::getpwuid_r(uid, &raw mut account, buffer.as_mut_ptr(), buffer.len(), &raw mut found);
        if found.is_null() || account.pw_dir.is_null() {
            return None;
        }
        Some(PathBuf::from(OsStr::from_bytes(CStr::from_ptr(account.pw_dir).to_bytes())))
    }
}
