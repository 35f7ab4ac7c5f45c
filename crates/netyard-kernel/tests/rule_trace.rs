//! Rule traces against the kernel: what rules say is heard, nothing of it is seen by others, nothing stays.
//!
//! Needs the program `nft` (package nftables); without it these tests fail.

mod support;

use netyard_core::trace::rules::{RuleEventKind, RuleVerdict};
use netyard_kernel::netlink::nft::trace::{Message, RuleTrace, open};
use netyard_kernel::netlink::{Protocol, Socket, nft};
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use support::{in_netns, lo_up};

/// Sends a datagram to itself and gives the messages about it.
fn messages(trace: &mut RuleTrace, port: u16, is_end: impl Fn(&[Message]) -> bool) -> Vec<Message> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("lo is up");
    // A drop by the node's own rules may be told to the sender.
    let _ = socket.send_to(b"hello", ("127.0.0.1", port));
    let begun = Instant::now();
    let mut heard = Vec::new();
    while !is_end(&heard) {
        assert!(begun.elapsed() < Duration::from_secs(10), "in vain: {heard:?}");
        trace.read(|message| heard.push(message)).expect("the trace goes on");
    }
    heard
}

#[test]
fn a_rule_that_drops_is_named_by_its_handle() {
    in_netns(|| {
        lo_up();
        support::nft(
            &["-f", "-"],
            "table inet own {\nchain in {\ntype filter hook input priority 0;\nudp dport 9 drop\n}\n}\n",
        )
        .expect("the rule is loaded");
        let mut netfilter = Socket::open(Protocol::Netfilter).expect("nf_tables is in the kernel");
        let before = nft::list(&mut netfilter).expect("tables are read");
        let tables = nft::placed(&mut netfilter).expect("tables are read");
        let handle = tables[0].chains[0].rules[0].handle;
        let mut trace = RuleTrace::from_fd(open("netyard_trace_a", true).expect("the table is made"))
            .expect("it listens");
        let is_dropped = |heard: &[Message]| heard.iter().any(|m| m.verdict == RuleVerdict::Drop);
        let heard = messages(&mut trace, 9, is_dropped);
        let drop = heard.iter().find(|m| m.verdict == RuleVerdict::Drop).expect("it was heard");
        assert_eq!((drop.table.as_str(), drop.chain.as_str()), ("own", "in"));
        assert_eq!(drop.kind, RuleEventKind::Rule(handle));
        let first = &heard[0];
        assert_eq!((first.table.as_str(), first.chain.as_str()), ("netyard_trace_a", "output"));
        // IPv4, 20 bytes of header, UDP to port 9.
        assert_eq!((first.network[0], first.network[9]), (0x45, 17));
        assert_eq!(first.transport[2..4], [0, 9]);
        assert_eq!(nft::list(&mut netfilter).expect("tables are read"), before, "the table is ours alone");
        assert!(support::nft(&["list", "tables"], "").expect("nft lists").contains("netyard_trace_a"));
        drop_and_see_it_gone(trace);
    });
}

fn drop_and_see_it_gone(trace: RuleTrace) {
    drop(trace);
    let begun = Instant::now();
    while support::nft(&["list", "tables"], "").expect("nft lists").contains("netyard_trace") {
        assert!(begun.elapsed() < Duration::from_secs(10), "the table stays");
    }
}

#[test]
fn what_passes_is_heard_up_to_the_sockets() {
    in_netns(|| {
        lo_up();
        let mut trace = RuleTrace::from_fd(open("netyard_trace_b", false).expect("the table is made"))
            .expect("it listens");
        let is_in = |m: &Message| m.chain == "input" && m.kind == RuleEventKind::Policy;
        let heard = messages(&mut trace, 9, |heard| heard.iter().any(is_in));
        // The refusal that comes back is another packet.
        let is_udp = |m: &&Message| m.network.get(9) == Some(&17);
        let chains: Vec<&str> = heard.iter().filter(is_udp).map(|m| m.chain.as_str()).collect();
        assert_eq!(chains, ["output", "postrouting", "prerouting", "input"]);
        drop_and_see_it_gone(trace);
    });
}
