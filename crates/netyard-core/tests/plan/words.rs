//! Plans in the words of ip, tc, nft and ethtool. Values of whole namespaces are in `wanted`; here they are left out.

use crate::labs::{self, BRIDGE, forwarding, home, lab, network, node, with_bridge, with_gateway};
use netyard_core::desired;
use netyard_core::diff::diff;
use netyard_core::lab::{Lab, NetworkKind};
use netyard_core::script::script;
use netyard_core::shaping::{Shaping, Share};
use netyard_core::state::{NextHop, Ns, Route, RouteTarget, State, Stp};
use netyard_core::step::Step;

/// The plan between two states, one command a line.
#[track_caller]
fn check_steps(live: &State, wanted: &State, expected: &str) {
    let commands = diff(live, wanted).iter().flat_map(Step::commands).collect::<Vec<_>>();
    let is_shown = |command: &&String| !(command.contains(" sysctl ") && command.contains("all."));
    let shown: Vec<&str> = commands.iter().filter(is_shown).map(String::as_str).collect();
    let expected: Vec<&str> =
        expected.lines().map(|line| line.strip_prefix("        ").unwrap_or(line)).collect();
    assert_eq!(shown.join("\n"), expected.join("\n").trim());
}

/// The plan that makes a lab.
#[track_caller]
fn check_build(lab: &Lab, expected: &str) {
    check_steps(&State::default(), &desired::state(lab), expected);
}

/// The plan from the talk's network to the same with a change.
#[track_caller]
fn check_change(change: impl FnOnce(&mut Lab), expected: &str) {
    let mut changed = home();
    change(&mut changed);
    check_steps(&desired::state(&home()), &desired::state(&changed), expected);
}

/// The words of one step in namespace `pc`.
#[track_caller]
fn check_step(step: impl FnOnce(Ns) -> Step, expected: &str) {
    assert_eq!(step("pc".parse().unwrap()).commands().join("\n"), expected);
}

fn route(text: &str, target: RouteTarget) -> Route {
    Route {
        target,
        ..Route::via(text.parse().unwrap(), "10.0.0.1".parse().unwrap(), "eth0".parse().unwrap())
    }
}

fn hop(via: Option<&str>, dev: &str, weight: u16, onlink: bool) -> NextHop {
    NextHop { via: via.map(|via| via.parse().unwrap()), dev: dev.parse().unwrap(), weight, onlink }
}

#[test]
fn the_network_of_the_talk_is_made_bridges_first_and_then_node_by_node() {
    check_build(
        &home(),
        r#"
        ip netns add fabric
        ip netns add internet
        ip netns add pc
        ip netns add printer
        ip netns add router
        ip -n fabric link add name isp address 02:59:78:49:2c:d7 mtu 1500 type bridge stp_state 0 mcast_snooping 0
        ip -n fabric link set dev isp up
        ip -n fabric link add name lan address 02:7b:2b:37:2c:f0 mtu 1500 type bridge stp_state 0 mcast_snooping 0
        ip -n fabric link set dev lan up
        ip -n fabric link add name internet address 02:a2:d7:ac:9d:49 mtu 1500 master isp up type veth peer name eth0 address 02:c2:02:f4:07:ce mtu 1500 netns internet
        ip -n fabric link add name pc address 02:90:8e:ec:f3:27 mtu 1500 master lan up type veth peer name eth0 address 02:46:af:29:c5:ca mtu 1500 netns pc
        ip -n fabric link add name printer address 02:28:5e:4d:9e:57 mtu 1500 master lan up type veth peer name eth0 address 02:e6:c7:dd:a1:f1 mtu 1500 netns printer
        ip -n fabric link add name router address 02:65:c4:72:e4:e8 mtu 1500 master lan up type veth peer name eth0 address 02:d8:4d:ce:d1:ab mtu 1500 netns router
        ip -n fabric link add name router.1 address 02:59:bc:97:5f:d7 mtu 1500 master isp up type veth peer name eth1 address 02:d8:4f:9c:d1:ab mtu 1500 netns router
        ip -n internet link set dev lo up
        ip netns exec internet ethtool -K eth0 tx off
        ip -n internet address add 10.138.0.1/24 dev eth0
        ip -n internet link set dev eth0 up
        ip -n internet route add local default dev lo table main
        ip -n internet route add unreachable 10.0.0.0/8
        ip -n internet route add unreachable 100.64.0.0/10
        ip -n internet route add unreachable 172.16.0.0/12
        ip -n internet route add unreachable 192.168.0.0/16
        ip -n pc link set dev lo up
        ip netns exec pc ethtool -K eth0 tx off
        ip -n pc address add 10.0.0.1/24 dev eth0
        ip -n pc link set dev eth0 up
        ip -n pc route add default via 10.0.0.254 dev eth0
        ip -n printer link set dev lo up
        ip netns exec printer ethtool -K eth0 tx off
        ip -n printer address add 10.0.0.2/24 dev eth0
        ip -n printer link set dev eth0 up
        ip -n printer route add default via 10.0.0.254 dev eth0
        ip netns exec router nft -f - <<'EOF'
        table inet netyard
        delete table inet netyard
        table inet netyard {
          chain postrouting {
            type nat hook postrouting priority srcnat; policy accept;
            oifname "eth1" ip saddr 10.0.0.0/24 masquerade
          }
        }
        EOF
        ip -n router link set dev lo up
        ip netns exec router ethtool -K eth0 tx off
        ip -n router address add 10.0.0.254/24 dev eth0
        ip -n router link set dev eth0 up
        ip netns exec router ethtool -K eth1 tx off
        ip -n router address add 10.138.0.3/24 dev eth1
        ip -n router link set dev eth1 up
        ip -n router route add default via 10.138.0.1 dev eth1
        "#,
    );
}

