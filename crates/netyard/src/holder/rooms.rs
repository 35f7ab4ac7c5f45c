//! What programs of persons live in: mounts and host names, arranged for the first program and kept for the others.

use crate::own_folders::OwnFolder;
use netyard_core::name::NodeName;
use netyard_kernel::process::Room;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::CString;
use std::os::fd::OwnedFd;

/// How many rooms with folders of root's are kept, of all nodes together; the oldest goes first.
const FURNISHED_MAX: usize = 32;

/// All rooms of a lab. A node of none stands for the lab as a whole.
#[derive(Default)]
pub(super) struct Rooms {
    /// With the host name that they have.
    plain: BTreeMap<Option<NodeName>, (String, Room)>,
    /// Those that show folders of root's besides.
    furnished: VecDeque<Furnished>,
}

struct Furnished {
    node: Option<NodeName>,
    folders: Vec<OwnFolder>,
    room: Room,
    /// Whoever removes a folder takes its mount away too. While this is open, the folder made in its place has another
    /// number, and is not taken for it.
    _trees: Vec<(OwnedFd, CString)>,
}

impl Rooms {
    pub(super) fn plain(&self, node: Option<&NodeName>) -> Option<&Room> {
        self.plain.get(&node.cloned()).map(|(_, room)| room)
    }

    pub(super) fn all_plain(&self) -> impl Iterator<Item = &Room> {
        self.plain.values().map(|(_, room)| room)
    }

    pub(super) fn keep_plain(&mut self, node: Option<&NodeName>, hostname: String, room: Room) {
        self.plain.insert(node.cloned(), (hostname, room));
    }

    /// Forgets the rooms of nodes that are not as `is_good` wants them, by name and host name.
    pub(super) fn retain_plain(&mut self, mut is_good: impl FnMut(&NodeName, &str) -> bool) {
        self.plain.retain(|node, (hostname, _)| node.as_ref().is_none_or(|node| is_good(node, hostname)));
        self.furnished.retain(|room| self.plain.contains_key(&room.node));
    }

    /// The room with exactly these folders.
    pub(super) fn furnished(&self, node: Option<&NodeName>, folders: &[OwnFolder]) -> Option<&Room> {
        let is_it = |room: &&Furnished| room.node.as_ref() == node && room.folders == folders;
        self.furnished.iter().find(is_it).map(|found| &found.room)
    }

    pub(super) fn keep_furnished(
        &mut self,
        node: Option<&NodeName>,
        folders: &[OwnFolder],
        trees: Vec<(OwnedFd, CString)>,
        room: Room,
    ) {
        if self.furnished.len() >= FURNISHED_MAX {
            self.furnished.pop_front();
        }
        let (node, folders) = (node.cloned(), folders.to_vec());
        self.furnished.push_back(Furnished { node, folders, room, _trees: trees });
    }
}
