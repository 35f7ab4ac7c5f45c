//! What the kernel itself says of packets that it drops: `--deep`.
//!
//! Three small programs at tracepoints of the kernel (`bpf/drops.bpf.c`, kept compiled beside its source) tell of each packet
//! of some namespaces that is dropped and, where asked for, that leaves or comes in. It takes CAP_BPF and CAP_PERFMON,
//! which root of the machine has, and a kernel that tells of its types (BTF); where either lacks, that is said, and all else
//! works without.

use netyard_core::dropped::Dropped;
use netyard_kernel::bpf::{Attached, Btf, Kind, Map, Object, Ring, Symbols};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

static OBJECT: &[u8] = include_bytes!("../bpf/drops.bpf.o");

/// Bytes of the ring, and entries of the maps, as the program has them.
const RING_LEN: usize = 1 << 20;
const NAMESPACES_MAX: u32 = 8192;
const ADDRESSES_MAX: u32 = 64;

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The inodes of the namespaces.
    pub namespaces: Vec<u64>,
    /// Packets from or to one of these addresses; all packets where none is given.
    pub addresses: Vec<IpAddr>,
    /// Whether packets that leave and come in are told of too.
    pub with_passing: bool,
}

/// What has come of asking.
#[derive(Debug)]
pub enum Deep {
    /// The kernel tells.
    Tells(Box<DropReasons>),
    /// It does not, for this reason.
    Absent(String),
}

/// Hears of dropped packets. What is heard ends with this value.
#[derive(Debug)]
pub struct DropReasons {
    ring: Ring,
    /// `[1]`: how many found no room.
    numbers: Map,
    names: Names,
    _attached: Vec<Attached>,
}

/// What has happened to a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It was dropped.
    Dropped(Dropped),
    /// It left by an interface, or came in by one.
    Passed(Passed),
}

/// A packet that passed an interface. The kernel has it at the same place as long as it stays in a namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The inode of the namespace.
    pub inode: u64,
    /// The number of the interface.
    pub ifindex: u32,
    /// Where the kernel had it in memory.
    pub skb: u64,
    /// Whether it left.
    pub is_out: bool,
    /// What it was (IEEE 802 numbers).
    pub ethertype: u16,
    /// From the network header on.
    pub bytes: Vec<u8>,
}

/// Asks the kernel to tell.
///
/// Same as `bpftrace -e 'tracepoint:skb:kfree_skb { ... }'`, and as dropwatch(1).
#[must_use]
pub fn open(wanted: &Wanted) -> Deep {
    match attach(wanted) {
        Ok(reasons) => Deep::Tells(Box::new(reasons)),
        Err(error) => Deep::Absent(absence(&error)),
    }
}

/// Why the kernel does not tell, and what would help.
fn absence(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::PermissionDenied if error.raw_os_error().is_some() => {
            "it takes CAP_BPF and CAP_PERFMON, which only root of the machine has: run as root".to_owned()
        }
        io::ErrorKind::NotFound if error.raw_os_error().is_some() => {
            "this kernel does not tell of its types (/sys/kernel/btf/vmlinux is missing: CONFIG_DEBUG_INFO_BTF)"
                .to_owned()
        }
        io::ErrorKind::Unsupported => "this kernel has no bpf(2)".to_owned(),
        _ => error.to_string(),
    }
}

