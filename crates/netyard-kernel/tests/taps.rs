//! Taps: what passes the links of a namespace, as the kernel shows it to those who look.

mod support;

use netyard_core::filter::Instruction;
use netyard_kernel::capture::Way;
use netyard_kernel::netns;
use netyard_kernel::tap::{self, Settings, Tap};
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};
use support::{in_netns, lo_up};

/// A frame as a test remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seen {
    at_ns: u64,
    index: u32,
    way: Way,
    ethertype: u16,
    len: u32,
    bytes: Vec<u8>,
    network_at: usize,
}

fn open(snap: u32, filter: &[Instruction]) -> Tap {
    let opened = tap::open(Settings { ring_len: 1 << 20, snap, filter }).expect("a tap is opened");
    assert!(!opened.is_smaller);
    Tap::new(opened.fd, opened.shape).expect("its ring is mapped")
}

/// Reads until `count` frames have come, for ten seconds at most.
fn read(tap: &mut Tap, count: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    let end = Instant::now() + Duration::from_secs(10);
    while seen.len() < count && Instant::now() < end {
        let mut fds = [rustix::event::PollFd::new(tap, rustix::event::PollFlags::IN)];
        let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        rustix::event::poll(&mut fds, Some(&limit)).expect("poll waits");
        tap.read(|frame| {
            seen.push(Seen {
                at_ns: frame.at_ns,
                index: frame.index,
                way: frame.way,
                ethertype: frame.ethertype,
                len: frame.len,
                bytes: frame.bytes.to_vec(),
                network_at: frame.network_at,
            });
        });
    }
    seen
}

fn send(payload: &[u8], count: usize) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
    let to = socket.local_addr().expect("it is bound");
    for _ in 0..count {
        socket.send_to(payload, to).expect("it is sent");
    }
    socket
}

/// `ret #K`
fn answer(bytes: u32) -> Instruction {
    Instruction::new(0x06, bytes)
}

#[test]
fn a_frame_is_seen_going_out_and_coming_in() {
    in_netns(|| {
        lo_up();
        let mut tap = open(65_536, &[]);
        let before = std::time::SystemTime::now();
        let _socket = send(b"hello", 1);
        let seen = read(&mut tap, 2);
        let [out, back] = &seen[..] else { panic!("two frames, not {seen:?}") };
        assert_eq!((out.way, back.way), (Way::Out, Way::In));
        for frame in [out, back] {
            assert_eq!((frame.index, frame.ethertype, frame.network_at), (1, 0x0800, 14));
            assert_eq!((frame.len, frame.bytes.len()), (14 + 20 + 8 + 5, 14 + 20 + 8 + 5));
            assert_eq!(&frame.bytes[42..], b"hello");
            let sent_ns = before.duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_nanos();
            assert!((0..10_000_000_000).contains(&(i128::from(frame.at_ns) - sent_ns as i128)), "{frame:?}");
        }
        assert!(out.at_ns <= back.at_ns);
        let counts = tap.counts().expect("they are counted");
        assert_eq!((counts.passed, counts.dropped), (2, 0));
    });
}

#[test]
fn a_filter_decides_what_is_kept_and_how_much() {
    in_netns(|| {
        lo_up();
        let (mut none, mut few) = (open(65_536, &[answer(0)]), open(256, &[answer(40)]));
        let _socket = send(&[7; 1000], 3);
        let seen = read(&mut few, 6);
        assert_eq!(seen.len(), 6);
        assert!(seen.iter().all(|frame| frame.bytes.len() == 40 && frame.len == 1042), "{seen:?}");
        assert_eq!(few.counts().expect("they are counted").passed, 6);
        none.read(|frame| panic!("{frame:?}"));
        assert_eq!(none.counts().expect("they are counted").passed, 0);
    });
}

#[test]
fn the_language_of_filters_runs_in_the_kernel() {
    in_netns(|| {
        lo_up();
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let six = UdpSocket::bind("[::1]:0").expect("a port is free");
        let (port, other) =
            (socket.local_addr().expect("it is").port(), six.local_addr().expect("it is").port());
        // How many of the two datagrams each wants.
        let wanted = [
            (format!("udp dst port {port}"), 1),
            (format!("portrange {port}-{port} and host 127.0.0.1"), 1),
            (format!("src net 127.0.0.0/8 and not port {other}"), 1),
            (format!("ip6 and udp port {other} and host ::1"), 1),
            ("udp".to_owned(), 2),
            ("not udp".to_owned(), 0),
            ("tcp or icmp or arp".to_owned(), 0),
            ("ether host 00:00:00:00:00:00".to_owned(), 2),
            ("broadcast".to_owned(), 0),
        ];
        let mut taps: Vec<Tap> = wanted
            .iter()
            .map(|(text, _)| netyard_core::filter::Filter::parse(text).expect("it is a filter"))
            .map(|filter| open(65_536, &filter.program(65_536).expect("it is short")))
            .collect();
        socket.send_to(b"four", ("127.0.0.1", port)).expect("it is sent");
        six.send_to(b"six", ("::1", other)).expect("it is sent");
        for ((text, count), tap) in wanted.iter().zip(&mut taps) {
            // Each goes out and comes in.
            assert_eq!(tap.counts().expect("they are counted").passed, 2 * count, "{text}");
            let count = usize::try_from(2 * count).expect("few");
            assert_eq!(read(tap, count).len(), count, "{text}");
        }
    });
}

#[test]
fn what_finds_no_room_is_counted() {
    const SENT: usize = 20_000;
    in_netns(|| {
        lo_up();
        let opened =
            tap::open(Settings { ring_len: 65_536, snap: 256, filter: &[answer(256)] }).expect("it opens");
        let mut tap = Tap::new(opened.fd, opened.shape).expect("its ring is mapped");
        let _socket = send(&[7; 1000], SENT);
        let mut kept = 0;
        tap.read(|_| kept += 1);
        let counts = tap.counts().expect("they are counted");
        assert_eq!(counts.passed, 2 * SENT as u64);
        assert!(counts.dropped > 0 && kept > 0, "{counts:?}, {kept} kept");
        // What is in the block that is being filled comes when it is full or old.
        let rest = read(&mut tap, usize::try_from(counts.passed - counts.dropped).expect("few") - kept);
        assert_eq!((kept + rest.len()) as u64, counts.passed - counts.dropped);
    });
}

#[test]
fn three_hundred_namespaces_are_tapped_at_once() {
    const COUNT: usize = 300;
    in_netns(|| {
        let namespaces = netns::create(None, &vec![Vec::new(); COUNT]).expect("namespaces are made");
        let places: Vec<BorrowedFd<'_>> = namespaces.iter().map(|one| one.fd.as_fd()).collect();
        let filter = [answer(256)];
        let mut best = Duration::MAX;
        for _ in 0..3 {
            let start = Instant::now();
            let opened = tap::open_in(&places, Settings { ring_len: 256 << 10, snap: 256, filter: &filter });
            let open = start.elapsed();
            let taps: Vec<Tap> = opened
                .into_iter()
                .map(|one| one.expect("each opens"))
                .map(|one| Tap::new(one.fd, one.shape).expect("each is mapped"))
                .collect();
            assert_eq!(taps.len(), COUNT);
            let mapped = start.elapsed();
            tap::close_all(taps);
            let all = start.elapsed();
            println!(
                "{COUNT} taps: opened in {open:?}, mapped {:?}, closed in {:?}",
                mapped - open,
                all - mapped
            );
            best = best.min(all);
        }
        assert!(best < Duration::from_secs(2), "opening and closing {COUNT} taps took {best:?}");
    });
}
