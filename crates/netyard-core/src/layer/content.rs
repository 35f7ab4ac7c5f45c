//! What of a system that packages were installed into belongs into a layer, and what does not.

/// Left out with all below: what serves installing, what each node has of its own, what nobody reads in a lab.
const LEFT_OUT: &[&str] = &[
    "/etc/.pwd.lock",
    "/etc/apt",
    "/etc/dpkg",
    "/etc/group",
    "/etc/group-",
    "/etc/gshadow",
    "/etc/gshadow-",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/machine-id",
    "/etc/passwd",
    "/etc/passwd-",
    "/etc/resolv.conf",
    "/etc/shadow",
    "/etc/shadow-",
    "/etc/subgid",
    "/etc/subgid-",
    "/etc/subuid",
    "/etc/subuid-",
    "/usr/sbin/policy-rc.d",
    "/usr/share/doc",
    "/usr/share/info",
    "/usr/share/lintian",
    "/usr/share/locale",
    "/usr/share/man",
    "/var/backups",
    "/var/cache/apt",
    "/var/cache/debconf",
    "/var/cache/ldconfig",
    "/var/cache/man",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/man-db",
    "/var/lib/pam",
    "/var/lib/systemd",
    "/var/lib/ucf",
    "/var/lock",
    "/var/log/alternatives.log",
    "/var/log/apt",
    "/var/log/bootstrap.log",
    "/var/log/dpkg.log",
    "/var/log/faillog",
    "/var/log/lastlog",
    "/var/run",
    "/var/tmp",
];

/// Parts of packages that are not even unpacked (dpkg(1) `--path-exclude`).
pub const NOT_UNPACKED: &[&str] =
    &["/usr/share/doc", "/usr/share/info", "/usr/share/lintian", "/usr/share/locale", "/usr/share/man"];

/// Whether an absolute path of the system belongs to no layer.
///
/// ```
/// use netyard_core::layer::content::is_left_out;
/// assert!(is_left_out("/var/lib/dpkg/status"));
/// assert!(!is_left_out("/var/lib/dpkg-like"));
/// ```
#[must_use]
pub fn is_left_out(path: &str) -> bool {
    LEFT_OUT
        .iter()
        .any(|top| path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

/// Folders of `/var` that every system has (Debian's base-files), with their permission bits.
pub const VAR: &[(&str, u32)] = &[
    ("backups", 0o755),
    ("cache", 0o755),
    ("cache/apt/archives/partial", 0o755),
    ("cache/debconf", 0o755),
    ("cache/ldconfig", 0o700),
    ("lib", 0o755),
    ("lib/apt", 0o755),
    ("lib/dpkg", 0o755),
    ("lib/misc", 0o755),
    ("local", 0o2775),
    ("log/apt", 0o755),
    ("mail", 0o2775),
    ("opt", 0o755),
    ("spool", 0o755),
    ("tmp", 0o1777),
];

/// Folders of `/var` that installing reads and writes: copied from the machine, where anybody may read them.
pub const VAR_COPIED: &[&str] = &[
    "cache/debconf",
    "lib/apt/lists",
    "lib/dpkg",
    "lib/pam",
    "lib/sgml-base",
    "lib/systemd",
    "lib/ucf",
    "lib/xml-core",
];

/// Whether a folder, told by its path below `/var`, is one that every system has.
///
/// ```
/// use netyard_core::layer::content::is_of_var;
/// assert!(is_of_var("lib") && is_of_var("cache/apt/archives") && !is_of_var("cache/bind"));
/// ```
#[must_use]
pub fn is_of_var(path: &str) -> bool {
    let folders = VAR.iter().map(|(folder, _)| *folder);
    let mut folders = folders.chain(VAR_COPIED.iter().copied());
    folders
        .any(|folder| folder.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_daemons_need_stays() {
        for kept in
            ["/etc/frr/daemons", "/var/log/frr", "/var/lib/bind", "/var/cache/bind", "/usr/lib/frr/zebra"]
        {
            assert!(!is_left_out(kept), "{kept}");
        }
        assert!(LEFT_OUT.is_sorted() && VAR.is_sorted() && VAR_COPIED.is_sorted());
        assert!(NOT_UNPACKED.iter().all(|path| is_left_out(path)));
    }
}