fn attach(wanted: &Wanted) -> io::Result<DropReasons> {
    // The cheapest question first: who may not even make a map need not read anything.
    let events = Map::new(Kind::RingBuffer, 0, 0, RING_LEN as u32)?;
    let namespaces = Map::new(Kind::Hash, 4, 1, NAMESPACES_MAX)?;
    let addresses = Map::new(Kind::Hash, 16, 1, ADDRESSES_MAX)?;
    let numbers = Map::new(Kind::Array, 4, 8, 2)?;
    for inode in &wanted.namespaces {
        // The kernel numbers namespaces with 32 bits.
        namespaces.set(&(*inode as u32).to_ne_bytes(), &[1])?;
    }
    for address in wanted.addresses.iter().take(ADDRESSES_MAX as usize) {
        let key = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        addresses.set(&key, &[1])?;
    }
    let is_filtered = !wanted.addresses.is_empty() && wanted.addresses.len() <= ADDRESSES_MAX as usize;
    numbers.set(&0u32.to_ne_bytes(), &u64::from(is_filtered).to_ne_bytes())?;
    let kernel = Btf::of_kernel()?;
    let object = Object::read(OBJECT)?;
    let maps =
        [("events", &events), ("namespaces", &namespaces), ("addresses", &addresses), ("numbers", &numbers)];
    let mut attached = vec![object.attach("kfree_skb", &kernel, &maps)?];
    if wanted.with_passing {
        attached.push(object.attach("net_dev_queue", &kernel, &maps)?);
        attached.push(object.attach("netif_receive_skb", &kernel, &maps)?);
    }
    let reasons = kernel.values("skb_drop_reason").into_iter();
    let reasons = reasons.map(|(number, name)| {
        let word = name.strip_prefix("SKB_DROP_REASON_").or_else(|| name.strip_prefix("SKB_"));
        (number, word.unwrap_or(&name).to_owned())
    });
    // Read now: while packets pass there is no time for it.
    let names = Names { reasons: reasons.collect(), functions: Symbols::read().unwrap_or_default() };
    Ok(DropReasons { ring: Ring::new(events, RING_LEN)?, numbers, names, _attached: attached })
}

impl DropReasons {
    /// All that has been told since the last time. Never waits; the descriptor can be polled.
    pub fn read(&mut self) -> Vec<Told> {
        let since_boot = since_boot_to_1970();
        let mut records = Vec::new();
        self.ring.read(|bytes| records.extend(Record::read(bytes)));
        records.into_iter().map(|record| self.told(record, since_boot)).collect()
    }

    fn told(&self, record: Record, since_boot: Duration) -> Told {
        let at_ns = record.time_ns + u64::try_from(since_boot.as_nanos()).unwrap_or(0);
        let (inode, ethertype, skb) = (u64::from(record.netns), record.ethertype, record.skb);
        match record.kind {
            RecordKind::Dropped => Told::Dropped(Dropped {
                at_ns,
                inode,
                ifindex: (record.ifindex != 0).then_some(record.ifindex),
                skb,
                reason: self.names.reason(record.reason),
                function: self.names.functions.at(record.location).map(str::to_owned),
                ethertype,
                len: record.len,
                bytes: record.bytes,
            }),
            RecordKind::Sent | RecordKind::Received => Told::Passed(Passed {
                at_ns,
                inode,
                ifindex: record.ifindex,
                skb,
                is_out: record.kind == RecordKind::Sent,
                ethertype,
                bytes: record.bytes,
            }),
        }
    }

    /// How many packets were not told of because nobody read in time.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let value = self.numbers.get(&1u32.to_ne_bytes()).unwrap_or_default();
        value.try_into().map_or(0, u64::from_ne_bytes)
    }
}

impl AsFd for DropReasons {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }
}

/// Words for the kernel's numbers.
#[derive(Debug)]
struct Names {
    reasons: BTreeMap<u32, String>,
    functions: Symbols,
}

impl Names {
    fn reason(&self, number: u32) -> String {
        self.reasons.get(&number).cloned().unwrap_or_else(|| number.to_string())
    }
}

/// What the program writes (`struct record` of bpf/drops.bpf.c).
struct Record {
    time_ns: u64,
    skb: u64,
    location: u64,
    reason: u32,
    netns: u32,
    ifindex: u32,
    len: u32,
    ethertype: u16,
    kind: RecordKind,
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RecordKind {
    Dropped,
    Sent,
    Received,
}

impl Record {
    fn read(bytes: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let long = |at: usize| Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let count = usize::from(*bytes.get(43)?);
        Some(Self {
            time_ns: long(0)?,
            skb: long(8)?,
            location: long(16)?,
            reason: word(24)?,
            netns: word(28)?,
            ifindex: word(32)?,
            len: word(36)?,
            ethertype: u16::from_be_bytes([*bytes.get(40)?, *bytes.get(41)?]),
            kind: match bytes.get(42)? {
                0 => RecordKind::Dropped,
                1 => RecordKind::Sent,
                _ => RecordKind::Received,
            },
            bytes: bytes.get(48..48 + count)?.to_vec(),
        })
    }
}

/// What has to be added to the kernel's clock, which counts from its start, to have the time of day.
fn since_boot_to_1970() -> Duration {
    let monotonic = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let monotonic = Duration::new(monotonic.tv_sec.unsigned_abs(), monotonic.tv_nsec as u32);
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(monotonic)
}
