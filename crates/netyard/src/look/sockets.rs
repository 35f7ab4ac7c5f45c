//! Which process has which listening socket: the one that has its inode open (proc_pid_fd(5)).

use netyard_core::look::{Look, Process};
use std::collections::HashMap;
use std::fs;

/// Fills in the processes. Until then their places hold the inodes.
pub(super) fn add_processes(look: &mut Look) {
    let wanted: Vec<u32> = look.namespaces.iter().flat_map(|s| &s.sockets).filter_map(inode).collect();
    let owners = if wanted.is_empty() { HashMap::new() } else { owners(&wanted) };
    for socket in look.namespaces.iter_mut().flat_map(|seen| &mut seen.sockets) {
        socket.process = inode(socket).and_then(|inode| owners.get(&inode).cloned());
    }
}

fn inode(socket: &netyard_core::look::SocketView) -> Option<u32> {
    socket.process.as_ref().map(|process| process.pid)
}

fn owners(wanted: &[u32]) -> HashMap<u32, Process> {
    let mut owners = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        for descriptor in fs::read_dir(entry.path().join("fd")).into_iter().flatten().flatten() {
            let Ok(link) = fs::read_link(descriptor.path()) else { continue };
            let inode =
                link.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            let Some(inode) = inode.filter(|inode| wanted.contains(inode)) else { continue };
            owners.entry(inode).or_insert_with(|| {
                let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                Process { pid, comm: comm.trim().to_owned() }
            });
        }
    }
    owners
}
