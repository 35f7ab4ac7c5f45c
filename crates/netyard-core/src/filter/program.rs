//! A filter as a program that the kernel runs on every frame, before anything is copied.
//!
//! Headers are addressed from the network header on (`SKF_NET_OFF`), and the ethertype is what the kernel has noted
//! (`SKF_AD_PROTOCOL`): the same program serves links with and without Ethernet headers, with and without tags.
//!
//! What the program needs to know again and again it puts into its memory first:
//!
//! | cell | meaning |
//! |---|---|
//! | `PROTOCOL` | IANA number of the transport protocol; `NONE` for what is not IP |
//! | `TRANSPORT` | where its header begins, from the network header on |
//! | `IS_LATER` | whether it is a fragment without transport header |

use super::{Direction, Filter, INSTRUCTIONS_MAX, Instruction, Protocol};
use crate::packet::{ARP, ICMP, ICMPV6, IPV4, IPV6, TCP, UDP};
use ipnet::IpNet;
use std::net::IpAddr;

mod assembly;
mod prologue;

use assembly::{Assembly, Label};

/// `BPF_LD | BPF_W | BPF_ABS` and its kin (linux/bpf_common.h).
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
/// `BPF_LD | BPF_H | BPF_IND`: at the index register and the operand.
const LOAD_HALF_INDEXED: u16 = 0x48;
const LOAD_BYTE_INDEXED: u16 = 0x50;
/// `BPF_LD | BPF_MEM`, `BPF_LDX | BPF_MEM`
const LOAD_CELL: u16 = 0x60;
const LOAD_INDEX_FROM_CELL: u16 = 0x61;
const AND: u16 = 0x54;
const RETURN: u16 = 0x06;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;

/// `SKF_NET_OFF`: from the network header on.
const NETWORK: u32 = 0xfff0_0000;
/// `SKF_LL_OFF`: from the link header on.
const LINK: u32 = 0xffe0_0000;
/// `SKF_AD_OFF`: what the kernel has noted: the ethertype, and the kind of link (`ARPHRD_*`).
const NOTED_PROTOCOL: u32 = 0xffff_f000;
const NOTED_HARDWARE: u32 = 0xffff_f000 + 28;

const PROTOCOL: u32 = 0;
const TRANSPORT: u32 = 1;
const IS_LATER: u32 = 2;
/// In `PROTOCOL`: not IP.
const NONE: u32 = 0xffff;

impl Filter {
    /// The filter for the kernel; of what is wanted `snap` bytes are kept. Empty where everything is wanted.
    ///
    /// It admits what [`Filter::admits`] admits, but for frames with more than four extension headers of IPv6.
    /// A frame that is too short for its own headers is not admitted by any filter but the empty one.
    ///
    /// # Errors
    /// That it has more conditions than the kernel takes.
    pub fn program(&self, snap: u32) -> Result<Vec<Instruction>, String> {
        if *self == Self::All {
            return Ok(vec![Instruction::new(RETURN, snap)]);
        }
        let mut assembly = Assembly::default();
        let (wanted, unwanted) = (assembly.label(), assembly.label());
        prologue::write(&mut assembly, unwanted);
        write(&mut assembly, self, wanted, unwanted);
        assembly.place(wanted);
        assembly.push(RETURN, snap);
        assembly.place(unwanted);
        assembly.push(RETURN, 0);
        let program = assembly.finish();
        if program.len() > INSTRUCTIONS_MAX {
            return Err(format!(
                "the filter takes {} instructions, and the kernel runs {INSTRUCTIONS_MAX} at most",
                program.len()
            ));
        }
        Ok(program)
    }
}

/// Goes on at `yes` or at `no`.
fn write(to: &mut Assembly, filter: &Filter, yes: Label, no: Label) {
    match filter {
        Filter::All => to.jump(yes),
        Filter::Not(other) => write(to, other, no, yes),
        Filter::And(first, second) => {
            let go_on = to.label();
            write(to, first, go_on, no);
            to.place(go_on);
            write(to, second, yes, no);
        }
        Filter::Or(first, second) => {
            let go_on = to.label();
            write(to, first, yes, go_on);
            to.place(go_on);
            write(to, second, yes, no);
        }
        Filter::Protocol(protocol) => is_protocol(to, *protocol, yes, no),
        Filter::Net(direction, net) => is_address(to, *direction, net, yes, no),
        Filter::Ports(direction, first, last) => is_port(to, *direction, (*first, *last), yes, no),
        Filter::Ether(direction, mac) => is_mac(to, *direction, *mac, yes, no),
        Filter::ToMany => {
            has_ethernet(to, no);
            to.push(LOAD_BYTE, LINK);
            to.push(AND, 1);
            to.branch(JUMP_EQUAL, 1, yes, no);
        }
        Filter::Fragment => {
            to.push(LOAD_CELL, IS_LATER);
            to.branch(JUMP_EQUAL, 0, no, yes);
        }
        Filter::IcmpError => is_icmp_error(to, yes, no),
        Filter::Discovery => is_discovery(to, yes, no),
    }
}

