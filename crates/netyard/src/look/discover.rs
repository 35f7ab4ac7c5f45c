//! Which network namespaces there are: by file, by process, by descriptor (network_namespaces(7), proc(5)).

use super::labs::LabNamespaces;
use super::no_such_namespace;
use crate::error::{Error, Result};
use netyard_core::look::label::Labels;
use netyard_core::look::{Hold, Holder, container_of};
use netyard_core::name::NodeName;
use netyard_core::road::Road;
use netyard_core::state::Ns;
use netyard_kernel::{nsfs, visit};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Namespaces that were found, by inode.
#[derive(Debug)]
pub struct Discovery {
    /// What is known of each.
    pub found: BTreeMap<u64, Found>,
    /// The inode of the caller's own.
    pub here: u64,
    /// What could not be looked at, and why.
    pub notes: Vec<String>,
    wanted: Option<u64>,
    /// The device number of the file system that namespaces are in.
    nsfs: u64,
    /// The user namespaces of the lab that is looked at.
    pub(super) lab_users: HashSet<u64>,
}

/// A namespace that was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Opens it; none where every way to it is closed to the caller.
    pub fd: Option<OwnedFd>,
    /// Its name.
    pub name: Option<Ns>,
    /// Files that name it.
    pub files: Vec<String>,
    /// Processes that hold it.
    pub holders: Vec<Holder>,
    /// The container of its processes.
    pub container: Option<String>,
    /// The name that a running lab has for it.
    pub of_lab: Option<Ns>,
    /// That lab.
    pub lab: Option<String>,
    /// Why it could not be opened.
    pub refusal: Option<String>,
    /// How a command is typed in it, where a lab knows.
    pub(super) road: Option<Road>,
}

/// Looks through the caller's mounts and all processes.
pub(super) fn machine() -> Result<Discovery> {
    let own = nsfs::open_network(Path::new("/proc/self/ns/net"))
        .map_err(|e| Error::io("cannot open the caller's own network namespace", &e))?;
    let here = inode(own.as_fd())?;
    let mut discovery = Discovery {
        found: BTreeMap::from([(here, Found { fd: Some(own), ..Found::default() })]),
        here,
        notes: Vec::new(),
        wanted: None,
        nsfs: fs::metadata("/proc/self/ns/net").map_or(0, |metadata| metadata.dev()),
        lab_users: HashSet::new(),
    };
    let own_mounts = link_inode(Path::new("/proc/self/ns/mnt"), "mnt").unwrap_or_default();
    discovery.add_files(Path::new("/proc/self/mountinfo"), Path::new(""));
    discovery.add_processes(HashSet::from([own_mounts]));
    Ok(discovery)
}

/// The namespace of a process.
pub(super) fn of_process(pid: u32) -> Result<OwnedFd> {
    nsfs::open_network(Path::new(&format!("/proc/{pid}/ns/net"))).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::input("U018", format!("there is no process {pid}")),
        io::ErrorKind::PermissionDenied => {
            Error::io(format!("cannot open the network namespace of process {pid}"), &error)
                .help("it is somebody else's; run as root")
        }
        _ => Error::io(format!("cannot open the network namespace of process {pid}"), &error),
    })
}

/// The namespace of a name below `/run/netns`, or of a path.
pub(super) fn of_name(name: &str) -> Result<OwnedFd> {
    let path = if name.contains('/') { PathBuf::from(name) } else { Path::new("/run/netns").join(name) };
    nsfs::open_network(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput => no_such_namespace(name),
        _ => Error::io(format!("cannot open {}", path.display()), &error),
    })
}

/// The name of the machine.
pub(crate) fn hostname() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "machine".to_owned() } else { name.to_owned() }
}

pub(super) fn inode(ns: BorrowedFd<'_>) -> Result<u64> {
    nsfs::inode(ns).map_err(|e| Error::io("cannot tell namespaces apart", &e))
}

/// The inode in a link such as `net:[4026531840]`; none when it is of another kind.
fn inode_of_link(link: &Path, kind: &str) -> Option<u64> {
    let text = link.to_str()?;
    text.strip_prefix(kind)?.strip_prefix(":[")?.strip_suffix(']')?.parse().ok()
}

