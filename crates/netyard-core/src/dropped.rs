//! Packets that the kernel has dropped, with the reason that it gives itself (`enum skb_drop_reason`).

use crate::fault::Cause;
use serde::{Deserialize, Serialize};

/// A packet that the kernel has dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// When, in nanoseconds since 1970.
    pub at_ns: u64,
    /// The inode of the namespace.
    pub inode: u64,
    /// The number of the interface that it was at; none for one that had not come to any.
    pub ifindex: Option<u32>,
    /// Where the kernel had it in memory: the same as long as it is the same packet in the same namespace.
    pub skb: u64,
    /// The kernel's word, without `SKB_DROP_REASON_`; its number where the kernel has no word for it.
    pub reason: String,
    /// The function of the kernel that dropped it, where the kernel tells.
    pub function: Option<String>,
    /// What it was (IEEE 802 numbers).
    pub ethertype: u16,
    /// Its length in bytes, with as much of its headers as it still had.
    pub len: u32,
    /// From the network header on, 192 at most.
    pub bytes: Vec<u8>,
}

impl Dropped {
    /// Whether the kernel drops such packets all the time, and nobody misses them.
    #[must_use]
    pub fn is_benign(&self) -> bool {
        let function = self.function.as_deref().unwrap_or_default();
        match self.reason.as_str() {
            // Every echo reply: the socket that waits for it has a copy.
            "NO_SOCKET" => function.starts_with("ping_rcv") || function.starts_with("raw_"),
            // What a socket had not read when it was closed, and copies of frames that a bridge floods.
            "QUEUE_PURGE" | "OTHERHOST" | "SOCKET_CLOSE" | "CONSUMED" | "NOT_DROPPED_YET" => true,
            // Multicast that nobody has asked for, and empty calls of functions that free.
            "NOT_SPECIFIED" => {
                ["ip6_mc_input", "icmpv6_rcv", "ndisc_rcv", "igmp_rcv", "arp_rcv", "arp_process", "unix_"]
                    .iter()
                    .any(|benign| function.starts_with(benign))
            }
            // Acknowledgements and segments that came twice, or that a closed connection no longer needs.
            reason => reason.starts_with("TCP_") && reason != "TCP_CSUM" && !reason.contains("MD5"),
        }
    }

    /// The cause that the reason proves; none where the kernel has one word for many causes.
    #[must_use]
    pub fn cause(&self) -> Option<Cause> {
        let function = self.function.as_deref().unwrap_or_default();
        Some(match self.reason.as_str() {
            "IP_INNOROUTES" | "IP_OUTNOROUTES" => Cause::NoRouteOnTheWay,
            "IP_INADDRERRORS" if function.starts_with("ip_error") => Cause::NotForwarding,
            "IP_RPFILTER" => Cause::ReversePathFilter,
            "NETFILTER_DROP" => Cause::Rule,
            "IP_INHDR" if function.contains("forward") => Cause::TtlExceeded,
            "PKT_TOO_BIG" => Cause::MtuTooSmall,
            "NO_SOCKET" => Cause::NotListening,
            "NEIGH_FAILED" | "NEIGH_CREATEFAIL" => Cause::NeighbourFailed,
            "NEIGH_QUEUEFULL" => Cause::NeighbourFailed,
            "BRIDGE_INGRESS_STP_STATE" => Cause::PortNotForwarding,
            "QDISC_DROP" | "QDISC_OVERLIMIT" | "QDISC_CONGESTED" | "FULL_RING" | "CPU_BACKLOG" => {
                Cause::QueueFull
            }
            _ => return None,
        })
    }

    /// What the kernel means, in words; its own word where no other is known.
    #[must_use]
    pub fn meaning(&self) -> String {
        let words = match self.reason.as_str() {
            "IP_INNOROUTES" | "IP_OUTNOROUTES" => "it has no route for it",
            "IP_INADDRERRORS" => "it is for another machine, and this one does not forward",
            "IP_RPFILTER" => "an answer would leave by another interface (rp_filter)",
            "NETFILTER_DROP" => "a rule or policy of a packet filter",
            "IP_INHDR" => "its header: TTL used up, for example",
            "PKT_TOO_BIG" => "it is larger than the MTU and must not be cut",
            "NO_SOCKET" => "nothing listens at its port",
            "NEIGH_FAILED" => "nobody answers for the next hop",
            "NEIGH_QUEUEFULL" => "too many packets wait for the next hop to answer",
            "BRIDGE_INGRESS_STP_STATE" => "the bridge's port does not forward yet (spanning tree)",
            "QDISC_DROP" => "the queue of the interface drops it",
            "OTHERHOST" => "its Ethernet address is another one's",
            "UDP_CSUM" | "TCP_CSUM" | "IP_CSUM" | "ICMP_CSUM" => "its checksum is wrong",
            "SOCKET_RCVBUFF" => "the socket is full",
            "PROTO_MEM" => "the protocol has used up its memory",
            "IP_INVALID_SOURCE" | "IP_LOCAL_SOURCE" => "its source address cannot be",
            "IP_INVALID_DEST" => "its destination address cannot be",
            "DEV_READY" => "the interface is not up",
            "NOT_SPECIFIED" => "the kernel gives no reason",
            other => return other.to_lowercase().replace('_', " "),
        };
        words.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(reason: &str, function: &str) -> Dropped {
        Dropped {
            at_ns: 0,
            inode: 1,
            ifindex: None,
            skb: 0,
            reason: reason.to_owned(),
            function: Some(function.to_owned()),
            ethertype: 0x0800,
            len: 84,
            bytes: Vec::new(),
        }
    }

    #[test]
    fn what_every_ping_leaves_behind_is_no_loss() {
        for (reason, function) in [
            ("NO_SOCKET", "ping_rcv"),
            ("QUEUE_PURGE", "inet_sock_destruct"),
            ("NOT_SPECIFIED", "ip6_mc_input"),
        ] {
            assert!(dropped(reason, function).is_benign(), "{reason} {function}");
        }
        for (reason, function) in
            [("NO_SOCKET", "__udp4_lib_rcv"), ("NOT_SPECIFIED", "ip_error"), ("IP_INHDR", "ip_forward")]
        {
            assert!(!dropped(reason, function).is_benign(), "{reason} {function}");
        }
    }

    #[test]
    fn a_reason_is_a_cause_where_it_has_one_only() {
        assert_eq!(dropped("IP_INADDRERRORS", "ip_error").cause(), Some(Cause::NotForwarding));
        assert_eq!(dropped("IP_INADDRERRORS", "ip_route_input").cause(), None);
        assert_eq!(dropped("NOT_SPECIFIED", "ip_error").cause(), None);
        assert_eq!(dropped("VLAN_FILTER", "br_handle").meaning(), "vlan filter");
    }
}
