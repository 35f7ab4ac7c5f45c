//! Networks as people build them by hand, the talk's first.

#![allow(dead_code, reason = "each test program uses its own part")]

/// The commands of the talk's slides up to the address translation, with the modern ones for `brctl`.
macro_rules! talk {
    ($nat:literal) => {
        concat!(
            "ip link set lo up
             ip netns add internet
             ip link add ens4 type veth peer name eth0 netns internet
             ip address add 10.138.0.3/32 dev ens4; ip link set ens4 up
             ip -n internet address add 10.138.0.1/24 dev eth0; ip -n internet link set eth0 up
             ip route add 10.138.0.1 dev ens4; ip route add default via 10.138.0.1 dev ens4
             ip netns add pc
             ip netns add printer
             ip link add name veth1-pc type veth peer name veth1-br
             ip link set veth1-pc netns pc
             ip link add name veth2-printer type veth peer name veth2-br
             ip link add name veth3-df type veth peer name veth3-br
             ip link set veth2-printer netns printer
             ip link add bridge0 type bridge
             ip link set veth1-br master bridge0; ip link set veth2-br master bridge0
             ip netns exec pc ip address add 10.0.0.1/24 dev veth1-pc
             ip netns exec printer ip address add 10.0.0.2/24 dev veth2-printer
             ip link set bridge0 up; ip link set veth1-br up; ip link set veth2-br up
             ip netns exec pc ip link set veth1-pc up
             ip netns exec printer ip link set veth2-printer up
             ip link set veth3-br master bridge0
             ip address add 10.0.0.254/24 dev veth3-df
             ip link set veth3-br up; ip link set veth3-df up
             ip netns exec pc ip route add default via 10.0.0.254
             echo 1 > /proc/sys/net/ipv4/ip_forward\n",
            $nat
        )
    };
}