#[test]
fn a_lab_that_is_as_it_should_be_is_left_alone() {
    check_change(|_| {}, "");
}

#[test]
fn a_node_that_leaves_takes_its_port_along() {
    check_change(
        |lab| lab.nodes.retain(|node| node.name != "printer"),
        "
        ip -n fabric link delete dev printer
        ip netns delete printer
        ",
    );
}

#[test]
fn a_node_that_joins_leaves_the_others_alone() {
    check_change(
        |lab| lab.nodes.push(node("tv", &[("lan", &["10.0.0.3/24"])])),
        "
        ip netns add tv
        ip -n fabric link add name tv address 02:ab:f0:8a:f3:27 mtu 1500 master lan up type veth peer name eth0 address 02:9a:ae:65:d3:0a mtu 1500 netns tv
        ip -n tv link set dev lo up
        ip netns exec tv ethtool -K eth0 tx off
        ip -n tv address add 10.0.0.3/24 dev eth0
        ip -n tv link set dev eth0 up
        ",
    );
}

#[test]
fn a_new_only_address_brings_the_default_route_back() {
    check_change(
        |lab| lab.nodes[0].interfaces[0].addresses = vec!["10.0.0.9/24".parse().unwrap()],
        "
        ip -n pc address delete 10.0.0.1/24 dev eth0
        ip -n pc address add 10.0.0.9/24 dev eth0
        ip -n pc route add default via 10.0.0.254 dev eth0
        ",
    );
}

#[test]
fn a_second_address_leaves_the_routes_alone() {
    check_change(
        |lab| lab.nodes[0].interfaces[0].addresses.push("10.0.0.9/24".parse().unwrap()),
        "ip -n pc address add 10.0.0.9/24 dev eth0",
    );
}

#[test]
fn another_gateway_is_another_route() {
    check_change(
        |lab| {
            lab.nodes[0].routes.clear();
            lab.nodes[0] = with_gateway(lab.nodes[0].clone(), "10.0.0.253", "eth0");
        },
        "
        ip -n pc route delete default via 10.0.0.254 dev eth0
        ip -n pc route add default via 10.0.0.253 dev eth0
        ",
    );
}

#[test]
fn an_interface_on_another_network_is_a_port_of_its_bridge() {
    check_change(
        |lab| lab.nodes[1].interfaces[0].network = "isp".parse().unwrap(),
        "ip -n fabric link set dev printer master isp",
    );
}

#[test]
fn a_renamed_interface_is_made_anew_with_all_that_was_on_it() {
    check_change(
        |lab| {
            lab.nodes[0].interfaces[0].name = "lan0".parse().unwrap();
            lab.nodes[0].routes.clear();
            lab.nodes[0] = with_gateway(lab.nodes[0].clone(), "10.0.0.254", "lan0");
        },
        "
        ip -n fabric link delete dev pc
        ip -n fabric link add name pc address 02:90:8e:ec:f3:27 mtu 1500 master lan up type veth peer name lan0 address 02:46:af:29:c5:ca mtu 1500 netns pc
        ip netns exec pc ethtool -K lan0 tx off
        ip -n pc address add 10.0.0.1/24 dev lan0
        ip -n pc link set dev lan0 up
        ip -n pc route add default via 10.0.0.254 dev lan0
        ",
    );
}

