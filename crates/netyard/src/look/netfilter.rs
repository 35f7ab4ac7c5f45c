//! The tables of nf_tables and of legacy iptables, without making any.

use crate::live::again;
use netyard_core::nft::Table;
use netyard_kernel::netlink::{Protocol, Socket, nft};
use netyard_kernel::{procnet, xtables};
use std::io;
use std::path::Path;

/// The tables of nf_tables of the namespace that the thread is in.
///
/// Where the kernel has not loaded nf_tables there are none, and asking would load it.
pub(crate) fn tables(notes: &mut Vec<String>) -> Vec<Table> {
    if !has_nf_tables() {
        return Vec::new();
    }
    let listed = || -> io::Result<(Vec<Table>, Vec<String>)> {
        let mut socket = Socket::open(Protocol::Netfilter)?;
        Ok((again(|| nft::list(&mut socket))?, again(|| nft::named_sets(&mut socket))?))
    };
    match listed() {
        Ok((tables, sets)) => {
            notes.extend(
                sets.into_iter().map(|set| format!("what is in the nftables set `{set}` is not told")),
            );
            tables
        }
        Err(error) => {
            notes.push(format!("nftables rules are not told: {}", reason(&error)));
            Vec::new()
        }
    }
}

/// The tables of legacy iptables that exist.
pub(crate) fn legacy(notes: &mut Vec<String>) -> Vec<Table> {
    let mut tables = Vec::new();
    for is_ipv6 in [false, true] {
        let program = if is_ipv6 { "ip6tables" } else { "iptables" };
        match procnet::legacy_tables(is_ipv6) {
            Ok(names) => {
                for name in names {
                    match xtables::table(is_ipv6, &name) {
                        Ok(table) => tables.push(table),
                        Err(error) => notes.push(format!(
                            "the table `{name}` of legacy {program} is not told: {}",
                            reason(&error)
                        )),
                    }
                }
            }
            Err(error) => notes.push(format!("legacy {program} rules are not told: {}", reason(&error))),
        }
    }
    tables
}

pub(crate) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "only root may read them".to_owned(),
        _ => error.to_string(),
    }
}

/// Whether nf_tables is part of the kernel or loaded. A kernel without modules has no `/proc/modules`, and there asking
/// loads nothing.
pub(crate) fn has_nf_tables() -> bool {
    let Ok(loaded) = std::fs::read_to_string("/proc/modules") else { return true };
    let is_builtin = || {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let list = Path::new("/lib/modules").join(release.trim()).join("modules.builtin");
        std::fs::read_to_string(list).is_ok_and(|text| text.contains("/nf_tables.ko"))
    };
    loaded.lines().any(|line| line.starts_with("nf_tables ")) || is_builtin()
}