fn is_protocol(to: &mut Assembly, protocol: Protocol, yes: Label, no: Label) {
    let ethertype = |to: &mut Assembly, number: u16, yes| {
        to.push(LOAD_HALF, NOTED_PROTOCOL);
        to.branch(JUMP_EQUAL, number.into(), yes, no);
    };
    let carries = |to: &mut Assembly, number: u8| {
        to.push(LOAD_CELL, PROTOCOL);
        to.branch(JUMP_EQUAL, number.into(), yes, no);
    };
    match protocol {
        Protocol::Ip => ethertype(to, IPV4, yes),
        Protocol::Ip6 => ethertype(to, IPV6, yes),
        Protocol::Arp => ethertype(to, ARP, yes),
        Protocol::Tcp => carries(to, TCP),
        Protocol::Udp => carries(to, UDP),
        Protocol::Icmp | Protocol::Icmp6 => {
            let is_ip = to.label();
            let (family, number) = if protocol == Protocol::Icmp { (IPV4, ICMP) } else { (IPV6, ICMPV6) };
            ethertype(to, family, is_ip);
            to.place(is_ip);
            carries(to, number);
        }
        Protocol::Ether => to.jump(yes),
    }
}

/// Goes on at `yes` where the direction's ends hold; `end` tests one of them (0 source, 1 destination).
fn of_ends(
    to: &mut Assembly,
    direction: Direction,
    yes: Label,
    no: Label,
    mut end: impl FnMut(&mut Assembly, u32, Label, Label),
) {
    match direction {
        Direction::Source => end(to, 0, yes, no),
        Direction::Destination => end(to, 1, yes, no),
        Direction::Either => {
            let other = to.label();
            end(to, 0, yes, other);
            to.place(other);
            end(to, 1, yes, no);
        }
        Direction::Both => {
            let other = to.label();
            end(to, 0, other, no);
            to.place(other);
            end(to, 1, yes, no);
        }
    }
}

fn is_address(to: &mut Assembly, direction: Direction, net: &IpNet, yes: Label, no: Label) {
    to.push(LOAD_HALF, NOTED_PROTOCOL);
    match net.addr() {
        IpAddr::V4(_) => {
            let (ip, not_ip, arp, is_arp) = (to.label(), to.label(), to.label(), to.label());
            to.branch(JUMP_EQUAL, IPV4.into(), ip, not_ip);
            to.place(not_ip);
            to.branch(JUMP_EQUAL, ARP.into(), arp, no);
            to.place(ip);
            of_ends(to, direction, yes, no, |to, end, yes, no| is_in_net(to, 12 + 4 * end, net, yes, no));
            to.place(arp);
            is_ipv4_arp(to, is_arp, no);
            to.place(is_arp);
            of_ends(to, direction, yes, no, |to, end, yes, no| is_in_net(to, 14 + 10 * end, net, yes, no));
        }
        IpAddr::V6(_) => {
            let ip = to.label();
            to.branch(JUMP_EQUAL, IPV6.into(), ip, no);
            to.place(ip);
            of_ends(to, direction, yes, no, |to, end, yes, no| is_in_net(to, 8 + 16 * end, net, yes, no));
        }
    }
}

/// Ethernet, IPv4, addresses of 6 and 4 bytes (RFC 826).
fn is_ipv4_arp(to: &mut Assembly, yes: Label, no: Label) {
    let second = to.label();
    to.push(LOAD_WORD, NETWORK);
    to.branch(JUMP_EQUAL, 0x0001_0800, second, no);
    to.place(second);
    to.push(LOAD_HALF, NETWORK + 4);
    to.branch(JUMP_EQUAL, 0x0604, yes, no);
}

