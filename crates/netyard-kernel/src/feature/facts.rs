//! Facts about the machine that decide how large labs may be, read without changing anything.

use crate::netlink::{Protocol, Socket, nft};
use netyard_core::nft::{Family, Hook, Policy, Table};
use std::fs;

/// What `doctor` tells of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// `uname -r`.
    pub kernel_release: String,
    /// `user.max_user_namespaces`; none where it is not readable.
    pub user_namespaces_max: Option<u64>,
    /// `user.max_net_namespaces`.
    pub net_namespaces_max: Option<u64>,
    /// Files that this process may open now, and that it may raise this to (`ulimit -n`); none for no limit.
    pub open_files: (Option<u64>, Option<u64>),
    /// `net.ipv4.neigh.default.gc_thresh3`: neighbours that all namespaces together may have; none inside a namespace,
    /// where it cannot be read.
    pub neighbours_max: Option<u64>,
    /// `net.ipv4.ping_group_range` of this network namespace: groups that may ping without privilege. The first is above
    /// the last where none may.
    pub ping_groups: Option<(u32, u32)>,
    /// Whether bridged frames pass iptables here.
    pub bridge_netfilter: BridgeNetfilter,
    /// Whether packets between the links of this namespace are dropped, as Docker and ufw have it.
    pub forward_policy: ForwardPolicy,
    /// Whether the kernel knows overlayfs now (`/proc/filesystems`); it may be a module that is loaded when it is needed.
    pub has_overlay: bool,
    /// Users that this user may map besides itself (`/etc/subuid`).
    pub subuids: Vec<IdRange>,
    /// Groups likewise (`/etc/subgid`).
    pub subgids: Vec<IdRange>,
}

/// The state of br_netfilter in this network namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BridgeNetfilter {
    /// The module is not loaded.
    Absent,
    /// It is loaded and off for IPv4.
    Off,
    /// It is on: bridged IPv4 frames are filtered and rewritten as if they were routed.
    On,
}

/// What becomes of forwarded packets that no rule decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardPolicy {
    /// No nf_tables chain drops them.
    Accepts,
    /// These nf_tables chains drop them: `ip filter FORWARD`.
    Drops(Vec<String>),
    /// Not known, and why.
    Unknown(String),
}

/// A range of user or group numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The lowest.
    pub first: u32,
    /// How many.
    pub count: u32,
}

