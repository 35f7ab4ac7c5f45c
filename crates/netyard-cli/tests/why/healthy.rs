//! Ways without a fault, hop by hop.

use crate::net::Net;
use serde_json::Value;

/// Hops of one kind: `place: what`.
fn hops(told: &Value, leg: usize, kind: &str) -> Vec<String> {
    let place = |hop: &Value| match hop["place"]["interface"].as_str() {
        Some(interface) => format!("{}:{interface}", hop["place"]["node"].as_str().unwrap()),
        None => hop["place"]["node"].as_str().unwrap().to_owned(),
    };
    let all = told["legs"][leg]["hops"].as_array().unwrap();
    all.iter().filter(|hop| hop["event"] == kind || hop["event"].get(kind).is_some()).map(place).collect()
}

/// Addresses of the packet where it passes an interface.
fn seen_at(told: &Value, leg: usize, place: (&str, &str)) -> String {
    let all = told["legs"][leg]["hops"].as_array().unwrap();
    let hop = all
        .iter()
        .find(|hop| {
            (hop["event"] == "sent" || hop["event"] == "received")
                && hop["place"]["node"] == place.0
                && hop["place"]["interface"] == place.1
        })
        .unwrap_or_else(|| panic!("nothing passes {place:?}"));
    let ends = &hop["headers"]["endpoints"];
    format!("{} > {}", ends["source"].as_str().unwrap(), ends["destination"].as_str().unwrap())
}

/// What tcpdump would show at each place, before and after the router has rewritten it.
#[test]
fn a_way_through_a_router_is_told_with_the_addresses_at_each_place() {
    let net = Net::lab("why-healthy");
    let said = net.why(&["pc", "1.1.1.1"]);
    assert!(said.is_reachable() && said.faults().is_empty() && said.code == Some(0), "{}", said.sentences());
    assert_eq!(said.told["schema"], "netyard/why/1");
    assert_eq!(
        hops(&said.told, 0, "sent"),
        ["pc:eth0", "fabric:router-eth0", "router:eth1", "fabric:internet"]
    );
    assert_eq!(
        hops(&said.told, 0, "received"),
        ["fabric:pc", "router:eth0", "fabric:router-eth1", "internet:eth0"]
    );
    assert_eq!(
        hops(&said.told, 1, "sent"),
        ["internet:eth0", "fabric:router-eth1", "router:eth0", "fabric:pc"]
    );
    assert_eq!(hops(&said.told, 0, "translated"), ["router"]);
    assert_eq!(seen_at(&said.told, 0, ("router", "eth0")), "10.0.0.1 > 1.1.1.1");
    assert_eq!(seen_at(&said.told, 0, ("router", "eth1")), "10.138.0.3 > 1.1.1.1");
    assert_eq!(seen_at(&said.told, 1, ("router", "eth1")), "1.1.1.1 > 10.138.0.3");
    assert_eq!(seen_at(&said.told, 1, ("router", "eth0")), "1.1.1.1 > 10.0.0.1");
    let text = net.run(&["why", "pc", "1.1.1.1"]).stdout;
    assert!(text.starts_with("pc reaches 1.1.1.1 (icmp), and the answer comes back\n"), "{text}");
    assert!(text.contains("masquerade: 10.0.0.1 > 1.1.1.1 becomes 10.138.0.3 > 1.1.1.1"), "{text}");
}

/// The same network by hand is told in the same words.
#[test]
fn a_network_made_by_hand_is_explained_without_a_lab_file() {
    let net = Net::by_hand("why-hand");
    let said = net.why(&["pc", "1.1.1.1"]);
    let stops: Vec<&Value> = said.faults().iter().filter(|fault| fault["effect"] == "stops").collect();
    assert!(said.is_reachable() && stops.is_empty(), "{}", said.sentences());
    assert_eq!(hops(&said.told, 0, "sent"), ["pc:veth1-pc", "world:ens4"]);
    assert_eq!(seen_at(&said.told, 0, ("isp", "eth0")), "10.138.0.3 > 1.1.1.1");
    // From the machine itself the one who asks need not be named.
    let own = net.run(&["why", "pc"]);
    assert!(
        own.code == Some(0) && own.stdout.starts_with("world reaches pc (10.0.0.1)"),
        "{}{}",
        own.stdout,
        own.stderr
    );
}

/// In the sandbox, as a word of its own too; what is missing there is found there.
#[test]
fn the_sandbox_explains_itself() {
    let yard = crate::support::Yard::new("why-play");
    let script = "set -e
        ip netns add pc; ip link add veth1-br type veth peer name veth1-pc netns pc
        ip link add bridge0 type bridge; ip link set veth1-br master bridge0 up; ip link set bridge0 up
        ip address add 10.0.0.254/24 dev bridge0
        ip -n pc address add 10.0.0.1/24 dev veth1-pc; ip -n pc link set veth1-pc up
        ip -n pc link set lo up; ip -n pc route add default via 10.0.0.254
        netyard why pc vm > /dev/null && echo pc reaches the machine
        why pc 1.1.1.1 --json > /tmp/first || true
        grep -o '\"cause\": \"not-forwarding\"' /tmp/first | head -1
        sysctl -qw net.ipv4.ip_forward=1
        why pc 1.1.1.1 | head -1
        nft 'add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }
             add rule ip nat post oifname ens4 masquerade'
        why pc 1.1.1.1 | head -1
        why vm 1.1.1.1 | grep -c internet:eth0
        why pc 1.1.1.1 --probe | head -1
        trace pc 1.1.1.1 | grep -c 'delivered to 1.1.1.1'
        ip netns list";
    let ran = yard.run(&["play", "--lab", &yard.lab, "sh", "-c", script]);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    let [machine, cause, private, seen, passed, probed, traced, own] = lines[..] else {
        panic!("{}{}", ran.stdout, ran.stderr)
    };
    assert_eq!((machine, cause), ("pc reaches the machine", "\"cause\": \"not-forwarding\""));
    assert!(private.starts_with("vm passes on 10.0.0.1 untranslated by ens4"), "{private}");
    // The internet is there to be asked, and no namespace of the learner's.
    let reaches = "pc reaches 1.1.1.1 (icmp), and the answer comes back";
    assert_eq!((seen, probed), (reaches, reaches));
    assert_eq!((passed, traced), ("4", "1"));
    assert!(own.starts_with("pc"), "{own}");
}