#[test]
fn a_bridge_that_becomes_a_hub_stays() {
    check_change(
        |lab| lab.networks[0].kind = NetworkKind::Hub,
        "ip -n fabric link set dev lan type bridge stp_state 0 mcast_snooping 0 ageing_time 0",
    );
}

#[test]
fn a_translation_that_goes_leaves_no_table() {
    check_change(|lab| lab.nodes[2].nat.clear(), "ip netns exec router nft delete table inet netyard");
}

#[test]
fn a_link_that_was_pulled_is_put_back_with_its_route() {
    let wanted = desired::state(&home());
    let mut live = wanted.clone();
    let pc = live.namespaces.get_mut(&"pc".parse().unwrap()).unwrap();
    pc.links.get_mut("eth0").unwrap().is_up = false;
    pc.routes.clear();
    check_steps(
        &live,
        &wanted,
        "
        ip -n pc link set dev eth0 up
        ip -n pc route add default via 10.0.0.254 dev eth0
        ",
    );
}

#[test]
fn links_of_other_kinds_and_their_routes_are_not_ours() {
    let wanted = desired::state(&home());
    let mut live = wanted.clone();
    let pc = live.namespaces.get_mut(&"pc".parse().unwrap()).unwrap();
    let tun = netyard_core::state::Link {
        kind: netyard_core::state::LinkKind::Other("tun".to_owned()),
        addresses: ["192.0.2.1/24".parse().unwrap()].into(),
        ..desired::loopback(true)
    };
    pc.links.insert("tun0".parse().unwrap(), tun);
    pc.routes.insert(Route::unicast("198.51.100.0/24".parse().unwrap(), hop(None, "tun0", 1, false)));
    check_steps(&live, &wanted, "");
}

#[test]
fn a_cable_is_one_pair_and_both_ends_are_set_up() {
    let nodes = vec![node("a", &[("w", &["fd00::1/64"])]), node("b", &[("w", &["fd00::2/64"])])];
    check_build(
        &lab("cable", vec![network("w", NetworkKind::Cable, &["fd00::/64"])], nodes),
        "
        ip netns add a
        ip netns add b
        ip -n a link add name eth0 address 02:cf:cc:50:99:4c mtu 1500 type veth peer name eth0 address 02:ce:ce:91:69:67 mtu 1500 netns b
        ip -n a link set dev lo up
        ip netns exec a ethtool -K eth0 tx off
        ip -n a address add fd00::1/64 dev eth0 nodad
        ip -n a link set dev eth0 up
        ip -n b link set dev lo up
        ip netns exec b ethtool -K eth0 tx off
        ip -n b address add fd00::2/64 dev eth0 nodad
        ip -n b link set dev eth0 up
        ",
    );
}

#[test]
fn a_bridge_in_a_node_is_made_before_it_gets_its_ports() {
    let bridge = with_bridge(node("sw", &[("w", &[])]), "br0", &["eth0"], &["10.0.0.1/24"]);
    let mut one = lab("sw", vec![network("w", BRIDGE, &[])], vec![bridge]);
    one.nodes[0].bridges[0].stp = Some(Stp::CLASSROOM);
    let state = desired::state(&one);
    let steps = diff(&State::default(), &state);
    let commands: Vec<String> = steps.iter().flat_map(Step::commands).collect();
    let of_node: Vec<&str> =
        commands.iter().map(String::as_str).filter(|command| command.starts_with("ip -n sw")).collect();
    assert_eq!(
        of_node,
        [
            "ip -n sw link add name br0 address 02:05:1e:d6:6b:c8 mtu 1500 type bridge stp_state 1 \
             forward_delay 200 hello_time 100 max_age 600 priority 32768 mcast_snooping 0",
            "ip -n sw link set dev lo up",
            "ip -n sw link set dev eth0 master br0",
            "ip -n sw link set dev eth0 up",
            "ip -n sw address add 10.0.0.1/24 dev br0",
            "ip -n sw link set dev br0 up",
        ]
    );
}

