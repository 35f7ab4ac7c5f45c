//! The program for the kernel against the predicate: on random filters and random frames they agree.

use super::{Direction, Filter, Flow, Instruction, Protocol, Remote};
use crate::packet::{ARP, Frame, IPV4, IPV6};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Runs a program as the kernel does (networking/filter.rst), on a frame with an Ethernet header.
fn run(program: &[Instruction], bytes: &[u8]) -> u32 {
    let (mut accumulator, mut index, mut cells) = (0u32, 0u32, [None::<u32>; 16]);
    let ethertype = u16::from_be_bytes([bytes[12], bytes[13]]);
    let load = |offset: u32, len: usize| -> Option<u32> {
        let start = match offset {
            0xffff_f000 => return Some(ethertype.into()),
            0xffff_f01c => return Some(1),
            at if at >= 0xfff0_0000 => (at - 0xfff0_0000) as usize + 14,
            at if at >= 0xffe0_0000 => (at - 0xffe0_0000) as usize,
            at => panic!("a load of {at:#x}"),
        };
        let bytes = bytes.get(start..start + len)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    };
    let mut at = 0;
    loop {
        let Instruction { code, yes, no, operand } = program[at];
        at += 1;
        let mut jump = |is_true: bool| at += usize::from(if is_true { yes } else { no });
        match code {
            0x20 | 0x28 | 0x30 | 0x40 | 0x48 | 0x50 => {
                let offset = if code & 0x40 != 0 { operand.wrapping_add(index) } else { operand };
                let len = [4, 2, 1][usize::from(code >> 3 & 3)];
                match load(offset, len) {
                    Some(value) => accumulator = value,
                    None => return 0,
                }
            }
            0xb1 => match load(operand, 1) {
                Some(value) => index = 4 * (value & 15),
                None => return 0,
            },
            0x60 => accumulator = cells[operand as usize].expect("a cell is written before it is read"),
            0x61 => index = cells[operand as usize].expect("a cell is written before it is read"),
            0x00 => accumulator = operand,
            0x01 => index = operand,
            0x02 => cells[operand as usize] = Some(accumulator),
            0x03 => cells[operand as usize] = Some(index),
            0x04 => accumulator = accumulator.wrapping_add(operand),
            0x0c => accumulator = accumulator.wrapping_add(index),
            0x54 => accumulator &= operand,
            0x64 => accumulator <<= operand,
            0x07 => index = accumulator,
            0x05 => at += operand as usize,
            0x15 => jump(accumulator == operand),
            0x35 => jump(accumulator >= operand),
            0x06 => return operand,
            other => panic!("an instruction {other:#x}"),
        }
    }
}

