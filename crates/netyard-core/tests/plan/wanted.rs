//! What labs want from the kernel.

use crate::labs::{
    BRIDGE, chain, forwarding, home, internet, lab, network, node, star, with_bridge, with_gateway,
};
use netyard_core::desired;
use netyard_core::lab::{Arp, Lab, NetworkKind, NodeKind, Profile, Uplink};
use netyard_core::nft::Table;
use netyard_core::shaping::Shaping;
use netyard_core::state::{Link, LinkKind, Namespace, Ns, State};
use std::collections::{BTreeMap, BTreeSet};

fn of<'a>(state: &'a State, ns: &str) -> &'a Namespace {
    &state.namespaces[&ns.parse::<Ns>().unwrap()]
}

fn link<'a>(state: &'a State, ns: &str, name: &str) -> &'a Link {
    &of(state, ns).links[name]
}

/// The values of a node, one a line.
fn sysctls(lab: &Lab, ns: &str) -> Vec<String> {
    of(&desired::state(lab), ns).sysctls.iter().map(|(key, value)| format!("{key}={value}")).collect()
}

/// The routes of a node in the words of ip(8), without namespace.
fn routes(lab: &Lab, ns: &str) -> Vec<String> {
    let state = desired::state(lab);
    let words = |route: &netyard_core::state::Route| {
        let step = netyard_core::step::Step::AddRoute { ns: Ns::Fabric, route: route.clone() };
        let command = step.commands().remove(0);
        command.replace("ip -n fabric ", "").replace("-6 ", "").replace("route add ", "")
    };
    of(&state, ns).routes.iter().map(words).collect()
}

#[test]
fn a_lab_of_cables_has_no_fabric() {
    assert!(!desired::state(&chain()).namespaces.contains_key(&Ns::Fabric));
}

#[test]
fn an_interface_is_the_far_end_of_a_bridge_port() {
    let state = desired::state(&home());
    let port = link(&state, "fabric", "router.1");
    assert_eq!(
        port.kind,
        LinkKind::Veth { peer_ns: "router".parse().unwrap(), peer: "eth1".parse().unwrap() }
    );
    assert_eq!(port.master.as_ref().unwrap(), &"isp");
    assert!(port.is_up && port.addresses.is_empty() && !port.fills_checksums);
    let interface = link(&state, "router", "eth1");
    assert_eq!(interface.kind, LinkKind::Veth { peer_ns: Ns::Fabric, peer: "router.1".parse().unwrap() });
    assert!(interface.is_up && interface.fills_checksums);
    assert!(!link(&state, "fabric", "lo").is_up);
    assert!(link(&state, "pc", "lo").is_up);
}

#[test]
fn a_fast_lab_leaves_checksums_to_nobody() {
    let mut lab = home();
    lab.profile = Profile::Fast;
    assert!(!link(&desired::state(&lab), "pc", "eth0").fills_checksums);
}

#[test]
fn a_port_takes_the_packets_of_its_network_whatever_the_node_believes() {
    let mut lab = home();
    lab.networks[0].mtu = 1400;
    let state = desired::state(&lab);
    assert_eq!([link(&state, "fabric", "lan").mtu, link(&state, "fabric", "pc").mtu], [1400, 1400]);
    assert_eq!(link(&state, "pc", "eth0").mtu, 1500);
}

#[test]
fn each_direction_is_shaped_where_it_leaves() {
    let rate = |rate| Shaping { rate_bit_per_s: Some(rate), ..Shaping::default() };
    let mut lab = home();
    let interface = &mut lab.nodes[0].interfaces[0];
    (interface.up, interface.down) = (rate(1_000_000), rate(5_000_000));
    let state = desired::state(&lab);
    assert!(link(&state, "pc", "eth0").egress.is_like(&rate(1_000_000)));
    assert!(link(&state, "fabric", "pc").egress.is_like(&rate(5_000_000)));

    let mut lab = chain();
    lab.nodes[0].interfaces[0].down = rate(1_000_000);
    lab.nodes[2].interfaces[0].up = rate(2_000_000);
    lab.nodes[1].interfaces[1].down = rate(3_000_000);
    let state = desired::state(&lab);
    assert!(link(&state, "r1", "eth0").egress.is_like(&rate(1_000_000)), "the far end's down");
    assert!(link(&state, "r2", "eth0").egress.is_like(&rate(2_000_000)), "its own up comes before that");
    assert!(link(&state, "h1", "eth0").egress.is_none());
}

#[test]
fn a_network_of_more_than_1000_ports_is_a_star_of_bridges() {
    let state = desired::state(&star(2500));
    let links = &of(&state, "fabric").links;
    let mut ports: BTreeMap<&str, usize> = BTreeMap::new();
    for master in links.values().filter_map(|link| link.master.as_ref()) {
        *ports.entry(master.as_str()).or_default() += 1;
    }
    assert_eq!(ports, BTreeMap::from([("lan", 1002), ("lan~1", 1001), ("lan~2", 501)]));
    assert_eq!(links["lan~1a"].master.as_ref().unwrap(), &"lan");
    assert_eq!(links["lan~1b"].master.as_ref().unwrap(), &"lan~1");
    assert_eq!(links["h1000"].master.as_ref().unwrap(), &"lan~1");
}

