//! What is written is read again, and other bytes are refused.

use super::*;
use crate::packet::Way;

fn file() -> Vec<u8> {
    let about = Interface {
        name: "router:eth1",
        description: "veth",
        filter: "icmp",
        link_type: LinkType::Ethernet,
        snap: 96,
    };
    let comments = ["masqueraded by node router".to_owned(), "and more".to_owned()];
    let seen = Packet {
        interface: 0,
        at_ns: 1_700_000_000_123_456_789,
        way: Way::Out,
        is_checksum_missing: true,
        bytes: b"hello",
        len: 1500,
        comments: &comments,
    };
    let numbers =
        Statistics { interface: 0, time_ns: (1, 2), delivered: 1, dropped: Some(7), comment: "of all" };
    let addresses =
        [("10.0.0.1".parse().unwrap(), "pc".to_owned()), ("fd00::1".parse().unwrap(), "router".to_owned())];
    [section("home", "netyard"), interface(&about), names(&addresses), packet(&seen), statistics(&numbers)]
        .concat()
}

#[test]
fn what_is_written_is_read() {
    let read = blocks(&file()).unwrap();
    assert_eq!(
        read,
        [
            Block::Section { comment: "home".to_owned() },
            Block::Interface {
                name: "router:eth1".to_owned(),
                description: "veth".to_owned(),
                filter: "icmp".to_owned(),
                link_type: 1,
                snap: 96,
            },
            Block::Names(vec![
                ("10.0.0.1".parse().unwrap(), "pc".to_owned()),
                ("fd00::1".parse().unwrap(), "router".to_owned()),
            ]),
            Block::Packet {
                interface: 0,
                at_ns: 1_700_000_000_123_456_789,
                flags: 2 | 1 << 9,
                bytes: b"hello".to_vec(),
                len: 1500,
                comments: vec!["masqueraded by node router".to_owned(), "and more".to_owned()],
            },
            Block::Statistics { interface: 0, delivered: 1, dropped: Some(7) },
        ]
    );
}

#[test]
fn cut_and_broken_files_are_refused_not_misread() {
    let file = file();
    let whole = blocks(&file).unwrap();
    for len in 0..file.len() {
        match blocks(&file[..len]) {
            // A file may end after any block.
            Ok(read) => assert_eq!(read, whole[..read.len()]),
            Err(Malformed { at }) => assert!(at <= len),
        }
        let mut broken = file.clone();
        broken[len] ^= 0xff;
        let _ = blocks(&broken);
    }
    assert_eq!(blocks(b"not a capture at all"), Err(Malformed { at: 0 }));
}