fn link_inode(path: &Path, kind: &str) -> io::Result<u64> {
    inode_of_link(&fs::read_link(path)?, kind).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

impl Found {
    /// Whether it has a name below `/run/netns` (ip-netns(8)).
    pub(crate) fn is_named(&self) -> bool {
        self.files.iter().any(|file| file.starts_with("/run/netns/"))
    }

    /// How a command is typed in it from the caller's own namespace; none where there is no plain way.
    pub(crate) fn road(&self, is_here: bool) -> Option<Road> {
        if is_here {
            return Some(Road::Here);
        }
        let named = || Some(format!("ip netns exec {}", self.files.first()?.strip_prefix("/run/netns/")?));
        let by_file = || {
            let file = self.files.iter().find(|file| !file.starts_with("/proc/"))?;
            Some(format!("nsenter --net={file}"))
        };
        let by_process = || {
            let holder = self.holders.first().filter(|holder| holder.by == Hold::Process)?;
            let is_foreign = !nsfs::owners_below_own(self.fd.as_ref()?.as_fd()).ok()?.is_empty();
            let user = if is_foreign { " --user --preserve-credentials" } else { "" };
            Some(format!("nsenter --target {}{user} --net", holder.pid))
        };
        self.road.clone().or_else(|| named().or_else(by_file).or_else(by_process).map(Road::Before))
    }

    /// The process that keeps a namespace which nothing names: no file, no lab, no container.
    pub(crate) fn keeper(&self) -> Option<(String, u32)> {
        let is_named = self.files.iter().any(|file| file.contains("/netns/"))
            || self.of_lab.is_some()
            || self.lab.is_some()
            || self.container.is_some();
        let keeper = self.holders.first().filter(|_| !is_named)?;
        Some((keeper.comm.clone(), keeper.pid))
    }
}

impl Discovery {
    fn entry(&mut self, inode: u64) -> &mut Found {
        self.found.entry(inode).or_default()
    }

    /// Opens what is not open yet; the first refusal is remembered.
    fn open(&mut self, inode: u64, path: &Path) {
        let found = self.entry(inode);
        if found.fd.is_some() {
            return;
        }
        match nsfs::open_network(path) {
            // Whatever is there now may be another one than a moment ago.
            Ok(fd) if nsfs::inode(fd.as_fd()).is_ok_and(|now| now == inode) => found.fd = Some(fd),
            Ok(_) => {}
            Err(error) => {
                found.refusal.get_or_insert_with(|| format!("cannot open {}: {error}", path.display()));
            }
        }
    }

    /// Adds the namespaces that have a file, by a table of mounts (proc_pid_mountinfo(5)); paths are below `root`.
    pub(super) fn add_files(&mut self, mountinfo: &Path, root: &Path) {
        let Ok(text) = fs::read_to_string(mountinfo) else { return };
        for (inode, path) in text.lines().filter_map(named_namespace) {
            let path = PathBuf::from(format!("{}{path}", root.display()));
            let words = path.display().to_string();
            let found = self.entry(inode);
            if !found.files.contains(&words) {
                found.files.push(words);
            }
            self.open(inode, &path);
        }
    }

    fn add_processes(&mut self, mut seen_mounts: HashSet<u64>) {
        let mut closed: HashMap<&str, usize> = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let folder = entry.path();
            let net = match link_inode(&folder.join("ns/net"), "net") {
                Ok(net) => net,
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    *closed.entry("process").or_default() += 1;
                    continue;
                }
                // It has ended, or is ending.
                Err(_) => continue,
            };
            let comm = fs::read_to_string(folder.join("comm")).unwrap_or_default().trim().to_owned();
            let holder = |by| Holder { pid, comm: comm.clone(), by };
            self.entry(net).holders.push(holder(Hold::Process));
            self.open(net, &folder.join("ns/net"));
            if self.found[&net].container.is_none() && net != self.here {
                let group = fs::read_to_string(folder.join("cgroup")).unwrap_or_default();
                self.entry(net).container = container_of(&group);
            }
            self.add_threads(&folder, net, &holder(Hold::Thread));
            self.add_descriptors(&folder, &holder(Hold::Descriptor));
            if let Ok(mounts) = link_inode(&folder.join("ns/mnt"), "mnt")
                && seen_mounts.insert(mounts)
            {
                self.add_files(&folder.join("mountinfo"), &folder.join("root"));
            }
        }
        if let Some(count) = closed.get("process") {
            let (noun, verb) = if *count == 1 { ("process", "was") } else { ("processes", "were") };
            self.notes.push(format!("{count} {noun} of other users {verb} not looked at: only root may"));
        }
    }

    /// Threads that have gone elsewhere.
    fn add_threads(&mut self, folder: &Path, net: u64, holder: &Holder) {
        let threads: Vec<PathBuf> =
            fs::read_dir(folder.join("task")).into_iter().flatten().flatten().map(|e| e.path()).collect();
        if threads.len() < 2 {
            return;
        }
        for thread in threads {
            match link_inode(&thread.join("ns/net"), "net") {
                Ok(other) if other != net => {
                    let found = self.entry(other);
                    if !found.holders.contains(holder) {
                        found.holders.push(holder.clone());
                    }
                    self.open(other, &thread.join("ns/net"));
                }
                _ => {}
            }
        }
    }

    fn add_descriptors(&mut self, folder: &Path, holder: &Holder) {
        if holder.pid == std::process::id() {
            return; // These are what was opened to look.
        }
        for entry in fs::read_dir(folder.join("fd")).into_iter().flatten().flatten() {
            let path = entry.path();
            let Some(inode) = self.namespace_of_descriptor(&path) else { continue };
            let found = self.entry(inode);
            if !found.holders.contains(holder) {
                found.holders.push(holder.clone());
            }
            self.open(inode, &path);
        }
    }

    /// The inode of the network namespace that a descriptor is of.
    ///
    /// One that was opened by a file has that file's path for a name, or `/` when it is gone: only the file system
    /// tells then.
    fn namespace_of_descriptor(&self, path: &Path) -> Option<u64> {
        let link = fs::read_link(path).ok()?;
        if let Some(inode) = inode_of_link(&link, "net") {
            return Some(inode);
        }
        let text = link.to_str()?;
        let metadata = text.starts_with('/').then(|| fs::metadata(path).ok()).flatten()?;
        if metadata.dev() != self.nsfs {
            return None;
        }
        let is_known = self.found.contains_key(&metadata.ino());
        (is_known || nsfs::open_network(path).is_ok()).then(|| metadata.ino())
    }

    /// Adds the namespaces of a running lab, under the names that it has for them.
    pub(super) fn add_lab(&mut self, lab: LabNamespaces) -> Result<()> {
        for (name, fd, road) in lab.namespaces {
            let inode = inode(fd.as_fd())?;
            let found = self.entry(inode);
            found.road = Some(road);
            found.of_lab = Some(name);
            found.lab = Some(lab.name.clone());
            found.fd.get_or_insert(fd);
        }
        self.lab_users.extend(lab.users.iter().filter_map(|user| nsfs::inode(user.as_fd()).ok()));
        self.add_rooms(&lab.rooms, lab.users.last().map(AsFd::as_fd), lab.machine.as_deref());
        Ok(())
    }

    /// Adds what was named in mount namespaces that no process is in any more, below a user namespace. `machine` are the
    /// words before a command for where it was named.
    fn add_rooms(&mut self, rooms: &[OwnedFd], user: Option<BorrowedFd<'_>>, machine: Option<&str>) {
        let Ok(proc) = fs::File::open("/proc") else { return };
        for room in rooms {
            let doors: Vec<BorrowedFd<'_>> = user.into_iter().chain([room.as_fd()]).collect();
            let visited = visit::inside(&doors, || named_inside(proc.as_fd()));
            let Ok(visit::Findings { bytes, fds }) = visited else { continue };
            let names: Vec<String> = serde_json::from_slice(&bytes).unwrap_or_default();
            for (file, fd) in names.into_iter().zip(fds) {
                let Ok(inode) = nsfs::inode(fd.as_fd()) else { continue };
                let found = self.entry(inode);
                if let (None, Some(machine), Some(name)) =
                    (&found.of_lab, machine, file.strip_prefix("/run/netns/"))
                {
                    found.road = Some(Road::Before(format!("{machine} ip netns exec {name}")));
                }
                if found.of_lab.is_none() && !found.files.iter().any(|known| known.ends_with(&file)) {
                    found.files.push(file);
                }
                found.fd.get_or_insert(fd);
            }
        }
    }

    /// Takes in the namespace that was asked for.
    pub(super) fn add_wanted(&mut self, ns: OwnedFd) -> Result<()> {
        let inode = inode(ns.as_fd())?;
        self.entry(inode).fd.get_or_insert(ns);
        self.wanted = Some(inode);
        Ok(())
    }

    /// The inode of the namespace that was asked for; the caller's own where none was.
    pub(crate) fn wanted(&self) -> u64 {
        self.wanted.unwrap_or(self.here)
    }

    /// Gives each a name: that of the lab, of a file, of a container, of the machine, of a process.
    pub(super) fn name_all(&mut self) {
        let mut labels = Labels::default();
        for found in self.found.values_mut() {
            found.files.sort_by_key(|file| (!file.starts_with("/run/netns/"), file.starts_with("/proc/")));
            found.holders.sort_by_key(|holder| (holder.by, holder.pid));
            if let Some(name) = &found.of_lab {
                labels.give(name.as_str());
            }
        }
        // Those with a file first, and before all what ip-netns(8) has named: nobody else may take their names.
        let mut order: Vec<u64> = self.found.keys().copied().collect();
        order.sort_by_key(|inode| {
            let found = &self.found[inode];
            let is_unnamed = (!found.is_named(), found.files.is_empty(), found.container.is_none());
            (*inode != self.here, is_unnamed, *inode)
        });
        for inode in order {
            let is_here = inode == self.here;
            let found = self.entry(inode);
            let name = found.of_lab.clone().unwrap_or_else(|| Ns::Node(name(found, is_here, &mut labels)));
            self.entry(inode).name = Some(name);
        }
    }
}

