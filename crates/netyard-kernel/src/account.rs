//! The caller's account (passwd(5)).

use std::ffi::{CStr, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// The name of the effective user; none without an account (getpwuid_r(3)).
#[must_use]
pub fn name() -> Option<String> {
    of_caller(|account| account.pw_name).and_then(|name| name.into_string().ok())
}

/// The home folder of the effective user, as the account says; none without an account (getpwuid_r(3)).
#[must_use]
pub fn home() -> Option<PathBuf> {
    of_caller(|account| account.pw_dir).map(PathBuf::from)
}

/// A text of the caller's account.
fn of_caller(field: impl FnOnce(&libc::passwd) -> *mut libc::c_char) -> Option<OsString> {
    let mut buffer = vec![0; 16 * 1024];
    // SAFETY: the pointers name an account, a buffer of the length told, and a result, all on this frame; the texts of
    // the account point into the buffer.
    unsafe {
        let mut account: libc::passwd = std::mem::zeroed();
        let mut found = std::ptr::null_mut();
        let uid = libc::geteuid();
        libc::getpwuid_r(uid, &raw mut account, buffer.as_mut_ptr(), buffer.len(), &raw mut found);
        let text = field(&account);
        if found.is_null() || text.is_null() {
            return None;
        }
        Some(OsStr::from_bytes(CStr::from_ptr(text).to_bytes()).to_owned())
    }
}
