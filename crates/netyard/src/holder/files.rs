//! The files that a node has of its own: `/etc/hosts`, `/etc/resolv.conf`, `/run`, `/tmp`.
//!
//! They lie in the holder's private `/run` and are shown to programs by bind mounts. A node's are made when the
//! first program enters it.

use crate::protocol::Spec;
use netyard_core::lab::{Lab, Node, Role};
use netyard_kernel::mount;
use netyard_kernel::process::Mount;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(super) const ROOT: &str = "/run/netyard";
/// Where `ip netns` looks.
pub(super) const NETNS: &str = "/run/netns";

/// Makes the folders that every lab has, and keeps the machine's name servers for nodes with an uplink.
pub(super) fn make_folders(nameservers: &[IpAddr]) -> io::Result<()> {
    ["nodes", "shared/resolvers"]
        .iter()
        .try_for_each(|name| fs::create_dir_all(Path::new(ROOT).join(name)))?;
    let lines: String = nameservers.iter().map(|address| format!("nameserver {address}\n")).collect();
    fs::write(nameservers_path(), lines)?;
    fs::create_dir_all("/run/lock")?;
    fs::create_dir_all(NETNS)
}

/// Gives a namespace a file, as ip-netns(8) does.
pub(super) fn name_namespace(ns: BorrowedFd<'_>, file: &Path) -> io::Result<()> {
    fs::File::create(file)?;
    mount::bind(Path::new(&format!("/proc/self/fd/{}", ns.as_raw_fd())), file)
}

/// Takes in the lab file's folder, for programs to see.
pub(super) fn keep_folder(folder: BorrowedFd<'_>) -> io::Result<()> {
    fs::create_dir(folder_path())?;
    mount::attach(folder, &folder_path())
}

fn folder_path() -> PathBuf {
    Path::new(ROOT).join("shared/folder")
}

/// The machine's name servers that a node with an uplink can ask: those that are not the machine itself.
pub(super) fn nameservers_of_machine() -> Vec<IpAddr> {
    // With systemd-resolved the first file names the machine only, and the second whom it asks.
    let files = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];
    let found = files.map(|file| nameservers(&fs::read_to_string(file).unwrap_or_default()));
    found.into_iter().find(|found| !found.is_empty()).unwrap_or_default()
}

/// The name servers of a resolv.conf(5) but for those on a loopback address, or on a link that is named with it.
fn nameservers(text: &str) -> Vec<IpAddr> {
    let server = |line: &str| line.strip_prefix("nameserver")?.trim().parse::<IpAddr>().ok();
    text.lines().filter_map(server).filter(|address| !address.is_loopback()).collect()
}

fn nameservers_path() -> PathBuf {
    Path::new(ROOT).join("shared/nameservers")
}

/// Writes the table of names that all nodes share.
pub(super) fn write_hosts(lab: &Lab) -> io::Result<()> {
    fs::write(hosts_path(), hosts(lab))
}

fn hosts_path() -> PathBuf {
    Path::new(ROOT).join("shared/hosts")
}

/// The table of names (hosts(5)): every address of every node, the first of each family first.
fn hosts(lab: &Lab) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for node in &lab.nodes {
        for address in node.addresses() {
            let _ = write!(text, "{} {}", address.addr(), node.name);
            if node.hostname() != node.name.as_str() {
                let _ = write!(text, " {}", node.hostname());
            }
            text.push('\n');
        }
    }
    text
}

/// The resolver of a node (resolv.conf(5)): the internet nodes that it shares an address family with. Where there is
/// none, a node with an uplink asks whom the machine asks.
fn resolver(lab: &Lab, node: &Node) -> String {
    let mut text = format!("# Written for node {} of lab {}.\n", node.name, lab.name);
    let is_server = |other: &&Node| other.role == Role::Internet && other.name != node.name;
    if node.uplink.is_some() && !lab.nodes.iter().any(|other| is_server(&other)) {
        text += &fs::read_to_string(nameservers_path()).unwrap_or_default();
    }
    for server in lab.nodes.iter().filter(is_server) {
        let shared = server.addresses().map(|a| a.addr()).find(|a| node.address(Some(a.is_ipv6())).is_some());
        if let Some(address) = shared {
            let _ = writeln!(text, "nameserver {address}");
        }
    }
    text
}