/// Numbers that look random (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }

    fn v4(&mut self) -> Ipv4Addr {
        self.one(&[[10, 0, 0, 1], [10, 0, 0, 2], [10, 1, 0, 1], [1, 1, 1, 1]]).into()
    }

    fn v6(&mut self) -> Ipv6Addr {
        self.one(&["fd00::1", "fd00::2", "fd00:1::1", "2001:db8::1"]).parse().unwrap()
    }

    fn port(&mut self) -> u16 {
        self.one(&[53, 80, 443, 1000, 4789])
    }

    fn transport(&mut self, protocol: u8) -> Vec<u8> {
        match protocol {
            6 | 17 => [self.port().to_be_bytes(), self.port().to_be_bytes(), [0, 8], [0, 0]].concat(),
            1 => vec![self.one(&[0, 3, 5, 8, 11, 12]), 0, 0, 0, 0, 1, 0, 1],
            _ => vec![self.one(&[1, 2, 127, 128, 129, 135, 136, 143]), 0, 0, 0, 0, 1, 0, 1],
        }
    }

    fn frame(&mut self) -> Vec<u8> {
        let ethertype = self.one(&[IPV4, IPV4, IPV6, IPV6, ARP, 0x88cc]);
        let mut bytes = vec![self.one(&[2, 0xff, 0x33]), 0, 0, 0, 0, self.one(&[1, 2]), 2, 0, 0, 0, 0, 1];
        bytes.extend(ethertype.to_be_bytes());
        let protocol = self.one(&[1, 6, 17, 58, 47]);
        match ethertype {
            IPV4 => {
                let options = usize::try_from(self.one(&[0, 0, 4, 40])).unwrap();
                let fragment = self.one(&[0u16, 0, 0, 0x2000, 0x2005, 0x0040]).to_be_bytes();
                let first = 0x45 + u8::try_from(options / 4).unwrap();
                bytes.extend([first, 0, 0, 60, 0, 7, fragment[0], fragment[1], 64, protocol, 0, 0]);
                bytes.extend(self.v4().octets());
                bytes.extend(self.v4().octets());
                bytes.extend(vec![1; options]);
                bytes.extend(self.transport(protocol));
            }
            IPV6 => {
                let extensions: Vec<u8> = (0..self.below(4)).map(|_| self.one(&[0, 43, 44, 60])).collect();
                let next: Vec<u8> = extensions.iter().copied().chain([protocol]).collect();
                bytes.extend([0x60, 0, 0, 0, 0, 60, next[0], 64]);
                bytes.extend(self.v6().octets());
                bytes.extend(self.v6().octets());
                for (number, next) in extensions.iter().zip(&next[1..]) {
                    let fragment = self.one(&[0u8, 0, 1, 9]);
                    match number {
                        44 => bytes.extend([*next, 0, 0, fragment, 0, 0, 0, 1]),
                        _ if fragment == 1 => bytes.extend([*next, 1].into_iter().chain([0; 14])),
                        _ => bytes.extend([*next, 0, 0, 0, 0, 0, 0, 0]),
                    }
                }
                bytes.extend(self.transport(protocol));
            }
            ARP => {
                bytes.extend([0, 1, 8, 0, 6, self.one(&[4, 4, 4, 6]), 0, 1]);
                bytes.extend([2, 0, 0, 0, 0, 1]);
                bytes.extend(self.v4().octets());
                bytes.extend([0; 6]);
                bytes.extend(self.v4().octets());
            }
            _ => bytes.extend([0; 40]),
        }
        match self.below(6) {
            0 => {
                let len = bytes.len() as u64 - 14;
                bytes.truncate(14 + usize::try_from(self.below(len + 1)).unwrap());
            }
            1 => {
                let len = bytes.len() as u64 - 14;
                // The ethertype stays: what carries a tag in its bytes is another kind of frame.
                let at = 14 + usize::try_from(self.below(len)).unwrap();
                bytes[at] = self.byte();
            }
            _ => {}
        }
        bytes
    }

    fn filter(&mut self, depth: u32) -> Filter {
        let direction =
            self.one(&[Direction::Source, Direction::Destination, Direction::Either, Direction::Both]);
        match self.below(if depth == 0 { 9 } else { 13 }) {
            0 | 1 => Filter::Protocol(self.one(&[
                Protocol::Ip,
                Protocol::Ip6,
                Protocol::Arp,
                Protocol::Tcp,
                Protocol::Udp,
                Protocol::Icmp,
                Protocol::Icmp6,
                Protocol::Ether,
            ])),
            2 => {
                let length = self.one(&[0, 8, 13, 24, 32]);
                Filter::Net(direction, ipnet::Ipv4Net::new(self.v4(), length).unwrap().into())
            }
            3 => {
                let length = self.one(&[0, 16, 33, 64, 127, 128]);
                Filter::Net(direction, ipnet::Ipv6Net::new(self.v6(), length).unwrap().into())
            }
            4 => {
                let (a, b) = (self.port(), self.port());
                Filter::Ports(direction, a.min(b), if self.below(5) == 0 { 65535 } else { a.max(b) })
            }
            5 => Filter::Ether(direction, [2, 0, 0, 0, 0, self.one(&[1, 2])]),
            6 => Filter::ToMany,
            7 => self.one(&[0, 1, 2]).into(),
            8 => {
                let (v4, v6) = (self.v4().into(), self.v6().into());
                let address = self.one(&[Some(v4), Some(v6), None::<IpAddr>]);
                let remotes = vec![Remote { address, port: self.one(&[Some(80), None]) }];
                let protocol = self.one(&[Some(6), Some(17), Some(1), None]);
                Flow { protocol, remotes, has_tunnels: self.below(2) == 0 }.filter()
            }
            9 => Filter::Not(Box::new(self.filter(depth - 1))),
            10 | 11 => self.filter(depth - 1).and(self.filter(depth - 1)),
            _ => self.filter(depth - 1).or(self.filter(depth - 1)),
        }
    }
}

