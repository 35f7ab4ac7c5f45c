//! Packets as they are on the wire, and bytes that are none.

use super::{Frame, IPV4, IPV6, Icmp, IcmpKind, Ip, TcpFlags};

fn v4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(20 + payload.len()).unwrap();
    let mut bytes = vec![0x45, 0, 0, len, 0, 7, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 1, 1, 1, 1];
    bytes.extend(payload);
    bytes
}

fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0, 0, u8::try_from(payload.len()).unwrap(), next, 64];
    bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    bytes.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
    bytes.extend(payload);
    bytes
}

const SYN: [u8; 24] =
    [3, 0xe8, 0, 80, 0, 0, 0, 9, 0, 0, 0, 5, 0x60, 0x12, 0xfa, 0xf0, 0, 0, 0, 0, 2, 4, 5, 0xb4];

#[test]
fn a_segment_has_numbers_flags_and_options() {
    let bytes = v4(6, &[&SYN[..], b"data"].concat());
    let segment = Ip::v4(&bytes).unwrap().segment().unwrap();
    assert_eq!((segment.from, segment.to, segment.seq, segment.ack), (1000, 80, 9, 5));
    assert!(segment.flags.has(TcpFlags::SYN | TcpFlags::ACK) && !segment.flags.has(TcpFlags::FIN));
    assert_eq!(segment.flags.to_string(), "SYN ACK");
    assert_eq!((segment.options, segment.payload, segment.payload_len), (&SYN[20..], &b"data"[..], 4));
}

#[test]
fn extension_headers_and_fragments_of_ipv6() {
    let hop_by_hop = [44, 0, 5, 2, 0, 0, 1, 0];
    let fragment = [60, 0, 0, 1, 1, 2, 3, 4];
    let destination = [6, 0, 1, 4, 0, 0, 0, 0];
    let bytes = v6(0, &[&hop_by_hop[..], &fragment, &destination, &SYN].concat());
    let ip = Ip::v6(&bytes).unwrap();
    assert_eq!((ip.protocol, ip.id, ip.offset, ip.more_follow), (6, 0x0102_0304, 0, true));
    assert!(ip.has_options && ip.is_fragment());
    assert_eq!((ip.ports(), ip.payload_len), (Some((1000, 80)), SYN.len()));
    // A later piece has no header of its own.
    let later = [6, 0, 0x05, 0xa8, 1, 2, 3, 4];
    let bytes = v6(44, &[&later[..], &SYN].concat());
    let ip = Ip::v6(&bytes).unwrap();
    assert_eq!((ip.protocol, ip.offset, ip.more_follow, ip.ports()), (6, 0x05a8, false, None));
    assert!(ip.segment().is_none());
}

#[test]
fn errors_quote_what_they_are_about() {
    let quoted = v4(17, &[0, 9, 0, 53, 0, 8, 0, 0]);
    let bytes = v4(1, &[&[3, 4, 0, 0, 0, 0, 5, 0xa0][..], &quoted].concat());
    let Some(Icmp { number: 3, code: 4, kind: IcmpKind::Error { quoted: Some(about), mtu, .. } }) =
        Ip::v4(&bytes).unwrap().icmp()
    else {
        panic!("an error with its packet")
    };
    assert_eq!((about.ports(), mtu), (Some((9, 53)), Some(1440)));

    let quoted = v6(6, &SYN[..8]);
    let bytes = v6(58, &[&[2, 0, 0, 0, 0, 0, 5, 0][..], &quoted].concat());
    let Some(Icmp { kind: IcmpKind::Error { quoted: Some(about), mtu: Some(1280), .. }, .. }) =
        Ip::v6(&bytes).unwrap().icmp()
    else {
        panic!("an error with its packet")
    };
    assert_eq!(about.ports(), Some((1000, 80)));
}

#[test]
fn echoes_and_neighbour_discovery() {
    let bytes = v4(1, &[8, 0, 0, 0, 0, 5, 0, 6, 1, 2]);
    let Some(Icmp { kind: IcmpKind::Echo { is_request: true, id: 5, seq: 6, payload: [1, 2] }, .. }) =
        Ip::v4(&bytes).unwrap().icmp()
    else {
        panic!("an echo request")
    };
    let mut question = vec![135, 0, 0, 0, 0, 0, 0, 0];
    question.extend("fd00::2".parse::<std::net::Ipv6Addr>().unwrap().octets());
    question.extend([14, 1, 0, 0, 0, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 1]);
    let bytes = v6(58, &question);
    let Some(Icmp { kind: IcmpKind::Solicitation { target, mac }, .. }) = Ip::v6(&bytes).unwrap().icmp()
    else {
        panic!("a solicitation")
    };
    assert_eq!((target.to_string().as_str(), mac), ("fd00::2", Some([2, 0, 0, 0, 0, 1])));
}

#[test]
fn a_frame_in_a_tunnel() {
    let mut inner = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    inner.extend(v4(6, &SYN));
    let len = u8::try_from(16 + inner.len()).unwrap();
    let outer = [&[0xc0, 0, 0x12, 0xb5, 0, len, 0, 0, 8, 0, 0, 0, 0, 0, 42, 0][..], &inner].concat();
    let bytes = v4(17, &outer);
    let tunnelled = Ip::v4(&bytes).unwrap().vxlan().unwrap();
    assert_eq!(tunnelled.network, 42);
    assert_eq!(tunnelled.inner.ip().unwrap().ports(), Some((1000, 80)));
}

#[test]
fn what_is_longer_than_a_length_field_has_the_length_of_its_frame() {
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    bytes.extend(v4(6, &SYN));
    bytes[16..18].fill(0);
    let ip = Frame::ethernet(&bytes, 14 + 180_000).unwrap().ip().unwrap();
    assert_eq!(ip.len, 180_000);
    assert_eq!(ip.segment().unwrap().payload_len, 180_000 - 20 - 24);
    let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x86, 0xdd];
    bytes.extend(v6(6, &SYN));
    bytes[18..20].fill(0);
    let ip = Frame::ethernet(&bytes, 14 + 40 + 90_000).unwrap().ip().unwrap();
    assert_eq!(ip.segment().unwrap().payload_len, 90_000 - 24);
}

/// Reads all that can be read.
fn read(bytes: &[u8], depth: u32) {
    let Some(frame) = Frame::ethernet(bytes, bytes.len()) else { return };
    let _ = frame.arp();
    let packets = [frame.ip(), Ip::v4(bytes), Ip::v6(bytes)];
    for ip in packets.into_iter().flatten() {
        assert!(ip.payload.len() <= bytes.len());
        let _ = (ip.ports(), ip.segment(), ip.datagram(), ip.icmp(), ip.is_fragment());
        let _ = ip.checksum(16);
        if let Some(tunnelled) = ip.vxlan().filter(|_| depth > 0) {
            read(tunnelled.inner.payload, depth - 1);
        }
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_break_a_reader(bytes in proptest::collection::vec(0u8.., 0..200), kind in 0usize..8) {
        read(&bytes, 2);
        let mut shaped = vec![0; 12];
        let ethertype = if kind < 4 { IPV4 } else { IPV6 };
        shaped.extend(ethertype.to_be_bytes());
        let protocol = [1, 6, 17, 58, 0, 44, 60, 17][kind];
        shaped.extend(if kind < 4 { v4(protocol, &bytes) } else { v6(protocol, &bytes) });
        read(&shaped, 2);
    }
}
