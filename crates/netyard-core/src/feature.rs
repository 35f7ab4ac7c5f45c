//! Parts of the kernel that not every kernel has, and which of them a lab needs.

mod need;

pub use need::{Need, Place, needs};

/// What netyard may need of a kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Pairs of links.
    Veth,
    /// Bridges.
    Bridge,
    /// Bridges that keep VLANs apart.
    BridgeVlanFiltering,
    /// The spanning tree protocol.
    Stp,
    /// IPv6.
    Ipv6,
    /// nf_tables with source NAT for IPv4 and IPv6.
    Masquerade,
    /// nf_tables with route look-ups.
    Fib,
    /// Connection tracking, and reading its table.
    Conntrack,
    /// The token bucket filter.
    Tbf,
    /// The emulator of delay and loss.
    Netem,
    /// 802.1Q tags.
    Vlan,
    /// Ethernet over UDP.
    Vxlan,
    /// More addresses on one link.
    Macvlan,
    /// Links to nowhere.
    Dummy,
    /// Routing tables by interface.
    Vrf,
    /// Encrypted tunnels.
    Wireguard,
    /// Several links as one.
    Bond,
    /// IPv4 in IPv4.
    Ipip,
    /// Generic routing encapsulation.
    Gre,
    /// IPv6 in IPv4.
    Sit,
    /// IPv4 and IPv6 in IPv6.
    Ip6tnl,
    /// Generic routing encapsulation in IPv6.
    Ip6gre,
    /// Mounting a proc of its own in a new pid namespace.
    FreshProc,
}

impl Kind {
    /// All, in the order in which they are tried and shown.
    pub const ALL: [Self; 23] = [
        Self::Veth,
        Self::Bridge,
        Self::BridgeVlanFiltering,
        Self::Stp,
        Self::Ipv6,
        Self::Masquerade,
        Self::Fib,
        Self::Conntrack,
        Self::Tbf,
        Self::Netem,
        Self::Vlan,
        Self::Vxlan,
        Self::Macvlan,
        Self::Dummy,
        Self::Vrf,
        Self::Wireguard,
        Self::Bond,
        Self::Ipip,
        Self::Gre,
        Self::Sit,
        Self::Ip6tnl,
        Self::Ip6gre,
        Self::FreshProc,
    ];