#[test]
fn routes_that_others_need_come_first() {
    let mut vm = node("vm", &[("isp", &["10.138.0.3/32"])]);
    vm = with_gateway(vm, "10.138.0.1", "eth0");
    vm.routes.push(Route::unicast("10.138.0.1/32".parse().unwrap(), hop(None, "eth0", 1, false)));
    let state = desired::state(&lab("vm", vec![network("isp", BRIDGE, &[])], vec![vm]));
    let commands: Vec<String> = diff(&State::default(), &state).iter().flat_map(Step::commands).collect();
    let routes: Vec<&str> = commands.iter().map(String::as_str).filter(|c| c.contains(" route ")).collect();
    assert_eq!(
        routes,
        ["ip -n vm route add 10.138.0.1 dev eth0", "ip -n vm route add default via 10.138.0.1 dev eth0"]
    );
}

#[test]
fn a_value_of_one_interface_is_written_when_the_interface_is_there() {
    check_change(
        |lab| {
            let values = [("net.ipv4.conf.eth0.rp_filter", "1"), ("net.ipv4.ip_forward", "1")];
            let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
            lab.nodes[0].sysctls.extend(values);
        },
        "
        ip netns exec pc sysctl -qw net.ipv4.ip_forward=1
        ip netns exec pc sysctl -qw net.ipv4.conf.eth0.rp_filter=1
        ",
    );
}

#[test]
fn a_rate_is_a_tbf_and_anything_more_a_netem() {
    let set = |egress| move |ns| Step::SetShaping { ns, dev: "eth0".parse().unwrap(), egress };
    let rate = Shaping { rate_bit_per_s: Some(10_000_000), ..Shaping::default() };
    check_step(
        set(rate),
        "tc -n pc qdisc replace dev eth0 root tbf rate 10000000bit burst 12500 latency 50000us",
    );
    let given = Shaping { burst_bytes: Some(5000), latency_us: Some(1000), ..rate };
    check_step(
        set(given),
        "tc -n pc qdisc replace dev eth0 root tbf rate 10000000bit burst 5000 latency 1000us",
    );
    let late = Shaping { delay_us: 20_000, jitter_us: 1500, loss: Share::from_percent(0.5), ..rate };
    check_step(
        set(late),
        "tc -n pc qdisc replace dev eth0 root netem limit 1017 delay 20000us 1500us loss 0.5% rate 10000000bit",
    );
    check_step(set(Shaping::default()), "tc -n pc qdisc delete dev eth0 root");
}

#[test]
fn every_kind_of_route_has_its_words() {
    let add = |route| move |ns| Step::AddRoute { ns, route };
    let hops = vec![hop(Some("10.0.0.1"), "eth0", 1, false), hop(Some("10.1.0.1"), "eth1", 2, true)];
    check_step(
        add(route("10.9.0.0/16", RouteTarget::Unicast(hops))),
        "ip -n pc route add 10.9.0.0/16 nexthop via 10.0.0.1 dev eth0 weight 1 \
         nexthop via 10.1.0.1 dev eth1 onlink weight 2",
    );
    let special = Route { metric: 5, table: 100, ..route("10.9.0.0/16", RouteTarget::Blackhole) };
    check_step(add(special), "ip -n pc route add blackhole 10.9.0.0/16 metric 5 table 100");
    let from = Route {
        src: Some("10.0.0.9".parse().unwrap()),
        ..route("0.0.0.0/0", RouteTarget::Unicast(vec![hop(Some("fe80::1"), "eth0", 1, false)]))
    };
    check_step(add(from), "ip -n pc route add default via inet6 fe80::1 dev eth0 src 10.0.0.9");
    let ipv6 = Route { metric: Route::METRIC_IPV6, ..route("fd00::/8", RouteTarget::Unreachable) };
    check_step(add(ipv6), "ip -n pc -6 route add unreachable fd00::/8");
}

#[test]
fn names_that_a_shell_would_read_are_quoted() {
    let up = |name: &str| {
        let name = name.parse().unwrap();
        |ns| Step::SetLinkUp { ns, name, is_up: true }
    };
    check_step(up("lan~1a"), "ip -n pc link set dev lan~1a up");
    check_step(up("~lan"), "ip -n pc link set dev '~lan' up");
    check_step(up("a;b$(c)'d"), r"ip -n pc link set dev 'a;b$(c)'\''d' up");
}

#[test]
fn a_script_says_what_it_needs_and_stops_at_the_first_failure() {
    let text = script(&diff(&State::default(), &desired::state(&home())), "home\nrm -rf /");
    assert!(text.starts_with("#!/usr/bin/env bash\n# home rm -rf /\n"), "{text}");
    let (head, body) = text.split_once("set -eu\n").unwrap();
    assert!(head.lines().all(|line| line.starts_with('#')), "{head}");
    assert!(body.contains("\n# router\nip netns exec router nft -f - <<'EOF'\n"), "{body}");
    assert!(body.contains("ip netns exec pc ethtool -K eth0 tx off >/dev/null\n"), "{body}");
}