fn name(found: &Found, is_here: bool, labels: &mut Labels) -> NodeName {
    let file =
        found.files.first().and_then(|file| Path::new(file).file_name()).and_then(|name| name.to_str());
    let text = match (file, &found.container, found.holders.first()) {
        (Some(file), ..) if !is_here => file.to_owned(),
        (_, Some(container), _) => container.replace(' ', "-"),
        (Some(file), ..) if file != "net" => file.to_owned(),
        _ if is_here => hostname(),
        (_, _, Some(holder)) => format!("{}-{}", holder.comm, holder.pid),
        _ => "ns".to_owned(),
    };
    labels.give(&text)
}

/// The inode and the path in a line about the mount of a network namespace.
fn named_namespace(line: &str) -> Option<(u64, String)> {
    let (head, tail) = line.split_once(" - ")?;
    tail.starts_with("nsfs ").then_some(())?;
    let mut words = head.split(' ').skip(3);
    let inode = inode_of_link(Path::new(words.next()?), "net")?;
    Some((inode, unescaped(words.next()?)))
}

/// Blanks, tabs, line ends and backslashes are written as `\040` and the like.
fn unescaped(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .into_iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

/// The namespaces that have a file in the mounts that this process has entered; `proc` is from outside.
fn named_inside(proc: BorrowedFd<'_>) -> visit::Findings {
    use rustix::fs::{Mode, OFlags, openat};
    use std::io::Read;
    let mut text = String::new();
    let opened = openat(proc, "self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    if let Ok(file) = opened {
        let _ = fs::File::from(file).read_to_string(&mut text);
    }
    let mut names = Vec::new();
    let mut found = visit::Findings::default();
    for (_, path) in text.lines().filter_map(named_namespace) {
        if let Ok(fd) = nsfs::open_network(Path::new(&path))
            && !names.contains(&path)
        {
            names.push(path);
            found.fds.push(fd);
        }
    }
    found.bytes = serde_json::to_vec(&names).unwrap_or_default();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_of_a_namespace_names_it() {
        let line = "72 27 0:4 net:[4026532201] /run/netns/my\\040pc rw shared:37 - nsfs nsfs rw";
        assert_eq!(named_namespace(line), Some((4_026_532_201, "/run/netns/my pc".to_owned())));
        assert_eq!(named_namespace(&line.replace("net:", "mnt:")), None);
        assert_eq!(named_namespace("27 1 0:24 / /run rw - tmpfs tmpfs rw"), None);
    }
}