/// Two bridges on a cable, a tunnel over UDP, and a second address on one wire.
#[test]
fn frames_are_followed_through_bridges_and_tunnels() {
    let net = Net::by_hand("why-kinds-of-links");
    let reached = |from: &str, to: &str, kind: &str| {
        let said = net.why(&[from, to]);
        assert!(said.is_reachable(), "{kind}: {}", said.sentences());
        assert!(net.passes(&[from, to], &said), "{kind}");
        said
    };
    // A second bridge behind the first.
    net.does(
        "world",
        "ip link add br1 type bridge; ip link add up0 type veth peer name down0
         ip link set up0 master bridge0 up; ip link set down0 master br1 up; ip link set br1 up
         ip link set veth2-br master br1",
    );
    let said = reached("pc", "printer", "two bridges");
    assert_eq!(hops(&said.told, 0, "bridged").len(), 2, "{}", said.told["legs"][0]);
    net.does("world", "ip link set down0 down");
    assert_eq!(net.why(&["pc", "printer"]).stopping(), ["no-carrier world:down0"]);
    net.does("world", "ip link set down0 up");
    // A network over UDP between the two.
    net.does(
        "world",
        "ip link add vx0 type vxlan id 42 remote 10.138.0.1 local 10.138.0.3 dstport 4789
         ip address add 10.42.0.1/24 dev vx0; ip link set vx0 up
         ip -n isp link add vx0 type vxlan id 42 remote 10.138.0.3 local 10.138.0.1 dstport 4789
         ip -n isp address add 10.42.0.2/24 dev vx0; ip -n isp link set vx0 up",
    );
    let said = reached("world", "10.42.0.2", "vxlan");
    assert!(!hops(&said.told, 0, "tunnelled").is_empty(), "{}", said.told["legs"][0]);
    net.does(
        "isp",
        "nft 'add table ip f; add chain ip f in { type filter hook input priority 0; }
                     add rule ip f in udp dport 4789 drop'",
    );
    let said = net.why(&["world", "10.42.0.2"]);
    assert_eq!(said.stopping(), ["rule isp"], "{}", said.sentences());
    assert!(!net.passes(&["world", "10.42.0.2"], &said));
    // A second address on the wire of an interface.
    net.does(
        "world",
        "ip netns add guest; ip -n pc link set veth1-pc promisc on
         ip link add mv0 link ens4 netns guest type macvlan mode bridge
         ip -n guest address add 10.138.0.9/24 dev mv0; ip -n guest link set mv0 up",
    );
    reached("guest", "isp", "macvlan");
}

/// IPv6 by hand: what stops it is named like what stops IPv4.
#[test]
fn ipv6_has_the_same_faults() {
    let net = Net::by_hand("why-ipv6");
    net.does(
        "world",
        "for n in pc printer; do
             ip netns exec $n sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.accept_dad=0
         done
         ip -n pc address add fd00::1/64 dev veth1-pc nodad; ip -n printer address add fd00::2/64 dev veth2-printer nodad",
    );
    let said = net.why(&["-6", "pc", "printer"]);
    assert!(said.is_reachable() && said.told["to"]["address"] == "fd00::2", "{}", said.sentences());
    crate::support::until("the addresses can be used", || net.passes(&["pc", "printer"], &said));
    net.does(
        "printer",
        "nft 'add table inet f; add chain inet f in { type filter hook input priority 0; policy drop; }
                         add rule inet f in icmpv6 type echo-request accept'
                         ip -6 neigh flush all",
    );
    net.does("pc", "ip -6 neigh flush all");
    let said = net.why(&["-6", "pc", "printer"]);
    assert_eq!(said.stopping(), ["policy printer"], "{}", said.sentences());
    assert!(
        said.faults()
            .iter()
            .any(|fault| fault["sentence"].as_str().unwrap().contains("neighbour solicitation"))
    );
    assert!(!net.passes(&["pc", "printer"], &said));
    net.does("printer", "nft delete table inet f");
    let said = net.why(&["pc", "2001:db8::1"]);
    assert_eq!(said.stopping(), ["no-route pc"], "{}", said.sentences());
}

#[test]
fn what_is_no_host_is_not_asked_for() {
    let net = Net::lab("why-no-host");
    for (words, reason) in [
        (&["why", "pc", "10.0.0.255"][..], "a broadcast address"),
        (&["why", "pc", "255.255.255.255"], "a broadcast address"),
        (&["why", "pc", "224.0.0.1"], "a multicast group"),
        (&["why", "pc", "0.0.0.0"], "the address of nobody"),
        (&["why", "10.0.0.1", "2001:db8::1"], "an address of IPv6, and IPv4 is asked for"),
        (&["why", "pc", "10.0.0.2", "-6"], "an address of IPv4, and IPv6 is asked for"),
        (&["why", "pc"], "whom shall `pc` reach?"),
    ] {
        let ran = net.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{words:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(reason), "{words:?}: {}", ran.stderr);
    }
}
