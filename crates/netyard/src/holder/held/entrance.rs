//! What whoever comes from outside is given of the lab: doors, sockets, namespaces.

use super::{HeldLab, copied};
use crate::error::{Error, Result};
use crate::holder::{files, sandbox};
use crate::own_folders::{self, OwnFolder};
use crate::probe::SocketKind;
use crate::protocol::{Entrance, NamespaceNames};
use netyard_core::name::NodeName;
use netyard_core::state::Ns;
use netyard_kernel::process::{Doors, Launch, LaunchError, Room};
use netyard_kernel::traveller::Traveller;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

impl HeldLab {
    /// The doors of a node, or of the fabric with `ip netns` knowing every node, for a program that is to see these
    /// folders with their owners. None when the lab would keep a room with the folders and needs their trees for that.
    pub(in crate::holder) fn enter(
        &mut self,
        node: Option<&NodeName>,
        folders: Vec<OwnFolder>,
        trees: Option<Vec<(OwnedFd, PathBuf)>>,
    ) -> Result<Option<(Entrance, Vec<OwnedFd>)>> {
        let (ns, env) = match node {
            Some(name) => {
                let env = self.node(name)?.env.clone().into_iter().collect();
                (Ns::Node(name.clone()), env)
            }
            None => {
                self.publish_namespaces()?;
                let first = self.namespaces.iter().next().map(|(ns, _)| ns.clone());
                let ns = first.ok_or_else(|| {
                    Error::input("U010", format!("lab `{}` has no node", self.spec.lab.name))
                })?;
                (ns, Vec::new())
            }
        };
        let net = self.namespace_of(&ns)?;
        if let Some((room, _)) = node.and_then(|node| self.full.room(node)) {
            return self.entrance_of_full(env, net, room).map(Some);
        }
        // Without a user namespace everybody owns what they own outside.
        let folders = if self.users.is_some() { folders } else { Vec::new() };
        let is_kept = !folders.is_empty() && folders.iter().all(OwnFolder::is_here);
        let Room { mounts, uts, .. } = if is_kept {
            match self.furnished_room(node, &net, &folders, trees)? {
                Some(room) => room,
                None => return Ok(None),
            }
        } else {
            self.room(node, &net)?
        };
        let mut fds = Vec::new();
        if let Some(users) = &self.users {
            fds.push(copied(&users.persons)?);
        }
        fds.extend([net, mounts, uts]);
        let lab = self.spec.lab.name.clone();
        let is_sandbox = self.spec.is_sandbox;
        let entrance = Entrance {
            lab,
            env,
            has_user_namespace: self.users.is_some(),
            is_full: false,
            stand_ins: (is_sandbox && node.is_some()).then(|| sandbox::SHOWN.into()),
            grants_setgroups: is_sandbox && sandbox::has_one_id(),
            lacks_folders: !folders.is_empty() && !is_kept,
        };
        Ok(Some((entrance, fds)))
    }

    /// The doors of a full node: who starts something there has the node's files and the ids of its programs.
    fn entrance_of_full(
        &self,
        env: Vec<(String, String)>,
        net: OwnedFd,
        room: &Room,
    ) -> Result<(Entrance, Vec<OwnedFd>)> {
        let mut fds = Vec::new();
        if let Some(users) = &self.users {
            fds.push(copied(&users.programs)?);
        }
        let Room { mounts, uts, own } = copied_room(room)?;
        fds.extend([net, mounts, uts]);
        fds.extend(own.into_iter().flat_map(|own| [own.pid, own.ipc, own.cgroup]));
        let entrance = Entrance {
            lab: self.spec.lab.name.clone(),
            env,
            has_user_namespace: self.users.is_some(),
            is_full: true,
            stand_ins: None,
            grants_setgroups: sandbox::has_one_id(),
            lacks_folders: false,
        };
        Ok((entrance, fds))
    }

    /// The room of a node with these folders; none where it is to be made, and their trees are missing.
    fn furnished_room(
        &mut self,
        node: Option<&NodeName>,
        net: &OwnedFd,
        folders: &[OwnFolder],
        trees: Option<Vec<(OwnedFd, PathBuf)>>,
    ) -> Result<Option<Room>> {
        if let Some(room) = self.rooms.furnished(node, folders) {
            return copied_room(room).map(Some);
        }
        let Some(trees) = trees else { return Ok(None) };
        let plain = self.room(node, net)?;
        let user = self.users.as_ref().map(|users| users.persons.as_fd());
        let trees = own_folders::places(trees);
        let room = plain.furnished(user, &trees).map_err(|e| not_arranged(&e))?;
        let result = copied_room(&room)?;
        self.rooms.keep_furnished(node, folders, trees, room);
        Ok(Some(result))
    }

