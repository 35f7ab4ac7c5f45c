//! Finds out what a frame is, and where its transport header begins.

use super::{
    AND, Assembly, IS_LATER, JUMP_EQUAL, LOAD_BYTE, LOAD_BYTE_INDEXED, LOAD_HALF, LOAD_HALF_INDEXED,
    LOAD_INDEX_FROM_CELL, LOAD_WORD, Label, NETWORK, NONE, NOTED_PROTOCOL, PROTOCOL, TRANSPORT,
};
use crate::packet::{ARP, EXTENSIONS, FRAGMENT, IPV4, IPV6, TCP, UDP};

/// `BPF_LD | BPF_IMM`, `BPF_ST`, `BPF_STX`
const LOAD_NUMBER: u16 = 0x00;
const STORE: u16 = 0x02;
const STORE_INDEX: u16 = 0x03;
/// `BPF_LDX | BPF_IMM`
const LOAD_INDEX_NUMBER: u16 = 0x01;
/// `BPF_LDX | BPF_B | BPF_MSH`: four times the low four bits, the length of an IPv4 header.
const LOAD_INDEX_HEADER_LEN: u16 = 0xb1;
const ADD: u16 = 0x04;
const ADD_INDEX: u16 = 0x0c;
const SHIFT_LEFT: u16 = 0x64;
/// `BPF_MISC | BPF_TAX`
const TO_INDEX: u16 = 0x07;
const JUMP_AT_LEAST: u16 = 0x35;
/// Scratch.
const NEXT: u32 = 3;

/// Extension headers that are skipped. Each takes some instructions, as classic BPF has no loops.
const EXTENSIONS_MAX: usize = 4;

/// Fills the cells; goes to `bad` for what is too short or no packet.
pub(super) fn write(to: &mut Assembly, bad: Label) {
    let (v4, not_v4, v6, other, done) = (to.label(), to.label(), to.label(), to.label(), to.label());
    to.push(LOAD_HALF, NOTED_PROTOCOL);
    to.branch(JUMP_EQUAL, IPV4.into(), v4, not_v4);
    to.place(not_v4);
    to.branch(JUMP_EQUAL, IPV6.into(), v6, other);
    to.place(other);
    let (arp, rest) = (to.label(), to.label());
    to.branch(JUMP_EQUAL, ARP.into(), arp, rest);
    to.place(arp);
    // The last address, so that all is there.
    to.push(LOAD_WORD, NETWORK + 24);
    to.place(rest);
    to.push(LOAD_NUMBER, NONE);
    to.push(STORE, PROTOCOL);
    to.push(LOAD_NUMBER, 0);
    to.push(STORE, TRANSPORT);
    to.push(STORE, IS_LATER);
    to.jump(done);
    to.place(v4);
    write_v4(to, bad, done);
    to.place(v6);
    write_v6(to, bad, done);
    to.place(done);
}

fn write_v4(to: &mut Assembly, bad: Label, done: Label) {
    let (is_v4, is_long) = (to.label(), to.label());
    to.push(LOAD_BYTE, NETWORK);
    to.push(AND, 0xf0);
    to.branch(JUMP_EQUAL, 0x40, is_v4, bad);
    to.place(is_v4);
    to.push(LOAD_BYTE, NETWORK);
    to.push(AND, 0x0f);
    to.branch(JUMP_AT_LEAST, 5, is_long, bad);
    to.place(is_long);
    // The last address, so that the whole header is there.
    to.push(LOAD_WORD, NETWORK + 16);
    to.push(LOAD_BYTE, NETWORK + 9);
    to.push(STORE, PROTOCOL);
    to.push(LOAD_HALF, NETWORK + 6);
    to.push(AND, 0x1fff);
    to.push(STORE, IS_LATER);
    to.push(LOAD_INDEX_HEADER_LEN, NETWORK);
    to.push(STORE_INDEX, TRANSPORT);
    must_have_ports(to, done);
}