impl From<i32> for Filter {
    fn from(number: i32) -> Self {
        [Self::Fragment, Self::IcmpError, Self::Discovery][usize::try_from(number).unwrap()].clone()
    }
}

#[test]
fn the_program_admits_what_the_predicate_admits() {
    let seed = std::hash::BuildHasher::hash_one(&std::collections::hash_map::RandomState::new(), 0) | 1;
    let mut dice = Dice(seed);
    let (mut admitted, mut refused) = (0, 0);
    for _ in 0..2000 {
        let filter = dice.filter(4);
        let program = filter.program(77).unwrap();
        for _ in 0..40 {
            let bytes = dice.frame();
            let frame = Frame::ethernet(&bytes, bytes.len()).unwrap();
            let said = filter.admits(&frame);
            assert_eq!(
                run(&program, &bytes),
                if said { 77 } else { 0 },
                "seed {seed}: {filter:?} on {bytes:02x?}"
            );
            if said { admitted += 1 } else { refused += 1 }
        }
    }
    assert!(admitted > 10_000 && refused > 10_000, "{admitted} admitted, {refused} refused");
}

#[test]
fn far_jumps_reach() {
    // Some hundred addresses, of which the last is wanted as the first is.
    let words: Vec<String> = (0..=255).map(|last| format!("src host 10.9.9.{last}")).collect();
    let filter = Filter::parse(&format!("udp and ({})", words.join(" or "))).unwrap();
    let program = filter.program(1).unwrap();
    assert!(program.len() > 600, "{}", program.len());
    for (last, wanted) in [(0, 1), (255, 1), (254, 1)] {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        bytes.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 9, last, 1, 1, 1, 1]);
        bytes.extend([3, 0xe8, 0, 80, 0, 8, 0, 0]);
        assert_eq!(run(&program, &bytes), wanted, "{last}");
        bytes[28] = 8;
        assert_eq!(run(&program, &bytes), 0, "{last}");
    }
    let many = vec!["host 10.0.0.1"; 700].join(" or ");
    assert!(Filter::parse(&many).unwrap().program(1).is_err());
}

#[test]
fn a_flow_is_followed_through_nat() {
    let remote = Remote { address: Some("1.1.1.1".parse().unwrap()), port: Some(80) };
    let flow = Flow { protocol: Some(6), remotes: vec![remote], has_tunnels: false }.filter();
    let packet = |from: [u8; 4], to: [u8; 4], ports: [u16; 2], protocol: u8| {
        let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
        bytes.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol, 0, 0]);
        bytes.extend(from.into_iter().chain(to));
        bytes.extend(ports.map(u16::to_be_bytes).concat());
        bytes.extend([0, 8, 0, 0]);
        flow.admits(&Frame::ethernet(&bytes, bytes.len()).unwrap())
    };
    let (pc, router, server, other) = ([10, 0, 0, 1], [10, 138, 0, 3], [1, 1, 1, 1], [9, 9, 9, 9]);
    assert!(packet(pc, server, [1000, 80], 6), "before NAT");
    assert!(packet(router, server, [40000, 80], 6), "after NAT");
    assert!(packet(server, router, [80, 40000], 6), "the answer");
    assert!(!packet(pc, server, [80, 1000], 6), "another port");
    assert!(!packet(pc, other, [1000, 80], 6), "another host");
    assert!(!packet(pc, server, [1000, 80], 17), "another protocol");
    assert!(packet(other, pc, [0x0300, 0], 1), "an error");
    assert!(!packet(other, pc, [0x0800, 0], 1), "an echo");
}

#[test]
fn names_of_hosts_stand_for_their_addresses() {
    let known = |name: &str| -> Vec<IpAddr> {
        if name == "pc" { vec!["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()] } else { vec![] }
    };
    let named = Filter::parse_with("src host pc", known).unwrap();
    assert_eq!(named, Filter::parse("src 10.0.0.1 or src fd00::1").unwrap());
    assert!(Filter::parse_with("host nobody", known).is_err());
    assert!(Filter::parse("ether host 02:00").is_err());
}