/// Reads the facts of the namespaces that the calling thread is in.
///
/// ```
/// println!("kernel {}", netyard_kernel::feature::facts().kernel_release);
/// ```
#[must_use]
pub fn facts() -> Facts {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    Facts {
        kernel_release: rustix::system::uname().release().to_string_lossy().into_owned(),
        user_namespaces_max: number("/proc/sys/user/max_user_namespaces"),
        net_namespaces_max: number("/proc/sys/user/max_net_namespaces"),
        open_files: (files.current, files.maximum),
        neighbours_max: number("/proc/sys/net/ipv4/neigh/default/gc_thresh3"),
        ping_groups: ping_groups(&text("/proc/sys/net/ipv4/ping_group_range")),
        bridge_netfilter: match number("/proc/sys/net/bridge/bridge-nf-call-iptables") {
            None => BridgeNetfilter::Absent,
            Some(0) => BridgeNetfilter::Off,
            Some(_) => BridgeNetfilter::On,
        },
        forward_policy: forward_policy(),
        has_overlay: text("/proc/filesystems").lines().any(|line| line.trim_end().ends_with("\toverlay")),
        subuids: own_subordinates("/etc/subuid"),
        subgids: own_subordinates("/etc/subgid"),
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The number that a file of `/proc/sys` holds.
pub(super) fn number(path: &str) -> Option<u64> {
    text(path).trim().parse().ok()
}

fn ping_groups(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Looks at the nf_tables chains of this namespace; needs CAP_NET_ADMIN. Same as `nft list chains`.
fn forward_policy() -> ForwardPolicy {
    let tables = Socket::open(Protocol::Netfilter).map_err(|e| e.to_string());
    let tables = tables.and_then(|mut socket| nft::list(&mut socket).map_err(|refusal| refusal.to_string()));
    let legacy = [text("/proc/net/ip_tables_names"), text("/proc/net/ip6_tables_names")];
    match tables {
        Ok(tables) => {
            policy_of(&tables, legacy.iter().any(|names| names.lines().any(|name| name == "filter")))
        }
        Err(why) => ForwardPolicy::Unknown(why),
    }
}

fn policy_of(tables: &[Table], has_legacy_filter: bool) -> ForwardPolicy {
    let is_routed = |table: &&Table| matches!(table.family, Family::Inet | Family::Ip | Family::Ip6);
    let drops: Vec<String> = tables
        .iter()
        .filter(is_routed)
        .flat_map(|table| table.chains.iter().map(move |chain| (table, chain)))
        .filter(|(_, chain)| {
            chain.base.as_ref().is_some_and(|b| b.hook == Hook::Forward && b.policy == Policy::Drop)
        })
        .map(|(table, chain)| format!("{} {} {}", table.family, table.name, chain.name))
        .collect();
    match (drops.is_empty(), has_legacy_filter) {
        (false, _) => ForwardPolicy::Drops(drops),
        (true, true) => ForwardPolicy::Unknown(
            "iptables-legacy has a filter table, which nf_tables does not show: see `iptables-legacy -S FORWARD`"
                .to_owned(),
        ),
        (true, false) => ForwardPolicy::Accepts,
    }
}

/// The ranges of the calling user in `/etc/subuid` or `/etc/subgid` (subuid(5)), by name or by number.
#[must_use]
pub fn own_subordinates(path: &str) -> Vec<IdRange> {
    let uid = rustix::process::geteuid().as_raw();
    let name = user_name(&text("/etc/passwd"), uid);
    ranges(&text(path), name.as_deref(), uid)
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    let has_uid = |line: &&str| line.split(':').nth(2).and_then(|field| field.parse().ok()) == Some(uid);
    passwd.lines().find(has_uid)?.split(':').next().map(str::to_owned)
}

fn ranges(text: &str, name: Option<&str>, uid: u32) -> Vec<IdRange> {
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let is_own = Some(owner) == name || owner.parse() == Ok(uid);
        let range = IdRange { first: fields.next()?.parse().ok()?, count: fields.next()?.parse().ok()? };
        is_own.then_some(range)
    };
    text.lines().filter_map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netyard_core::nft::{BaseChain, Chain, ChainKind};

    #[test]
    fn ranges_are_found_by_name_and_by_number() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("ann"));
        assert_eq!(user_name(passwd, 7), None);
        let subuid = "bob:100000:65536\nann:165536:65536\n# a note\n1000:500000:10\nann:x:1\n";
        let own = ranges(subuid, Some("ann"), 1000);
        assert_eq!(own, [IdRange { first: 165_536, count: 65_536 }, IdRange { first: 500_000, count: 10 }]);
        assert_eq!(ranges(subuid, None, 5), []);
    }

    #[test]
    fn a_forward_chain_with_policy_drop_is_named() {
        let chain = |hook, policy| Chain {
            name: "FORWARD".into(),
            base: Some(BaseChain { kind: ChainKind::Filter, hook, priority: 0, policy }),
            rules: vec![],
        };
        let table = |chain| [Table { family: Family::Ip, name: "filter".into(), chains: vec![chain] }];
        let dropping = table(chain(Hook::Forward, Policy::Drop));
        assert_eq!(policy_of(&dropping, true), ForwardPolicy::Drops(vec!["ip filter FORWARD".into()]));
        assert_eq!(policy_of(&table(chain(Hook::Input, Policy::Drop)), false), ForwardPolicy::Accepts);
        assert_eq!(policy_of(&table(chain(Hook::Forward, Policy::Accept)), false), ForwardPolicy::Accepts);
        assert!(matches!(policy_of(&[], true), ForwardPolicy::Unknown(_)));
    }

    #[test]
    fn ping_groups_are_two_numbers() {
        assert_eq!(ping_groups("1\t0\n"), Some((1, 0)));
        assert_eq!(ping_groups("0\t2147483647\n"), Some((0, 2_147_483_647)));
        assert_eq!(ping_groups(""), None);
    }
}