/// What comes after the header must be there too: ports, where there are some, else nothing.
fn must_have_ports(to: &mut Assembly, done: Label) {
    use super::LOAD_CELL;
    let (is_first, has_ports, not_tcp, icmp, not_icmp) =
        (to.label(), to.label(), to.label(), to.label(), to.label());
    to.push(LOAD_CELL, IS_LATER);
    to.branch(JUMP_EQUAL, 0, is_first, done);
    to.place(is_first);
    to.push(LOAD_INDEX_FROM_CELL, TRANSPORT);
    to.push(LOAD_CELL, PROTOCOL);
    to.branch(JUMP_EQUAL, TCP.into(), has_ports, not_tcp);
    to.place(not_tcp);
    to.branch(JUMP_EQUAL, UDP.into(), has_ports, not_icmp);
    to.place(not_icmp);
    // ICMP of both families has a type.
    let v6 = to.label();
    to.branch(JUMP_EQUAL, crate::packet::ICMP.into(), icmp, v6);
    to.place(v6);
    to.branch(JUMP_EQUAL, crate::packet::ICMPV6.into(), icmp, done);
    to.place(icmp);
    to.push(LOAD_BYTE_INDEXED, NETWORK);
    to.jump(done);
    to.place(has_ports);
    to.push(LOAD_HALF_INDEXED, NETWORK + 2);
    to.jump(done);
}

fn write_v6(to: &mut Assembly, bad: Label, done: Label) {
    use super::LOAD_CELL;
    const HEADER_LEN: u32 = 40;
    let is_v6 = to.label();
    to.push(LOAD_BYTE, NETWORK);
    to.push(AND, 0xf0);
    to.branch(JUMP_EQUAL, 0x60, is_v6, bad);
    to.place(is_v6);
    to.push(LOAD_WORD, NETWORK + 36);
    to.push(LOAD_NUMBER, 0);
    to.push(STORE, IS_LATER);
    to.push(LOAD_BYTE, NETWORK + 6);
    to.push(STORE, PROTOCOL);
    to.push(LOAD_INDEX_NUMBER, HEADER_LEN);
    to.push(STORE_INDEX, TRANSPORT);
    let end = to.label();
    for _ in 0..EXTENSIONS_MAX {
        let (extension, fragment, next) = (to.label(), to.label(), to.label());
        to.push(LOAD_INDEX_FROM_CELL, TRANSPORT);
        to.push(LOAD_CELL, PROTOCOL);
        for number in EXTENSIONS {
            let other = to.label();
            to.branch(JUMP_EQUAL, number.into(), extension, other);
            to.place(other);
        }
        to.branch(JUMP_EQUAL, FRAGMENT.into(), fragment, end);
        to.place(extension);
        // RFC 8200 4.3: next header, length in units of 8 bytes beyond the first.
        to.push(LOAD_BYTE_INDEXED, NETWORK);
        to.push(STORE, NEXT);
        to.push(LOAD_BYTE_INDEXED, NETWORK + 1);
        to.push(ADD, 1);
        to.push(SHIFT_LEFT, 3);
        to.push(ADD_INDEX, 0);
        to.push(STORE, TRANSPORT);
        to.push(LOAD_CELL, NEXT);
        to.push(STORE, PROTOCOL);
        to.jump(next);
        to.place(fragment);
        // RFC 8200 4.5: next header, reserved, offset in units of 8 bytes with three flags below.
        to.push(LOAD_HALF_INDEXED, NETWORK + 2);
        to.push(AND, 0xfff8);
        to.push(STORE, IS_LATER);
        to.push(LOAD_BYTE_INDEXED, NETWORK);
        to.push(STORE, PROTOCOL);
        to.push(LOAD_CELL, TRANSPORT);
        to.push(ADD, 8);
        to.push(STORE, TRANSPORT);
        to.push(TO_INDEX, 0);
        let first = to.label();
        to.push(LOAD_CELL, IS_LATER);
        to.branch(JUMP_EQUAL, 0, first, done);
        to.place(first);
        to.place(next);
    }
    to.place(end);
    must_have_ports(to, done);
}
