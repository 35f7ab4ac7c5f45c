//! Capabilities by their names (capabilities(7), linux/capability.h).

use super::words;

/// A set of capabilities: the bit of each is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities(pub u64);

/// The names without `CAP_`, in the order of their numbers.
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// Adds the capabilities of a value such as `CAP_NET_RAW CAP_CHOWN` to a set, takes away those of one that begins with
/// `~`, and makes it empty for an empty one. Unknown names are passed over.
pub(super) fn capabilities(set: &mut Capabilities, value: &str) {
    let named = words(value.trim_start_matches('~'))
        .iter()
        .filter_map(|word| number(word))
        .fold(0, |a, n| a | 1 << n);
    set.0 = match value {
        "" => 0,
        _ if value.starts_with('~') => set.0 & !named,
        _ => set.0 | named,
    };
}

fn number(word: &str) -> Option<usize> {
    let word = word.to_ascii_lowercase();
    NAMES.iter().position(|name| word.strip_prefix("cap_") == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_grow_and_shrink() {
        let mut set = Capabilities::default();
        capabilities(&mut set, "CAP_CHOWN cap_net_raw CAP_NONE");
        assert_eq!(set.0, 1 | 1 << 13);
        capabilities(&mut set, "~CAP_CHOWN");
        assert_eq!(set.0, 1 << 13);
        capabilities(&mut set, "CAP_CHECKPOINT_RESTORE");
        assert_eq!(set.0, 1 << 13 | 1 << 40);
        capabilities(&mut set, "");
        assert_eq!(set.0, 0);
    }
}