#[test]
fn a_node_has_every_value_that_a_host_could_have_changed() {
    assert_eq!(
        sysctls(&home(), "pc"),
        [
            "net.ipv4.conf.all.accept_redirects=1",
            "net.ipv4.conf.all.arp_announce=0",
            "net.ipv4.conf.all.arp_ignore=0",
            "net.ipv4.conf.all.promote_secondaries=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.all.send_redirects=1",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv4.icmp_ratemask=0",
            "net.ipv4.ip_forward=0",
            "net.ipv4.ping_group_range=0 0",
            "net.ipv6.conf.all.disable_ipv6=1",
            "net.ipv6.conf.default.disable_ipv6=1",
        ]
    );
    let ipv6: Vec<String> =
        sysctls(&chain(), "r1").into_iter().filter(|line| line.contains("ipv6")).collect();
    assert_eq!(
        ipv6,
        [
            "net.ipv6.conf.all.accept_dad=0",
            "net.ipv6.conf.all.disable_ipv6=0",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv6.conf.default.accept_dad=0",
            "net.ipv6.conf.default.accept_ra=0",
            "net.ipv6.conf.default.disable_ipv6=0",
            "net.ipv6.icmp.ratelimit=0",
        ]
    );
    assert_eq!(
        sysctls(&home(), "fabric"),
        [
            "net.bridge.bridge-nf-call-arptables=0",
            "net.bridge.bridge-nf-call-ip6tables=0",
            "net.bridge.bridge-nf-call-iptables=0",
            "net.ipv6.conf.all.disable_ipv6=1",
            "net.ipv6.conf.default.disable_ipv6=1",
        ]
    );
}

#[test]
fn what_the_file_says_comes_last() {
    let mut lab = home();
    let values = [
        ("net.ipv4.conf.all.forwarding", "1"),
        ("ipv4.conf.all.rp_filter", "2"),
        ("net.ipv4.conf.eth0.rp_filter", "1"),
        ("net.ipv4.conf.eth7.rp_filter", "1"),
    ];
    lab.nodes[0].sysctls = values.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let written = sysctls(&lab, "pc");
    let has = |line: &str| written.iter().any(|written| written == line);
    assert!(has("net.ipv4.ip_forward=1") && has("net.ipv4.conf.all.accept_redirects=0"), "{written:#?}");
    assert!(has("net.ipv4.conf.all.rp_filter=2") && has("net.ipv4.conf.eth0.rp_filter=1"), "{written:#?}");
    assert!(!written.iter().any(|line| line.contains("eth7")), "there is no such interface: {written:#?}");
}

#[test]
fn two_interfaces_in_one_prefix_answer_arp_each_for_itself() {
    let both = node("both", &[("lan", &["10.0.0.8/24"]), ("lan", &["10.0.0.9/24"])]);
    let mut lab = home();
    lab.nodes.push(both);
    let written = sysctls(&lab, "both");
    assert!(written.contains(&"net.ipv4.conf.all.arp_ignore=1".to_owned()), "{written:#?}");
    assert!(written.contains(&"net.ipv4.conf.all.arp_announce=2".to_owned()), "{written:#?}");
}

#[test]
fn the_internet_answers_for_the_world_but_not_for_private_prefixes() {
    let everything = [
        "local default dev lo table main",
        "unreachable 10.0.0.0/8",
        "unreachable 100.64.0.0/10",
        "unreachable 172.16.0.0/12",
        "unreachable 192.168.0.0/16",
    ];
    assert_eq!(routes(&home(), "internet"), everything);
    let mut lab = home();
    lab.networks.push(network("dmz", BRIDGE, &["203.0.113.0/24", "2001:db8:5::/48", "192.168.7.0/24"]));
    let with_ipv6 = routes(&lab, "internet");
    for route in ["unreachable 203.0.113.0/24", "unreachable 2001:db8:5::/48", "unreachable fc00::/7"] {
        assert!(with_ipv6.iter().any(|line| line == route), "{route}: {with_ipv6:#?}");
    }
    assert!(with_ipv6.iter().any(|line| line == "local default dev lo table main"));
    assert_eq!(with_ipv6.len(), 9, "192.168.7.0/24 is within 192.168.0.0/16: {with_ipv6:#?}");
}