#[test]
fn a_port_forward_with_a_firewall_is_one_table() {
    let mut lab = home();
    let router = &mut lab.nodes[2];
    *router = forwarding(router.clone(), false);
    router.nat.push(labs::port_forward("eth1", "10.138.0.3", 8080, "10.0.0.2:80", &["10.0.0.0/24"]));
    router.firewall = Some(labs::firewall());
    let state = desired::state(&lab);
    let tables = &state.namespaces[&"router".parse().unwrap()].tables;
    let table = tables.first().unwrap().clone();
    check_step(
        |ns| Step::ReplaceTable { ns, table },
        r#"ip netns exec pc nft -f - <<'EOF'
table inet netyard
delete table inet netyard
table inet netyard {
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    ip daddr 10.138.0.3 tcp dport 8080 dnat ip to 10.0.0.2:80
  }
  chain input {
    type filter hook input priority filter; policy drop;
    ct state established,related accept
    iifname "lo" accept
    meta l4proto icmp accept
  }
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept
    ct status dnat accept
    iifname "eth0" accept
    ip daddr 10.0.0.0/24 tcp dport 1000-1010 accept
    ip daddr 10.0.0.0/24 udp dport 1000-1010 accept
  }
  chain output {
    type nat hook output priority -100; policy accept;
    ip daddr 10.138.0.3 tcp dport 8080 dnat ip to 10.0.0.2:80
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname "eth1" ip saddr 10.0.0.0/24 masquerade
    ip saddr 10.0.0.0/24 ip daddr 10.0.0.2 tcp dport 80 ct status dnat masquerade
  }
}
EOF"#,
    );
}

/// The rules of the router's table that begin so, of a lab with this `port-forward`.
fn forwarding_rules(port_forward: &str, part: &str) -> Vec<String> {
    let text = format!(
        "networks: {{ lan: 10.0.0.0/24, isp: 10.1.0.0/24 }}\n\
         nodes: {{ web: {{ links: {{ lan: 10.0.0.9 }} }}, router: {{ links: [lan, {{ isp: 10.1.0.1 }}], \
         nat: [{{ port-forward: {port_forward} }}] }} }}"
    );
    let source = netyard_core::labfile::Source::new("t.yaml", text);
    let state = desired::state(&netyard_core::labfile::parse(&source).unwrap().lab);
    let table = state.namespaces[&"router".parse().unwrap()].tables.first().unwrap().to_string();
    table.lines().map(str::trim).filter(|line| line.contains(part)).map(str::to_owned).collect()
}

#[test]
fn a_range_of_ports_that_stay_is_one_rule_and_a_shifted_one_is_one_each() {
    let rules = forwarding_rules("{ port: 1-60000, in: isp, to: web }", "iifname");
    assert_eq!(rules, ["iifname \"eth1\" ip daddr 10.1.0.1 tcp dport 1-60000 dnat ip to 10.0.0.9"]);
    let same = forwarding_rules("{ port: 5000-5010, in: isp, to: 'web:5000-5010' }", "iifname");
    assert_eq!(same, ["iifname \"eth1\" ip daddr 10.1.0.1 tcp dport 5000-5010 dnat ip to 10.0.0.9"]);
    let shifted = forwarding_rules("{ port: 7000-7001, in: isp, to: 'web:6000-6001' }", "iifname");
    assert_eq!(
        shifted,
        [
            "iifname \"eth1\" ip daddr 10.1.0.1 tcp dport 7000 dnat ip to 10.0.0.9:6000",
            "iifname \"eth1\" ip daddr 10.1.0.1 tcp dport 7001 dnat ip to 10.0.0.9:6001",
        ]
    );
}

#[test]
fn a_hairpin_serves_every_interface_and_rewrites_sources_of_the_target_s_network_only() {
    let forward = "{ port: 80, in: isp, to: web, hairpin: true }";
    assert_eq!(forwarding_rules(forward, "iifname"), [""; 0]);
    let masquerade = "ip saddr 10.0.0.0/24 ip daddr 10.0.0.9 tcp dport 80 ct status dnat masquerade";
    assert_eq!(forwarding_rules(forward, "masquerade"), [masquerade]);
}
