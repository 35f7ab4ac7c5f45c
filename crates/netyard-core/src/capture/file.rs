//! The bytes of a capture file, as they come.

use super::{Place, Sighting};
use crate::pcapng::{self, Interface, LinkType, Packet, Statistics};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Writes pcapng: one interface for each place.
#[derive(Debug)]
pub struct File {
    snap: u32,
    filter: String,
    begun_ns: u64,
    /// The number of each place and kind of header in the file, and packets of it.
    interfaces: HashMap<(usize, LinkType), (u32, u64)>,
}

/// How a capture ended.
#[derive(Debug, Clone, Copy)]
pub struct End<'a> {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// Frames that were lost, by namespace.
    pub dropped: &'a BTreeMap<String, u64>,
}

impl File {
    /// Begins a file; with its first bytes: the places that are known, by their numbers, and names of addresses.
    #[must_use]
    pub fn begin(
        title: &str,
        (filter, snap): (&str, u32),
        begun_ns: u64,
        names: &[(IpAddr, String)],
        places: &[(usize, &Place)],
    ) -> (Self, Vec<u8>) {
        let filter = filter.to_owned();
        let mut file = Self { snap, filter, begun_ns, interfaces: HashMap::new() };
        let application = concat!("netyard ", env!("CARGO_PKG_VERSION"));
        let mut bytes = pcapng::section(title, application);
        for (number, place) in places {
            bytes.extend(file.interface(*number, place.link_type, place));
        }
        if !names.is_empty() {
            bytes.extend(pcapng::names(names));
        }
        (file, bytes)
    }

    fn interface(&mut self, number: usize, link_type: LinkType, place: &Place) -> Vec<u8> {
        let index = u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX);
        self.interfaces.insert((number, link_type), (index, 0));
        pcapng::interface(&Interface {
            name: &place.name(),
            description: &place.description,
            filter: &self.filter,
            link_type,
            snap: self.snap,
        })
    }

    /// A frame, after its interface where that is seen for the first time.
    pub fn packet(&mut self, sighting: &Sighting, place: &Place, remarks: &[String]) -> Vec<u8> {
        let key = (sighting.place, sighting.link_type);
        let mut bytes = match self.interfaces.get(&key) {
            Some(_) => Vec::new(),
            None => self.interface(sighting.place, sighting.link_type, place),
        };
        let (index, count) = self.interfaces.get_mut(&key).expect("it was made above");
        *count += 1;
        bytes.extend(pcapng::packet(&Packet {
            interface: *index,
            at_ns: sighting.at_ns,
            way: sighting.way,
            is_checksum_missing: sighting.is_checksum_missing,
            bytes: &sighting.bytes,
            len: sighting.len,
            comments: remarks,
        }));
        bytes
    }

    /// The end: what became of the frames of each interface. Losses are those of a whole namespace, and told once.
    #[must_use]
    pub fn end(&self, places: &[Place], end: End<'_>) -> Vec<u8> {
        let mut numbers: Vec<_> = self.interfaces.iter().collect();
        numbers.sort_by_key(|(_, (index, _))| *index);
        let mut told: Vec<&str> = Vec::new();
        let mut bytes = Vec::new();
        for ((place, _), (index, delivered)) in numbers {
            let Some(place) = places.get(*place) else { continue };
            let node = place.node.as_str();
            let is_first = !told.contains(&node);
            told.push(node);
            let dropped = is_first.then(|| end.dropped.get(node).copied().unwrap_or(0));
            let comment = match dropped {
                Some(count) if count > 0 => format!("{count} frames of all interfaces of {node} were lost"),
                _ => String::new(),
            };
            bytes.extend(pcapng::statistics(&Statistics {
                interface: *index,
                time_ns: (self.begun_ns, end.at_ns),
                delivered: *delivered,
                dropped,
                comment: &comment,
            }));
        }
        bytes
    }
}