#[test]
fn the_internet_reaches_what_it_is_on_and_has_routes_to() {
    let mut lab = home();
    let mut wide = internet(node("internet", &[("isp", &["10.138.0.1/8"])]));
    wide.routes.push(netyard_core::state::Route::via(
        "203.0.0.0/16".parse().unwrap(),
        "10.138.0.3".parse().unwrap(),
        "eth0".parse().unwrap(),
    ));
    lab.nodes[3] = wide;
    lab.networks.push(network("dmz", BRIDGE, &["203.0.113.0/24"]));
    let routes = routes(&lab, "internet");
    assert!(!routes.iter().any(|line| line.starts_with("unreachable 10.")), "{routes:#?}");
    assert!(!routes.iter().any(|line| line.starts_with("unreachable 203.")), "{routes:#?}");
}

#[test]
fn an_internet_node_with_a_way_out_does_not_answer_itself() {
    let is_local = |lab: &Lab| routes(lab, "internet").iter().any(|line| line.starts_with("local"));
    let mut lab = home();
    lab.nodes[3].uplink = Some(Uplink::Pasta);
    assert!(!is_local(&lab));
    let mut lab = home();
    lab.nodes[3] = with_gateway(lab.nodes[3].clone(), "10.138.0.9", "eth0");
    // It reaches the whole lab through its gateway, as any host.
    assert_eq!(routes(&lab, "internet"), ["default via 10.138.0.9 dev eth0"]);
}

#[test]
fn static_arp_knows_everybody_on_the_same_network() {
    let mut lab = home();
    lab.arp = Arp::Static;
    let bridged = with_bridge(node("sw", &[("lan", &["10.0.0.7/24"])]), "br0", &["eth0"], &[]);
    lab.nodes.push(bridged);
    let state = desired::state(&lab);
    let of_pc: Vec<String> =
        of(&state, "pc").neighbours.iter().map(|n| format!("{} {} {}", n.dev, n.to, n.mac)).collect();
    let mac = |ns: &str, name: &str| link(&state, ns, name).mac.unwrap();
    let expected = [
        format!("eth0 10.0.0.2 {}", mac("printer", "eth0")),
        format!("eth0 10.0.0.7 {}", mac("sw", "br0")),
        format!("eth0 10.0.0.254 {}", mac("router", "eth0")),
    ];
    assert_eq!(of_pc, expected);
    assert!(of(&state, "sw").neighbours.iter().all(|neighbour| neighbour.dev == "br0"));
    assert!(of(&desired::state(&home()), "pc").neighbours.is_empty());
}

#[test]
fn a_host_node_gets_the_labs_links_and_nothing_for_its_whole_namespace() {
    let mut lab = home();
    let mut host = forwarding(node("host", &[("lan", &["10.0.0.50/24"])]), false);
    host.kind = NodeKind::Host;
    host.sysctls = BTreeMap::from([("net.ipv4.ip_forward".to_owned(), "1".to_owned())]);
    host.firewall = Some(crate::labs::firewall());
    lab.nodes.push(host);
    let state = desired::state(&lab);
    let host = of(&state, "host");
    assert_eq!(host.links.keys().map(ToString::to_string).collect::<Vec<_>>(), ["eth0"]);
    assert_eq!(
        sysctls(&lab, "host"),
        ["net.ipv4.conf.eth0.forwarding=1", "net.ipv6.conf.eth0.disable_ipv6=1"]
    );
    assert_eq!(host.tables, BTreeSet::<Table>::new());
}

#[test]
fn a_bridge_in_a_node_has_the_addresses_and_its_ports_have_none() {
    let sw = with_bridge(
        node("sw", &[("a", &["10.0.0.1/24"]), ("b", &[])]),
        "br0",
        &["eth0", "eth1"],
        &["10.0.0.2/24"],
    );
    let networks = vec![network("a", BRIDGE, &[]), network("b", NetworkKind::Hub, &[])];
    let state = desired::state(&lab("sw", networks, vec![sw]));
    let addresses: Vec<String> =
        link(&state, "sw", "br0").addresses.iter().map(ToString::to_string).collect();
    assert_eq!(addresses, ["10.0.0.1/24", "10.0.0.2/24"]);
    assert!(link(&state, "sw", "eth0").addresses.is_empty());
    assert_eq!(link(&state, "sw", "eth0").master.as_ref().unwrap(), &"br0");
    assert!(of(&state, "sw").sysctls.contains_key("net.bridge.bridge-nf-call-iptables"));
}

#[test]
fn an_input_filter_lets_neighbour_discovery_pass_where_there_is_ipv6() {
    let rules = |mut lab: Lab| {
        lab.nodes[1].firewall = Some(crate::labs::firewall());
        let state = desired::state(&lab);
        let table = of(&state, lab.nodes[1].name.as_str()).tables.first().unwrap().clone();
        let input = table.chains.iter().find(|chain| chain.name == "input").unwrap();
        input.rules.iter().map(ToString::to_string).filter(|rule| rule.contains("icmpv6")).count()
    };
    assert_eq!(rules(chain()), 5);
    assert_eq!(rules(home()), 0);
}