    /// The mounts and the host name for what a person starts in a node, or among all nodes: arranged for the first
    /// program, and kept for those after it.
    fn room(&mut self, node: Option<&NodeName>, net: &OwnedFd) -> Result<Room> {
        if let Some(room) = self.rooms.plain(node) {
            return copied_room(room);
        }
        let (hostname, mounts) = match node {
            Some(name) => {
                let node = self.node(name)?;
                let failed = |e| Error::io(format!("cannot make the files of node `{name}`"), &e);
                // What is below the holder's /run is reached before the node's own /run covers it.
                let mut mounts =
                    if self.spec.is_sandbox { sandbox::mounts().map_err(failed)? } else { Vec::new() };
                mounts.extend(files::mounts_of_person(&self.spec.lab, node).map_err(failed)?);
                (node.hostname().to_owned(), mounts)
            }
            None => (self.spec.lab.name.to_string(), Vec::new()),
        };
        let launch = Launch { mounts, hostname: Some(hostname.clone()), ..Launch::default() };
        let user = self.users.as_ref().map(|users| users.persons.as_fd());
        let room = launch.room(&Doors { holder: None, user, net: Some(net.as_fd()), room: None });
        let room = room.map_err(|e| not_arranged(&e))?;
        let result = copied_room(&room);
        self.rooms.keep_plain(node, hostname, room);
        result
    }

    /// Binds every namespace below `/run/netns` of the holder's mount namespace, where `ip netns` finds them.
    fn publish_namespaces(&self) -> Result<()> {
        for (ns, fd) in self.namespaces.iter() {
            let target = Path::new(files::NETNS).join(ns.as_str());
            if !target.exists() {
                files::name_namespace(fd.as_fd(), &target)
                    .map_err(|e| Error::io(format!("cannot bind {}", target.display()), &e))?;
            }
        }
        Ok(())
    }

    /// Sockets made inside nodes.
    pub(in crate::holder) fn sockets(&self, wanted: &[(NodeName, SocketKind)]) -> Result<Vec<OwnedFd>> {
        // Those of daemons are not of a network namespace, but of files.
        if let [(node, SocketKind::Frr(daemon))] = wanted {
            self.node(node)?;
            let connection = self.full.connect(node, Path::new(daemon.socket()));
            return connection.map(|connection| vec![connection]).map_err(|error| {
                Error::kernel("K012", format!("{} does not run in node `{node}`", daemon.name()))
                    .note(format!("kernel: {}: {error}", daemon.socket()))
                    .help(format!("`frr: {{ daemons: [{}] }}` starts it in a node", daemon.name()))
            });
        }
        let mut rooms = Vec::with_capacity(wanted.len());
        for (node, kind) in wanted {
            rooms.push((node, *kind, self.namespace_of(&Ns::Node(node.clone()))?));
        }
        let made = Traveller::run(|traveller| {
            let mut sockets = Vec::with_capacity(rooms.len());
            for (node, kind, ns) in &rooms {
                let socket = traveller.enter(ns.as_fd()).and_then(|()| kind.open());
                sockets.push(socket.map_err(|error| no_socket(node, *kind, &error))?);
            }
            Ok(sockets)
        });
        made.map_err(|e| Error::io("cannot start a thread", &e))?
    }

    /// The network namespace of a node.
    pub(in crate::holder) fn namespace(&self, node: &NodeName) -> Result<OwnedFd> {
        self.namespace_of(&Ns::Node(node.clone()))
    }

    /// The network namespaces from that place on, the user namespace, and the mounts of rooms.
    pub(in crate::holder) fn all_namespaces(&self, after: usize) -> Result<(NamespaceNames, Vec<OwnedFd>)> {
        /// One message holds 253 descriptors.
        const AT_ONCE: usize = 200;
        const ROOMS_MAX: usize = 50;
        let all = self.namespaces.iter().count();
        let (mut names, mut fds) = (Vec::new(), Vec::new());
        for (ns, fd) in self.namespaces.iter().skip(after).take(AT_ONCE) {
            names.push(ns.clone());
            fds.push(fd.try_clone_to_owned().map_err(|e| Error::io("cannot copy a descriptor", &e))?);
        }
        if let Some(users) = &self.users {
            fds.push(copied(&users.persons)?);
        }
        for room in self.rooms.all_plain().take(ROOMS_MAX) {
            fds.push(copied(&room.mounts)?);
        }
        Ok((NamespaceNames { names, all, has_user_namespace: self.users.is_some() }, fds))
    }

    fn namespace_of(&self, ns: &Ns) -> Result<OwnedFd> {
        let Some(fd) = self.namespaces.fd(ns) else {
            if let Ns::Node(name) = ns {
                self.node(name)?;
            }
            return Err(Error::kernel("K010", format!("`{ns}` has no namespace")));
        };
        fd.try_clone_to_owned().map_err(|e| Error::io("cannot copy a descriptor", &e))
    }
}

fn copied_room(room: &Room) -> Result<Room> {
    room.try_clone().map_err(|e| Error::io("cannot copy a descriptor", &e))
}

/// A room that cannot be made.
fn not_arranged(error: &LaunchError) -> Error {
    Error::io(format!("cannot {}", error.doing), &error.source)
}

/// A socket that a node does not give.
fn no_socket(node: &NodeName, kind: SocketKind, error: &std::io::Error) -> Error {
    let is_ping = matches!(kind, SocketKind::Icmp4 | SocketKind::Icmp6);
    let result = Error::io(format!("cannot open a socket in node `{node}`"), error);
    if !is_ping || error.kind() != std::io::ErrorKind::PermissionDenied {
        return result;
    }
    // Only in the machine's own namespace: nodes of the lab have it open.
    result.note("`net.ipv4.ping_group_range` of this machine lets nobody ping without privilege").help(
        "`sysctl -w net.ipv4.ping_group_range=\"0 0\"` allows root; netyard changes no sysctl of the machine",
    )
}
