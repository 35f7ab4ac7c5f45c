//! Lets the kernel itself tell which packets it drops, and why (`--deep`).

use super::Trace;
use crate::deep::{self, Deep, Told};
use netyard_core::packet::Frame;
use netyard_core::trace::KernelDrop;
use netyard_core::trace::packet::Packet;

/// The most drops that are kept in mind.
const DROPS_MAX: usize = 10_000;

impl Trace {
    /// Asks the kernel to tell of the packets that it drops from now on. Where it does not, a note says why, and the trace
    /// goes on without.
    pub fn deepen(&mut self) {
        let read = self.look.namespaces.iter().filter(|seen| seen.unread.is_none());
        let namespaces = read.map(|seen| seen.inode).collect();
        match deep::open(&deep::Wanted { namespaces, ..deep::Wanted::default() }) {
            Deep::Tells(reasons) => self.deep = Some(reasons),
            Deep::Absent(why) => {
                self.notes.push(format!("the kernel does not tell why it drops packets: {why}"))
            }
        }
    }

    /// Takes in what the kernel has told.
    pub(super) fn hear_kernel(&mut self) {
        let Some(reasons) = &mut self.deep else { return };
        let is_vxlan = |port: u16| self.vxlan_ports.contains(&port);
        let drops = &mut self.follower.known().drops;
        for told in reasons.read() {
            let Told::Dropped(dropped) = told else { continue };
            let seen = self.look.namespaces.iter().find(|seen| seen.inode == dropped.inode);
            let Some(node) = seen.map(|seen| seen.name.clone()).filter(|_| !dropped.is_benign()) else {
                continue;
            };
            let frame = Frame::cooked(dropped.ethertype, &dropped.bytes, dropped.len as usize);
            let packet = Packet::read(&frame, &is_vxlan);
            drops.push(KernelDrop { node, packet, dropped });
        }
        let excess = drops.len().saturating_sub(DROPS_MAX);
        drops.drain(..excess);
    }

    /// That drops were not told of, where some were not.
    pub(super) fn untold(&self) -> Option<String> {
        let lost = self.deep.as_ref().map_or(0, |reasons| reasons.lost());
        (lost > 0).then(|| format!("{lost} dropped packets were not told of: nobody read in time"))
    }
}