/// The files below `/etc` that a full node has of its own, and what is in them.
pub(super) fn texts_of_full(lab: &Lab, node: &Node) -> [(&'static str, String); 3] {
    let own = format!("{}127.0.1.1 {}\n", hosts(lab), node.hostname());
    [("hosts", own), ("resolv.conf", resolver(lab, node)), ("hostname", format!("{}\n", node.hostname()))]
}

/// The machine's memory in bytes (proc(5), `meminfo`).
pub(super) fn memory_of_machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

/// Where a node has its own `/run` and `/tmp`.
fn folder_of_node(node: &str) -> PathBuf {
    Path::new(ROOT).join("nodes").join(node)
}

/// The node's own files, made where they are missing and brought up to date: what is shown where.
fn of_node(lab: &Lab, node: &Node) -> io::Result<Vec<(PathBuf, PathBuf)>> {
    let folder = folder_of_node(node.name.as_str());
    let run = folder.join("run");
    if !folder.exists() {
        fs::create_dir_all(&folder)?;
        // A file system for each: a node that fills its own takes no room from others.
        mount::mount_tmpfs(&folder, c"mode=0755,size=64m")?;
        fs::create_dir_all(run.join("lock"))?;
        let tmp = folder.join("tmp");
        fs::create_dir(&tmp)?;
        fs::set_permissions(tmp, fs::Permissions::from_mode(0o1777))?;
    }
    let resolver_file = Path::new(ROOT).join("shared/resolvers").join(node.name.as_str());
    write(&resolver_file, &resolver(lab, node))?;
    let mut binds = Vec::new();
    if Path::new("/etc/hosts").exists() {
        binds.push((hosts_path(), PathBuf::from("/etc/hosts")));
    }
    match fs::read_link("/etc/resolv.conf") {
        // A link into /run (systemd-resolved) is served by a file in the node's own /run.
        Ok(target) => {
            let target = Path::new("/etc").join(target);
            let target = normalized(&target);
            if let Ok(below_run) = target.strip_prefix("/run") {
                write(&run.join(below_run), &resolver(lab, node))?;
            } else if target.exists() {
                binds.push((resolver_file, target));
            }
        }
        Err(_) if Path::new("/etc/resolv.conf").exists() => {
            binds.push((resolver_file, PathBuf::from("/etc/resolv.conf")));
        }
        Err(_) => {}
    }
    binds.push((run, PathBuf::from("/run")));
    Ok(binds)
}

/// Writes a file where it says something else, in its place: it may be bound elsewhere.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::write(path, text)
}

/// Brings the files of nodes that have some up to date with a lab that has changed; those of nodes that are gone go.
pub(super) fn refresh(lab: &Lab) -> io::Result<()> {
    for entry in fs::read_dir(Path::new(ROOT).join("nodes"))? {
        let name = entry?.file_name();
        let node = name.to_str().and_then(|name| lab.node(name));
        match node {
            Some(node) => drop(of_node(lab, node)?),
            None => {
                let folder = folder_of_node(&name.to_string_lossy());
                // What programs still see of it stays until they end.
                mount::unmount(&folder)?;
                fs::remove_dir(&folder)?;
            }
        }
    }
    write_hosts(lab)
}

/// The path without `.` and `..`.
fn normalized(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut all, part| {
        match part {
            std::path::Component::ParentDir => drop(all.pop()),
            std::path::Component::CurDir => {}
            part => all.push(part),
        }
        all
    })
}