/// Whether the address at `offset` of the network header is in the net.
fn is_in_net(to: &mut Assembly, offset: u32, net: &IpNet, yes: Label, no: Label) {
    let octets = match net.network() {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let mut left = u32::from(net.prefix_len());
    for (at, word) in (0u32..).step_by(4).zip(octets.chunks(4)) {
        if left == 0 {
            break;
        }
        let bits = left.min(32);
        left -= bits;
        to.push(LOAD_WORD, NETWORK + offset + at);
        if bits < 32 {
            to.push(AND, !(u32::MAX >> bits));
        }
        let next = to.label();
        to.branch(JUMP_EQUAL, u32::from_be_bytes([word[0], word[1], word[2], word[3]]), next, no);
        to.place(next);
    }
    to.jump(yes);
}

fn is_port(to: &mut Assembly, direction: Direction, range: (u16, u16), yes: Label, no: Label) {
    let (has_ports, is_first, not_tcp) = (to.label(), to.label(), to.label());
    to.push(LOAD_CELL, PROTOCOL);
    to.branch(JUMP_EQUAL, TCP.into(), has_ports, not_tcp);
    to.place(not_tcp);
    to.branch(JUMP_EQUAL, UDP.into(), has_ports, no);
    to.place(has_ports);
    to.push(LOAD_CELL, IS_LATER);
    to.branch(JUMP_EQUAL, 0, is_first, no);
    to.place(is_first);
    to.push(LOAD_INDEX_FROM_CELL, TRANSPORT);
    of_ends(to, direction, yes, no, |to, end, yes, no| {
        to.push(LOAD_HALF_INDEXED, NETWORK + 2 * end);
        let (first, last) = range;
        if first == last {
            to.branch(JUMP_EQUAL, first.into(), yes, no);
            return;
        }
        let below = to.label();
        to.branch(JUMP_AT_LEAST, first.into(), below, no);
        to.place(below);
        to.branch(JUMP_AT_LEAST, u32::from(last) + 1, no, yes);
    });
}

/// Goes on only on links with Ethernet headers (`ARPHRD_ETHER`, `ARPHRD_LOOPBACK`).
fn has_ethernet(to: &mut Assembly, no: Label) {
    let (is_one, other) = (to.label(), to.label());
    to.push(LOAD_HALF, NOTED_HARDWARE);
    to.branch(JUMP_EQUAL, 1, is_one, other);
    to.place(other);
    to.branch(JUMP_EQUAL, 772, is_one, no);
    to.place(is_one);
}

fn is_mac(to: &mut Assembly, direction: Direction, mac: [u8; 6], yes: Label, no: Label) {
    has_ethernet(to, no);
    of_ends(to, direction, yes, no, |to, end, yes, no| {
        // The destination comes first.
        let offset = LINK + 6 * (1 - end);
        let low = to.label();
        to.push(LOAD_HALF, offset);
        to.branch(JUMP_EQUAL, u32::from_be_bytes([0, 0, mac[0], mac[1]]), low, no);
        to.place(low);
        to.push(LOAD_WORD, offset + 2);
        to.branch(JUMP_EQUAL, u32::from_be_bytes([mac[2], mac[3], mac[4], mac[5]]), yes, no);
    });
}

/// Loads the type of an ICMP message; goes on at `v4` or `v6` by its family.
fn icmp_type(to: &mut Assembly, v4: Label, v6: Label, no: Label) {
    let (is_first, is_v4, not_v4, is_v6) = (to.label(), to.label(), to.label(), to.label());
    to.push(LOAD_CELL, IS_LATER);
    to.branch(JUMP_EQUAL, 0, is_first, no);
    to.place(is_first);
    to.push(LOAD_INDEX_FROM_CELL, TRANSPORT);
    to.push(LOAD_CELL, PROTOCOL);
    to.branch(JUMP_EQUAL, ICMP.into(), is_v4, not_v4);
    to.place(not_v4);
    to.branch(JUMP_EQUAL, ICMPV6.into(), is_v6, no);
    to.place(is_v4);
    to.push(LOAD_BYTE_INDEXED, NETWORK);
    to.jump(v4);
    to.place(is_v6);
    to.push(LOAD_BYTE_INDEXED, NETWORK);
    to.jump(v6);
}

fn is_icmp_error(to: &mut Assembly, yes: Label, no: Label) {
    let (v4, v6) = (to.label(), to.label());
    icmp_type(to, v4, v6, no);
    to.place(v4);
    for kind in super::ICMP_ERRORS {
        let next = to.label();
        to.branch(JUMP_EQUAL, kind.into(), yes, next);
        to.place(next);
    }
    to.jump(no);
    to.place(v6);
    // All below 128 are errors (RFC 4443 2.1).
    to.branch(JUMP_AT_LEAST, 128, no, yes);
}

fn is_discovery(to: &mut Assembly, yes: Label, no: Label) {
    let (not_arp, v6, at_least) = (to.label(), to.label(), to.label());
    to.push(LOAD_HALF, NOTED_PROTOCOL);
    to.branch(JUMP_EQUAL, ARP.into(), yes, not_arp);
    to.place(not_arp);
    icmp_type(to, no, v6, no);
    to.place(v6);
    let (first, last) = super::DISCOVERY;
    to.branch(JUMP_AT_LEAST, first.into(), at_least, no);
    to.place(at_least);
    to.branch(JUMP_AT_LEAST, u32::from(last) + 1, no, yes);
}