/// Names, and what is typed.
pub const NETWORKS: [(&str, &str); 12] = [
    (
        "the talk",
        talk!("iptables-legacy --table nat --flush
               iptables-legacy --table nat --append POSTROUTING --source 10.0.0.0/24 --jump MASQUERADE"),
    ),
    (
        "the talk with iptables of nf_tables",
        talk!("iptables-nft --table nat --append POSTROUTING --source 10.0.0.0/24 --jump MASQUERADE"),
    ),
    (
        "the talk with nft",
        talk!("nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority srcnat; }
               add rule ip nat post ip saddr 10.0.0.0/24 oifname \"ens4\" masquerade'"),
    ),
    (
        "nested bridges",
        "ip netns add sw; ip netns add a
         for b in br0 br1; do ip link add $b type bridge; ip link set $b up; done
         ip -n sw link add inner type bridge; ip -n sw link set inner up
         ip link add x0 type veth peer name x1; ip link set x0 master br0; ip link set x1 master br1
         ip link add lower type veth peer name upper netns sw
         ip link set lower master br1; ip -n sw link set upper master inner
         ip -n sw link add p type veth peer name eth0 netns a; ip -n sw link set p master inner
         for l in x0 x1 lower; do ip link set $l up; done; for l in upper p; do ip -n sw link set $l up; done
         ip -n a link set eth0 up; ip -n a address add 172.16.0.2/24 dev eth0",
    ),
    (
        "two cables between the same two",
        "ip netns add a; ip netns add b
         ip -n a link add one type veth peer name one netns b
         ip -n a link add two type veth peer name zwei netns b
         for n in a b; do ip -n $n link set lo up; ip -n $n link set one up; done
         ip -n a link set two up; ip -n b link set zwei up
         ip -n a address add 10.1.0.1/30 dev one; ip -n b address add 10.1.0.2/30 dev one
         ip -n a address add 10.2.0.1/30 dev two; ip -n b address add 10.2.0.2/30 dev zwei
         ip -n a route add 10.9.0.0/16 nexthop via 10.1.0.2 weight 2 nexthop via 10.2.0.2
         ip -n b neighbour add 10.1.0.1 lladdr 02:00:00:00:00:99 dev one nud permanent",
    ),
    (
        "addresses on bridges",
        "ip netns add a; ip netns add b
         ip link add br0 type bridge; ip address add 192.168.7.1/24 dev br0; ip address add 192.168.8.1/24 dev br0
         ip link set br0 up
         for n in a b; do
             ip link add to-$n type veth peer name eth0 netns $n; ip link set to-$n master br0; ip link set to-$n up
             ip -n $n link set eth0 up
         done
         ip -n a address add 192.168.7.2/24 dev eth0; ip -n b address add 192.168.8.2/24 dev eth0
         ip -n a route add default via 192.168.7.1; ip -n b route add default via 192.168.8.1 metric 50
         echo 1 > /proc/sys/net/ipv4/ip_forward",
    ),
    (
        "legacy and nft rules side by side",
        "ip netns add a
         ip link add in type veth peer name eth0 netns a
         ip address add 10.5.0.1/24 dev in; ip link set in up
         ip -n a address add 10.5.0.2/24 dev eth0; ip -n a link set eth0 up
         iptables-legacy -N log-it; iptables-legacy -A log-it -s 10.5.0.9 -j RETURN; iptables-legacy -A log-it -j DROP
         iptables-legacy -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         iptables-legacy -A INPUT -p tcp -m multiport --dports 22,80:90 -j ACCEPT
         iptables-legacy -A INPUT ! -i in -p icmp --icmp-type 8 -j log-it
         iptables-legacy -P FORWARD DROP
         iptables-legacy -t nat -A PREROUTING -i in -p tcp --dport 8080 -j DNAT --to-destination 10.5.0.2:80
         ip6tables-legacy -A FORWARD -s fd00::/8 -p tcp --syn -j REJECT
         nft 'add table inet t; add chain inet t c { type filter hook forward priority 0; policy drop; }
         add chain inet t d; add rule inet t c ct state established,related accept; add rule inet t c iifname in jump d
         add rule inet t d tcp dport { 80, 443 } counter accept; add rule inet t d udp dport 53-54 drop'
         nft 'add table ip6 empty'",
    ),
    (
        "macvlan",
        "ip netns add a; ip netns add b; ip netns add c
         ip link add wire type veth peer name far netns c
         ip link set wire up; ip -n c link set far up; ip -n c address add 10.7.0.9/24 dev far
         ip link add own link wire type macvlan mode bridge; ip address add 10.7.0.1/24 dev own; ip link set own up
         for n in a b; do
             ip link add eth0 link wire netns $n type macvlan mode bridge; ip -n $n link set eth0 up
         done
         ip -n a address add 10.7.0.2/24 dev eth0; ip -n b address add 10.7.0.3/24 dev eth0
         ip -n b link add over link eth0 type macvlan mode private",
    ),
    (
        "vxlan",
        "ip netns add a; ip netns add b
         ip -n a link add wan type veth peer name wan netns b
         for n in a b; do ip -n $n link set wan up; ip -n $n link add br0 type bridge; ip -n $n link set br0 up; done
         ip -n a address add 203.0.113.1/24 dev wan; ip -n b address add 203.0.113.2/24 dev wan
         ip -n a link add vx type vxlan id 42 local 203.0.113.1 remote 203.0.113.2 dstport 4789
         ip -n b link add vx type vxlan id 42 local 203.0.113.2 remote 203.0.113.1 dstport 4789 nolearning
         ip -n a link add many type vxlan id 43 group 239.1.1.1 dev wan dstport 8472
         for n in a b; do ip -n $n link set vx master br0; ip -n $n link set vx up; done
         ip -n a address add 10.8.0.1/24 dev br0; ip -n b address add 10.8.0.2/24 dev br0",
    ),
    (
        "tables and rules of routing",
        "ip netns add a
         ip -n a link set lo up
         ip -n a link add eth0 type veth peer name eth0 netns 1
         ip -n a link set eth0 up; ip link set eth0 up; ip address add 10.6.0.1/24 dev eth0
         ip -n a address add 10.6.0.2/24 dev eth0; ip -n a address add 10.6.1.2/32 dev lo
         ip -n a route add default via 10.6.0.1 table 100 src 10.6.0.2
         ip -n a route add blackhole 10.66.0.0/16; ip -n a route add unreachable 10.67.0.0/16 metric 7
         ip -n a rule add from 10.6.1.0/24 lookup 100 priority 1000
         ip -n a rule add fwmark 0x10/0xff iif lo prohibit priority 1001
         ip -n a -6 rule add to fd00::/8 lookup 100 priority 1002",
    ),
    (
        "IPv6",
        "ip netns add a; ip netns add r
         ip -n r link add eth0 type veth peer name eth0 netns a
         for n in a r; do ip -n $n link set lo up; ip -n $n link set eth0 up; done
         ip -n r address add fd00:1::1/64 dev eth0 nodad; ip -n a address add fd00:1::2/64 dev eth0 nodad
         ip -n a -6 route add default via fd00:1::1
         ip netns exec r sysctl -qw net.ipv6.conf.all.forwarding=1
         ip netns exec a sysctl -qw net.ipv6.conf.default.disable_ipv6=1",
    ),
    (
        "spanning tree, MTUs, what is down, values of single interfaces",
        "ip netns add a
         ip link add br0 type bridge stp_state 1 forward_delay 400 priority 4096
         ip link add p type veth peer name eth0 netns a; ip link set p master br0
         ip link set p mtu 1400; ip -n a link set eth0 mtu 1300 address 02:00:00:00:00:0a; ip -n a link set eth0 up
         ip link add hub type bridge ageing_time 0 mcast_snooping 0
         ip -n a address add 10.4.0.1/24 dev eth0
         ip netns exec a sysctl -qw net.ipv4.conf.eth0.rp_filter=1 net.ipv4.conf.eth0.forwarding=1",
    ),
];

/// Links to programs; `/dev/net/tun` must be open to the caller.
pub const TUN: (&str, &str) = (
    "tun and tap",
    "ip netns add a
     ip -n a tuntap add dev tun0 mode tun; ip -n a address add 10.3.0.1/24 dev tun0; ip -n a link set tun0 up
     ip -n a tuntap add dev tap0 mode tap; ip -n a link add br0 type bridge
     ip -n a link set tap0 master br0; ip -n a link set tap0 up; ip -n a link set br0 up",
);