    /// The name under which it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BridgeVlanFiltering => "bridge vlan filtering",
            Self::Stp => "stp",
            Self::Ipv6 => "ipv6",
            Self::Masquerade => "nft masquerade",
            Self::Fib => "nft fib",
            Self::Conntrack => "conntrack",
            Self::Tbf => "tbf",
            Self::Netem => "netem",
            Self::FreshProc => "fresh /proc",
            link => link.link_kind(),
        }
    }

    /// What a kernel without it is said not to have.
    #[must_use]
    pub fn noun(self) -> &'static str {
        match self {
            Self::Veth => "veth links",
            Self::Bridge => "bridges",
            Self::BridgeVlanFiltering => "VLAN filtering in its bridges",
            Self::Stp => "spanning tree in its bridges",
            Self::Ipv6 => "IPv6",
            Self::Masquerade => "source NAT in nf_tables",
            Self::Fib => "route look-ups in nf_tables",
            Self::Conntrack => "connection tracking",
            Self::Tbf => "tbf qdisc",
            Self::Netem => "netem qdisc",
            Self::Vlan => "VLAN links",
            Self::Vxlan => "VXLAN links",
            Self::Macvlan => "macvlan links",
            Self::Dummy => "dummy links",
            Self::Vrf => "VRF links",
            Self::Wireguard => "WireGuard links",
            Self::Bond => "bonds of links",
            Self::Ipip => "IP-in-IP tunnels",
            Self::Gre => "GRE tunnels",
            Self::Sit => "IPv6-in-IPv4 tunnels",
            Self::Ip6tnl => "tunnels in IPv6",
            Self::Ip6gre => "GRE tunnels in IPv6",
            Self::FreshProc => "/proc for a new pid namespace",
        }
    }

    /// Whether kernels leave it out that have all else which labs need: worth a try before a lab is built. Of the
    /// rest a machine that runs containers has everything, and a try would only take time.
    #[must_use]
    pub fn is_rare(self) -> bool {
        !matches!(
            self,
            Self::Veth | Self::Bridge | Self::Stp | Self::Ipv6 | Self::Masquerade | Self::Conntrack
        )
    }

    /// The kind of link as rtnetlink names it; empty for what is not a link.
    #[must_use]
    pub fn link_kind(self) -> &'static str {
        match self {
            Self::Veth => "veth",
            Self::Bridge | Self::BridgeVlanFiltering | Self::Stp => "bridge",
            Self::Vlan => "vlan",
            Self::Vxlan => "vxlan",
            Self::Macvlan => "macvlan",
            Self::Dummy => "dummy",
            Self::Vrf => "vrf",
            Self::Wireguard => "wireguard",
            Self::Bond => "bond",
            Self::Ipip => "ipip",
            Self::Gre => "gre",
            Self::Sit => "sit",
            Self::Ip6tnl => "ip6tnl",
            Self::Ip6gre => "ip6gre",
            _ => "",
        }
    }

    /// What does not work without it.
    #[must_use]
    pub fn needed_for(self) -> &'static str {
        match self {
            Self::Veth => "every lab",
            Self::Bridge => "networks of kind bridge and hub",
            Self::BridgeVlanFiltering => "networks with several VLANs",
            Self::Stp => "networks with `stp`",
            Self::Ipv6 => "IPv6 addresses and routes",
            Self::Masquerade => "`masquerade`, `nat` and `firewall` of a node",
            Self::Fib => "forwarded ports that hosts behind the router use too",
            Self::Conntrack => "stateful firewalls, `seen-as`, and following packets through NAT",
            Self::Tbf => "`rate` of a link",
            Self::Netem => "`delay`, `jitter` and `loss` of a link",
            Self::Vlan => "interfaces with a VLAN tag",
            Self::Vxlan => "overlay networks",
            Self::Macvlan => "macvlan interfaces",
            Self::Dummy => "dummy interfaces in imported labs",
            Self::Vrf => "routers with several routing tables by interface",
            Self::Wireguard => "WireGuard tunnels",
            Self::Bond => "links that are bonded in imported labs",
            Self::Ipip | Self::Gre | Self::Sit | Self::Ip6tnl | Self::Ip6gre => "tunnels in imported labs",
            Self::FreshProc => "every lab: its processes must not see the host's",
        }
    }

    /// The kernel module and the configuration option that it comes from; both empty for what has none.
    #[must_use]
    pub fn module(self) -> (&'static str, &'static str) {
        match self {
            Self::Veth => ("veth", "CONFIG_VETH"),
            Self::Bridge | Self::Stp => ("bridge", "CONFIG_BRIDGE"),
            Self::BridgeVlanFiltering => ("bridge", "CONFIG_BRIDGE_VLAN_FILTERING"),
            Self::Ipv6 => ("ipv6", "CONFIG_IPV6"),
            Self::Masquerade => ("nft_masq", "CONFIG_NFT_MASQ"),
            Self::Fib => ("nft_fib_inet", "CONFIG_NFT_FIB_INET"),
            Self::Conntrack => ("nf_conntrack_netlink", "CONFIG_NF_CT_NETLINK"),
            Self::Tbf => ("sch_tbf", "CONFIG_NET_SCH_TBF"),
            Self::Netem => ("sch_netem", "CONFIG_NET_SCH_NETEM"),
            Self::Vlan => ("8021q", "CONFIG_VLAN_8021Q"),
            Self::Vxlan => ("vxlan", "CONFIG_VXLAN"),
            Self::Macvlan => ("macvlan", "CONFIG_MACVLAN"),
            Self::Dummy => ("dummy", "CONFIG_DUMMY"),
            Self::Vrf => ("vrf", "CONFIG_NET_VRF"),
            Self::Wireguard => ("wireguard", "CONFIG_WIREGUARD"),
            Self::Bond => ("bonding", "CONFIG_BONDING"),
            Self::Ipip => ("ipip", "CONFIG_NET_IPIP"),
            Self::Gre => ("ip_gre", "CONFIG_NET_IPGRE"),
            Self::Sit => ("sit", "CONFIG_IPV6_SIT"),
            Self::Ip6tnl => ("ip6_tunnel", "CONFIG_IPV6_TUNNEL"),
            Self::Ip6gre => ("ip6_gre", "CONFIG_IPV6_GRE"),
            Self::FreshProc => ("", ""),
        }
    }
}