/// What a program that a person starts sees: the caller's own files with the node's own among them.
pub(super) fn mounts_of_person(lab: &Lab, node: &Node) -> io::Result<Vec<Mount>> {
    let binds = of_node(lab, node)?;
    let mounts = binds.iter().map(|(from, to)| bind(from, to));
    Ok(mounts.chain([Mount::Sysfs { target: c"/sys".into() }]).collect())
}

/// What a program of the lab file sees: the node's own files, all else read-only, and home folders hidden but for the
/// lab file's own folder.
pub(super) fn mounts_of_program(spec: &Spec, node: &Node) -> io::Result<Vec<Mount>> {
    let mut binds = of_node(&spec.lab, node)?;
    let run = binds.pop().map(|(run, _)| run).unwrap_or_default();
    let mut mounts: Vec<Mount> = binds.iter().map(|(from, to)| bind(from, to)).collect();
    mounts.push(Mount::Sysfs { target: c"/sys".into() });
    let folder = spec.shown_folder().map(|folder| {
        let kept = Some(folder_path()).filter(|kept| kept.exists());
        keep(kept.as_deref().unwrap_or(folder), folder, true)
    });
    // The later of two that overlap is seen: a lab file's folder below /tmp, but not /tmp itself.
    let is_inside =
        ["/run", "/tmp"].iter().any(|of_node| spec.folder.parent().is_some_and(|p| p.starts_with(of_node)));
    mounts.extend(folder.clone().filter(|_| !is_inside));
    mounts.push(keep(Path::new("/proc"), Path::new("/proc"), false));
    mounts.push(keep(&run, Path::new("/run"), false));
    mounts.push(keep(&run.with_file_name("tmp"), Path::new("/tmp"), false));
    mounts.extend(folder.filter(|_| is_inside));
    mounts.push(Mount::ReadOnly { target: c"/".into() });
    if Path::new("/dev/shm").is_dir() {
        mounts.push(Mount::Tmpfs { target: c"/dev/shm".into(), options: c"mode=1777,size=16m".into() });
    }
    let mut hidden: BTreeSet<&Path> = spec.homes.iter().map(PathBuf::as_path).collect();
    // Where programs have their `$HOME`.
    hidden.insert(Path::new("/root"));
    hidden.extend(spec.shown_folder().and_then(closed_on_the_way));
    let outermost = |folder: &&Path| !folder.ancestors().skip(1).any(|above| hidden.contains(above));
    for folder in hidden.iter().copied().filter(outermost).filter(|folder| folder.is_dir()) {
        mounts.push(Mount::Tmpfs { target: path_text(folder), options: c"mode=0755,size=16m".into() });
    }
    Ok(mounts)
}

/// The folder on the way to another that the lab may not enter; none where the way is open.
fn closed_on_the_way(folder: &Path) -> Option<&Path> {
    use rustix::fs::{Access, access};
    let mut way: Vec<&Path> = folder.ancestors().skip(1).collect();
    way.reverse();
    way.into_iter().find(|above| access(*above, Access::EXEC_OK) == Err(rustix::io::Errno::ACCESS))
}

pub(super) fn bind(source: &Path, target: &Path) -> Mount {
    Mount::Bind { source: path_text(source), target: path_text(target) }
}

pub(super) fn keep(source: &Path, target: &Path, is_read_only: bool) -> Mount {
    Mount::Keep { source: path_text(source), target: path_text(target), is_read_only }
}

/// A path without zero bytes, which no path from the kernel has.
pub(super) fn path_text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_that_only_the_machine_reaches_are_left_out() {
        let text = "# by hand\nnameserver 127.0.0.53\nnameserver ::1\nnameserver 192.0.2.53\n\
                    nameserver\t2001:db8::53\nnameserver fe80::1%eth0\nsearch example.org\n";
        let found: Vec<String> = nameservers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.53", "2001:db8::53"]);
    }
}
