//! Legacy iptables: reads the tables that exist (iptables-legacy(8), linux/netfilter_ipv4/ip_tables.h).
//!
//! Asking for a table that is not there makes it, so only those in `/proc/net/ip_tables_names` are to be asked for.

mod entry;

use netyard_core::nft::{BaseChain, Chain, ChainKind, Family, Hook, Policy, Table};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// Reads a table of the network namespace that the calling thread is in, in the form of nf_tables.
///
/// Its hooks become base chains with the priorities that the kernel gives them. Rules keep their order; what is not
/// understood of them comes back as words. Same as `iptables-legacy -t NAME -S`.
///
/// # Errors
/// `EPERM` without `CAP_NET_ADMIN` over the namespace; `EINVAL` for what cannot be read as a table.
pub fn table(is_ipv6: bool, name: &str) -> io::Result<Table> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let family = if is_ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // Between both calls the table may grow: EAGAIN then.
    for _ in 0..16 {
        let info = info(socket.as_fd(), is_ipv6, name)?;
        match entries(socket.as_fd(), is_ipv6, name, info.size) {
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            result => {
                let family = if is_ipv6 { Family::Ip6 } else { Family::Ip };
                return decode(family, name, &info, &result?)
                    .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL));
            }
        }
    }
    Err(io::Error::from_raw_os_error(libc::EAGAIN))
}

/// `XT_TABLE_MAXNAMELEN`, and the number of hooks.
const NAME_LEN: usize = 32;
const HOOKS: usize = 5;
/// `IPT_SO_GET_INFO`, `IPT_SO_GET_ENTRIES`; IPv6 has the same numbers.
const SO_GET_INFO: i32 = 64;
const SO_GET_ENTRIES: i32 = 65;

/// `struct ipt_getinfo`: name, mask of hooks, five places of first rules, five places of policies, count, bytes.
struct Info {
    valid_hooks: u32,
    hook_entry: [u32; HOOKS],
    underflow: [u32; HOOKS],
    size: usize,
}

fn info(socket: BorrowedFd<'_>, is_ipv6: bool, name: &str) -> io::Result<Info> {
    let mut buffer = [0; NAME_LEN + 4 * (1 + HOOKS + HOOKS + 2)];
    put_name(&mut buffer, name)?;
    get(socket, is_ipv6, SO_GET_INFO, &mut buffer)?;
    let word = |at: usize| entry::u32_at(&buffer, NAME_LEN + at * 4).unwrap_or_default();
    let words = |from: usize| std::array::from_fn(|at| word(from + at));
    Ok(Info { valid_hooks: word(0), hook_entry: words(1), underflow: words(6), size: word(12) as usize })
}

/// `struct ipt_get_entries`: name, bytes, then the entries, 8-aligned.
fn entries(socket: BorrowedFd<'_>, is_ipv6: bool, name: &str, size: usize) -> io::Result<Vec<u8>> {
    const ENTRIES_AT: usize = NAME_LEN + 8;
    let mut buffer = vec![0; ENTRIES_AT + size];
    put_name(&mut buffer, name)?;
    let bytes = u32::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    buffer[NAME_LEN..NAME_LEN + 4].copy_from_slice(&bytes.to_ne_bytes());
    get(socket, is_ipv6, SO_GET_ENTRIES, &mut buffer)?;
    Ok(buffer.split_off(ENTRIES_AT))
}

fn put_name(buffer: &mut [u8], name: &str) -> io::Result<()> {
    if name.len() >= NAME_LEN {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    buffer[..name.len()].copy_from_slice(name.as_bytes());
    Ok(())
}

fn get(socket: BorrowedFd<'_>, is_ipv6: bool, option: i32, buffer: &mut [u8]) -> io::Result<()> {
    let level = if is_ipv6 { libc::SOL_IPV6 } else { libc::SOL_IP };
    let mut length = u32::try_from(buffer.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: the pointer and length name `buffer`, the last pointer names `length`; both outlive the call.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), level, option, buffer.as_mut_ptr().cast(), &raw mut length)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Hooks with the names of their chains (net/ipv4/netfilter/ip_tables.c `hooknames`).
const CHAINS: [(Hook, &str); HOOKS] = [
    (Hook::Prerouting, "PREROUTING"),
    (Hook::Input, "INPUT"),
    (Hook::Forward, "FORWARD"),
    (Hook::Output, "OUTPUT"),
    (Hook::Postrouting, "POSTROUTING"),
];

fn decode(family: Family, name: &str, info: &Info, bytes: &[u8]) -> Option<Table> {
    let raw = entry::all(family, bytes)?;
    // Chains begin at the entry of a hook, or behind an entry that holds the name of a user's chain.
    let mut starts: Vec<(usize, String, Option<usize>)> = Vec::new();
    for (hook, (_, chain)) in CHAINS.iter().enumerate() {
        if info.valid_hooks & 1 << hook != 0 {
            starts.push((info.hook_entry[hook] as usize, (*chain).to_owned(), Some(hook)));
        }
    }
    for entry in &raw {
        if let entry::Target::Name(chain) = &entry.target
            && entry.at + entry.len < bytes.len()
        {
            starts.push((entry.at + entry.len, chain.clone(), None));
        }
    }
    let chain_at =
        |at: usize| starts.iter().find(|(start, ..)| *start == at).map(|(_, name, _)| name.clone());
    let mut chains = Vec::new();
    for (start, chain, hook) in &starts {
        let end = raw.iter().filter(|e| e.at >= *start).find(|e| match hook {
            Some(hook) => e.at == info.underflow[*hook] as usize,
            None => is_end_of_chain(e, &raw, &starts),
        });
        let end_at = end.map_or(*start, |e| e.at);
        let rules = raw.iter().filter(|e| (*start..end_at).contains(&e.at));
        let policy = match end.map(|e| &e.target) {
            Some(entry::Target::Verdict(entry::DROP)) => Policy::Drop,
            _ => Policy::Accept,
        };
        chains.push(Chain {
            name: chain.clone(),
            base: hook.map(|hook| base(name, CHAINS[hook].0, policy)),
            rules: rules.map(|e| e.rule(&chain_at)).collect(),
        });
    }
    Some(Table { family, name: name.to_owned(), chains })
}

/// A user's chain ends with a rule without matches that returns, right before the next chain or the last entry.
fn is_end_of_chain(
    entry: &entry::Entry,
    all: &[entry::Entry],
    starts: &[(usize, String, Option<usize>)],
) -> bool {
    let next = entry.at + entry.len;
    let is_name = |e: &entry::Entry| e.at == next && matches!(e.target, entry::Target::Name(_));
    starts.iter().any(|(start, ..)| *start == next) || all.iter().any(is_name)
}

/// The priorities of the legacy tables (linux/netfilter_ipv4.h `NF_IP_PRI_*`).
fn base(table: &str, hook: Hook, policy: Policy) -> BaseChain {
    let (kind, priority) = match (table, hook) {
        ("nat", Hook::Prerouting | Hook::Output) => (ChainKind::Nat, -100),
        ("nat", _) => (ChainKind::Nat, 100),
        ("mangle", Hook::Output) => (ChainKind::Route, -150),
        ("mangle", _) => (ChainKind::Filter, -150),
        ("raw", _) => (ChainKind::Filter, -300),
        ("security", _) => (ChainKind::Filter, 50),
        _ => (ChainKind::Filter, 0),
    };
    BaseChain { kind, hook, priority, policy }
}
