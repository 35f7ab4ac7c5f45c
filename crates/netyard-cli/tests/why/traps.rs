//! The traps, one by one.

use crate::net::{Net, Said, mend};
use crate::support::until;

/// A trap: where, what is done, who asks whom, and what must be named.
struct Trap<'a> {
    /// What is done, and in which node.
    done: &'a [(&'a str, &'a str)],
    /// The question.
    asked: &'a [&'a str],
    /// Cause and place.
    named: &'a [&'a str],
    /// Where the packet, or the question for the neighbour that it waits for, is seen last.
    last: &'a str,
}

/// Injects it, asks, and mends.
#[track_caller]
fn check(net: &Net, trap: &Trap<'_>) {
    for (node, script) in trap.done {
        net.does(node, script);
    }
    let said = net.why(trap.asked);
    assert_eq!(said.stopping(), trap.named, "{}", said.sentences());
    assert_eq!(said.code, Some(1), "{}", said.sentences());
    for fault in said.faults() {
        let evidence = fault["evidence"].as_array().unwrap();
        assert!(!evidence.is_empty(), "no proof of {fault}");
        assert!(fault["sentence"].as_str().unwrap().len() > 20, "{fault}");
        for piece in evidence {
            assert_ne!(piece["command"], "", "{fault}");
            assert_ne!(piece["says"], "", "{fault}");
        }
    }
    follow(net, trap, &said);
}

/// Sends the packet that was asked about: it is lost or refused, and the cause is the same.
#[track_caller]
fn follow(net: &Net, trap: &Trap<'_>, said: &Said) {
    let failures = net.trace(trap.asked);
    let told: String = failures.iter().map(|failure| format!("\n{failure}")).collect();
    for named in trap.named {
        let wanted = without_interface(named);
        assert!(
            failures.iter().any(|failure| failure.causes.iter().any(|c| without_interface(c) == wanted)),
            "not the cause {named}: {told}"
        );
    }
    let last = failures.iter().rfind(|failure| failure.is_seen).or(failures.last());
    let last = last.map(|failure| failure.last.as_str()).unwrap_or_default();
    assert_eq!(last, trap.last, "{told}");
    // Who has seen the packet end need not send another one.
    if !failures.iter().any(|failure| failure.is_seen) {
        assert!(!net.passes(trap.asked, said), "it does no harm: {}", said.sentences());
    }
}

/// `rule printer:eth0` is `rule printer`.
fn without_interface(cause: &str) -> &str {
    cause.split_once(':').map_or(cause, |(node, _)| node)
}

/// The same, and what is told mends it.
#[track_caller]
fn check_mended(net: &Net, trap: &Trap<'_>) {
    check(net, trap);
    mend(net, trap.asked);
}

macro_rules! traps {
    ($($name:ident: $net:ident, $check:ident, $done:expr, $asked:expr => $named:expr, $last:expr;)*) => {
        $(#[test]
        fn $name() {
            let net = Net::$net(concat!("why-", stringify!($name)));
            $check(&net, &Trap { done: &$done, asked: &$asked, named: &$named, last: $last });
        })*
    };
}

traps! {

    no_default_route: lab, check_mended,
        [("pc", "ip route del default")], ["pc", "1.1.1.1"] => ["no-route pc"], "pc";
    no_default_route_by_hand: by_hand, check_mended,
        [("pc", "ip route del default")], ["pc", "1.1.1.1"] => ["no-route pc"], "pc";
    own_interface_down: lab, check_mended,
        [("pc", "ip link set eth0 down")], ["pc", "printer"] => ["interface-down pc:eth0"], "pc";
    own_interface_down_and_the_way_out_gone: lab, check_mended,
        [("pc", "ip link set eth0 down")], ["pc", "1.1.1.1"] => ["interface-down pc:eth0"], "pc";
    interface_of_the_target_down: lab, check_mended,
        [("printer", "ip link set eth0 down")], ["pc", "printer"] => ["interface-down printer:eth0"], "fabric:lan";
    interface_of_the_router_down: lab, check_mended,
        [("router", "ip link set eth1 down")], ["pc", "1.1.1.1"] => ["interface-down router:eth1"], "router:eth0";
    other_end_down: by_hand, check_mended,
        [("world", "ip link set veth1-br down")], ["pc", "printer"] => ["no-carrier world:veth1-br"], "pc";
    other_end_down_in_a_lab: lab, check_mended,
        [("fabric", "ip link set printer down")], ["pc", "printer"] => ["no-carrier fabric:printer"], "fabric:lan";
    bridge_down: by_hand, check_mended,
        [("world", "ip link set bridge0 down")], ["pc", "printer"] => ["bridge-down world:bridge0"], "world:veth1-br";
    not_a_port: by_hand, check_mended,
        [("world", "ip link set veth1-br nomaster")], ["pc", "printer"] => ["not-a-bridge-port world:veth1-br"], "world:veth1-br";
    not_a_port_at_the_other_end: by_hand, check_mended,
        [("world", "ip link set veth2-br nomaster")], ["pc", "printer"] => ["not-a-bridge-port world:veth2-br"], "world:bridge0";
    not_a_port_on_the_way_out: by_hand, check_mended,
        [("world", "ip link set veth1-br nomaster")], ["pc", "1.1.1.1"] => ["not-a-bridge-port world:veth1-br"], "world";
    loopback_down: lab, check_mended,
        [("pc", "ip link set lo down")], ["pc", "pc"] => ["loopback-down pc:lo"], "pc";
    prefix_too_long: lab, check_mended,
        [("pc", "ip address del 10.0.0.1/24 dev eth0; ip address add 10.0.0.1/32 dev eth0")],
        ["pc", "printer"] => ["wrong-prefix pc:eth0"], "pc";
    prefix_too_long_for_a_gateway: lab, check_mended,
        [("pc", "ip address del 10.0.0.1/24 dev eth0; ip address add 10.0.0.1/32 dev eth0")],
        ["pc", "1.1.1.1"] => ["wrong-prefix pc:eth0"], "pc";
    other_subnet: lab, check_mended,
        [("pc", "ip address del 10.0.0.1/24 dev eth0; ip address add 10.0.9.1/24 dev eth0")],
        ["pc", "printer"] => ["wrong-prefix pc:eth0"], "pc";
    prefix_too_short: lab, check,
        [("pc", "ip address add 10.0.0.1/8 dev eth0; ip address del 10.0.0.1/24 dev eth0")],
        ["pc", "10.138.0.1"] => ["wrong-prefix pc:eth0"], "fabric:lan";
    no_way_back: by_hand, check_mended,
        [("isp", "ip route add 10.0.0.0/24 via 10.138.0.3"), ("printer", "ip route del default")],
        ["isp", "printer"] => ["no-return-route printer"], "printer:veth2-printer";
    router_does_not_forward: lab, check_mended,
        [("router", "sysctl -w net.ipv4.ip_forward=0")], ["pc", "1.1.1.1"] => ["not-forwarding router"], "router:eth0";
    router_does_not_forward_by_hand: by_hand, check_mended,
        [("world", "sysctl -w net.ipv4.ip_forward=0")], ["pc", "1.1.1.1"] => ["not-forwarding world"], "world:bridge0";
    one_interface_does_not_forward: lab, check_mended,
        [("router", "sysctl -w net.ipv4.conf.eth0.forwarding=0")], ["pc", "1.1.1.1"] => ["not-forwarding router"], "router:eth0";
    no_masquerade: lab, check_mended,
        [("router", "nft flush ruleset")], ["pc", "1.1.1.1"] => ["not-translated router:eth1"], "internet:eth0";
    no_masquerade_by_hand: by_hand, check_mended,
        [("world", "nft flush ruleset")], ["pc", "1.1.1.1"] => ["not-translated world:ens4"], "isp:eth0";
    masquerade_of_another_subnet: by_hand, check_mended,
        [("world", "nft flush chain ip nat postrouting
                    nft add rule ip nat postrouting ip saddr 192.168.0.0/24 masquerade")],
        ["pc", "1.1.1.1"] => ["not-translated world:ens4"], "isp:eth0";
    forward_policy: lab, check_mended,
        [("router", "nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }'")],
        ["pc", "1.1.1.1"] => ["policy router"], "router";
    forward_policy_of_legacy_iptables: by_hand, check_mended,
        [("world", "iptables-legacy -P FORWARD DROP")], ["pc", "1.1.1.1"] => ["policy world"], "world:bridge0";
    forward_rule: lab, check_mended,
        [("router", "nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; }
                     add rule inet filter forward ip daddr 1.1.1.1 counter drop'")],
        ["pc", "1.1.1.1"] => ["rule router"], "router";
    forward_rule_of_legacy_iptables: by_hand, check_mended,
        [("world", "iptables-legacy -A FORWARD -s 10.0.0.0/24 -j DROP")], ["pc", "1.1.1.1"] => ["rule world"], "world:bridge0";
    answers_are_not_let_through: lab, check_mended,
        [("router", "nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; }
                     add rule inet filter forward iifname \"eth1\" drop'")],
        ["pc", "1.1.1.1"] => ["rule router"], "router";
    input_rule: lab, check_mended,
        [("printer", "nft 'add table ip f; add chain ip f in { type filter hook input priority 0; }
                      add rule ip f in icmp type echo-request reject'")],
        ["pc", "printer"] => ["rule printer"], "printer";
    output_policy: lab, check_mended,
        [("pc", "nft 'add table ip f; add chain ip f out { type filter hook output priority 0; policy drop; }'")],
        ["pc", "printer"] => ["policy pc"], "pc";
    rule_of_a_bridge: by_hand, check_mended,
        [("world", "nft 'add table bridge f; add chain bridge f forward { type filter hook forward priority 0; }
                    add rule bridge f forward ether type ip drop'")],
        ["pc", "printer"] => ["rule world"], "world";
    rule_at_an_interface: lab, check_mended,
        [("printer", "nft 'add table netdev f; add chain netdev f in { type filter hook ingress device eth0 priority 0; }
                      add rule netdev f in icmp type echo-request drop'")],
        ["pc", "printer"] => ["rule printer:eth0"], "printer:eth0";
    wrong_static_neighbour: lab, check_mended,
        [("pc", "ip neigh replace 10.0.0.2 lladdr 02:00:00:00:00:99 dev eth0 nud permanent")],
        ["pc", "printer"] => ["wrong-neighbour pc:eth0"], "fabric:lan";
    neighbour_entry_of_another_node: lab, check_mended,
        [("pc", "ping -c 1 10.0.0.254 > /dev/null
                 mac=$(ip -json neigh show 10.0.0.254 | tr ',' '\\n' | grep lladdr | cut -d '\"' -f 4)
                 ip neigh replace 10.0.0.2 lladdr $mac dev eth0 nud permanent"),
         ("router", "sysctl -w net.ipv4.ip_forward=0")],
        ["pc", "printer"] => ["wrong-neighbour pc:eth0"], "router:eth0";
    spanning_tree: by_hand, check_mended,
        [("world", "ip link set veth1-br nomaster; ip link set bridge0 type bridge stp_state 1 forward_delay 3000
                    ip link set veth1-br master bridge0")],
        ["pc", "printer"] => ["port-not-forwarding world:veth1-br"], "world:veth1-br";
    port_set_shut: by_hand, check_mended,
        [("world", "bridge link set dev veth2-br state 0")],
        ["pc", "printer"] => ["port-not-forwarding world:veth2-br"], "world:bridge0";
    isolated_ports: by_hand, check_mended,
        [("world", "bridge link set dev veth1-br isolated on; bridge link set dev veth2-br isolated on")],
        ["pc", "printer"] => ["ports-isolated world:veth1-br"], "world:bridge0";
    address_on_a_port: by_hand, check_mended,
        [("world", "ip address del 10.0.0.254/24 dev bridge0; ip address add 10.0.0.254/24 dev veth1-br")],
        ["pc", "1.1.1.1"] => ["address-on-port world:veth1-br"], "world";
    overlapping_prefixes: by_hand, check_mended,
        [("world", "ip address del 10.0.0.254/24 dev bridge0; ip address add 10.0.0.253/24 dev ens4
                    ip address add 10.0.0.254/24 dev bridge0")],
        ["world", "pc"] => ["overlapping-prefixes world:ens4"], "isp:eth0";
    configured_then_moved: by_hand, check_mended,
        [("world", "ip -n pc link set veth1-pc netns printer; ip -n printer link set veth1-pc netns pc")],
        ["pc", "printer"] => ["no-address pc:veth1-pc"], "pc";
    gateway_that_is_not_there: lab, check_mended,
        [("pc", "ip route replace default via 10.0.0.77")], ["pc", "1.1.1.1"] => ["no-such-gateway pc"], "fabric:lan";
    address_that_nobody_has: lab, check, [], ["pc", "10.0.0.77"] => ["no-such-address pc"], "fabric:lan";
    blackhole: lab, check_mended,
        [("pc", "ip route add blackhole 1.1.1.0/24")], ["pc", "1.1.1.1"] => ["blackhole pc"], "pc";
    blackhole_by_a_rule: lab, check_mended,
        [("pc", "ip rule add to 1.1.1.0/24 blackhole")], ["pc", "1.1.1.1"] => ["blackhole pc"], "pc";
    blackhole_by_a_rule_on_the_way: lab, check_mended,
        [("router", "ip rule add from 10.0.0.0/24 to 1.1.1.0/24 blackhole")],
        ["pc", "1.1.1.1"] => ["blackhole router"], "router:eth0";
    prohibited_by_a_rule: lab, check_mended,
        [("router", "ip rule add iif eth0 to 1.1.1.0/24 prohibit")],
        ["pc", "1.1.1.1"] => ["prohibit router"], "router:eth0";
    blackhole_on_the_way: lab, check_mended,
        [("router", "ip route add blackhole 1.1.1.0/24")], ["pc", "1.1.1.1"] => ["blackhole router"], "router:eth0";
    prohibit_on_the_way: lab, check_mended,
        [("router", "ip route add prohibit 1.1.1.0/24")], ["pc", "1.1.1.1"] => ["prohibit router"], "router:eth0";
    unreachable_on_the_way: lab, check_mended,
        [("router", "ip route add unreachable 1.1.1.0/24")], ["pc", "1.1.1.1"] => ["unreachable-route router"], "router:eth0";
    no_route_on_the_way: lab, check_mended,
        [("router", "ip route del default")], ["pc", "1.1.1.1"] => ["no-route-on-the-way router"], "router:eth0";
    tcp_port_without_listener: lab, check, [], ["pc", "printer", "tcp:80"] => ["not-listening printer"], "printer";
    udp_port_without_listener: lab, check, [], ["pc", "printer", "udp:81"] => ["not-listening printer"], "printer";
    echo_ignored: lab, check_mended,
        [("printer", "sysctl -w net.ipv4.icmp_echo_ignore_all=1")], ["pc", "printer"] => ["echo-ignored printer"], "printer:eth0";
    bridged_frames_pass_the_rules_of_routers: by_hand, check_mended,
        [("world", "sysctl -w net.bridge.bridge-nf-call-iptables=1
                    nft 'add table ip filter; add chain ip filter forward { type filter hook forward priority 0; policy drop; }
                         add rule ip filter forward oifname \"ens4\" accept'")],
        ["pc", "printer"] => ["bridged-frames-filtered world:bridge0"], "world";
    arp_not_answered: lab, check_mended,
        [("printer", "sysctl -w net.ipv4.conf.all.arp_ignore=8")], ["pc", "printer"] => ["neighbour-failed printer:eth0"], "printer:eth0";
}

#[test]
fn the_router_filters_by_source() {
    let net = Net::lab("why-rp-filter");
    let done =
        [("router", "ip route add 10.0.0.1/32 via 10.138.0.1; sysctl -w net.ipv4.conf.all.rp_filter=1")];
    check(
        &net,
        &Trap {
            done: &done,
            asked: &["pc", "1.1.1.1"],
            named: &["reverse-path-filter router:eth0"],
            last: "router:eth0",
        },
    );
}

#[test]
fn two_routers_that_point_at_each_other() {
    let net = Net::of("why-loop", include_str!("../../../../labs/ttl.yaml"));
    check(
        &net,
        &Trap { done: &[], asked: &["pc", "10.66.0.1"], named: &["ttl-exceeded r4"], last: "r4:eth0" },
    );
}

#[test]
fn a_gateway_that_does_not_answer_may_pass_packets_on() {
    let net = Net::lab("why-input");
    let done = "nft 'add table ip f; add chain ip f in { type filter hook input priority 0; }
                add rule ip f in icmp type echo-request counter drop'";
    check(
        &net,
        &Trap {
            done: &[("router", done)],
            asked: &["pc", "router"],
            named: &["rule router"],
            last: "router",
        },
    );
    let through = net.why(&["pc", "1.1.1.1"]);
    assert!(through.is_reachable() && through.faults().is_empty(), "{}", through.sentences());
    assert!(net.passes(&["pc", "1.1.1.1"], &through));
    mend(&net, &["pc", "router"]);
}

#[test]
fn the_loopback_is_for_own_addresses_only() {
    let net = Net::lab("why-lo");
    net.does("pc", "ip link set lo down");
    let said = net.why(&["pc", "printer"]);
    assert!(said.is_reachable() && said.faults().is_empty(), "{}", said.sentences());
    assert!(net.passes(&["pc", "printer"], &said));
}

/// What does no harm at once is named too.
#[test]
fn what_works_by_luck_or_in_part_is_told_and_is_no_failure() {
    let net = Net::lab("why-luck");
    net.does("printer", "ip address add 10.0.0.254/24 dev eth0");
    let said = net.why(&["pc", "1.1.1.1"]);
    assert_eq!(
        (said.causes(), said.code),
        (vec!["duplicate-address printer:eth0".to_owned()], Some(0)),
        "{}",
        said.sentences()
    );
    assert_eq!(said.faults()[0]["effect"], "sometimes");
    let fix = &said.faults()[0]["fixes"][0];
    net.does(fix["node"].as_str().unwrap(), fix["command"].as_str().unwrap());
    assert!(net.why(&["pc", "1.1.1.1"]).faults().is_empty());
}

/// As every namespace is born: the range of groups that may ping holds none.
#[test]
fn users_may_not_ping_in_a_fresh_namespace() {
    let net = Net::by_hand("why-users");
    let said = net.why(&["pc", "printer"]);
    assert_eq!(
        (said.causes(), said.code),
        (vec!["ping-not-permitted pc".to_owned()], Some(0)),
        "{}",
        said.sentences()
    );
    assert_eq!(said.faults()[0]["effect"], "stops-users");
    let fix = &said.faults()[0]["fixes"][0];
    net.does(fix["node"].as_str().unwrap(), fix["command"].as_str().unwrap());
    assert!(net.why(&["pc", "printer"]).faults().is_empty());
    // A TCP connection takes no such right.
    assert!(net.why(&["printer", "pc", "tcp:1"]).causes().iter().all(|cause| !cause.contains("ping")));
}

/// Causes, without what holds for every namespace that is made by hand.
fn causes(said: &crate::net::Said) -> Vec<String> {
    said.causes().into_iter().filter(|cause| !cause.starts_with("ping-not-permitted")).collect()
}

#[test]
fn a_narrow_link_stops_large_packets() {
    let net = Net::by_hand("why-mtu");
    net.does("world", "ip link set veth2-br mtu 1400");
    let said = net.why(&["pc", "printer"]);
    assert_eq!(
        (causes(&said), said.code),
        (vec!["mtu-too-small world:veth2-br".to_owned()], Some(0)),
        "{}",
        said.sentences()
    );
    let large = || net.shell("pc", "ping -c 1 -W 1 -M do -s 1472 10.0.0.2").code == Some(0);
    assert!(!large());
    let lost = net.trace(&["pc", "printer", "--size", "1472", "--df"]);
    let told: Vec<&String> = lost.iter().flat_map(|failure| &failure.causes).collect();
    assert_eq!(told, ["mtu-too-small world:veth2-br"], "{}", lost[0]);
    assert_eq!(lost[0].last, "world:veth1-br");
    let fix = &said.faults()[0]["fixes"][0];
    net.does(fix["node"].as_str().unwrap(), fix["command"].as_str().unwrap());
    let said = net.why(&["pc", "printer"]);
    assert!(causes(&said).is_empty(), "{}", said.sentences());
    until("large packets pass", large);
}

/// Starts a server that takes connections for the time of the network.
fn serve(net: &Net, node: &str, address: &str, port: u16) {
    let script = format!(
        "python3 -c 'import socket, time
s = socket.create_server((\"{address}\", {port})); time.sleep(1000)' > /dev/null 2>&1 &"
    );
    net.does(node, &script);
    let listens = format!("ss -Htln sport = :{port} | grep -q .");
    until("the server listens", || net.shell(node, &listens).code == Some(0));
}

#[test]
fn a_server_at_the_loopback_is_not_there_for_others() {
    let net = Net::by_hand("why-elsewhere");
    serve(&net, "printer", "127.0.0.1", 80);
    check(
        &net,
        &Trap {
            done: &[],
            asked: &["pc", "printer", "tcp:80"],
            named: &["listens-elsewhere printer"],
            last: "printer",
        },
    );
    serve(&net, "printer", "0.0.0.0", 8080);
    let said = net.why(&["pc", "printer", "tcp:8080"]);
    assert!(said.is_reachable() && net.passes(&["pc", "printer", "tcp:8080"], &said), "{}", said.sentences());
}

#[test]
fn a_forwarded_port_from_outside_from_the_router_and_from_inside() {
    let net = Net::by_hand("why-forwarded");
    serve(&net, "printer", "0.0.0.0", 80);
    net.does(
        "world",
        "sysctl -w net.bridge.bridge-nf-call-iptables=0
         nft 'add chain ip nat prerouting { type nat hook prerouting priority -100; }
         add rule ip nat prerouting ip daddr 10.138.0.3 tcp dport 8080 dnat to 10.0.0.2:80'",
    );
    let outside = net.why(&["isp", "10.138.0.3", "tcp:8080"]);
    assert!(
        outside.is_reachable() && net.passes(&["isp", "10.138.0.3", "tcp:8080"], &outside),
        "{}",
        outside.sentences()
    );
    let router = ["world", "10.138.0.3", "tcp:8080"];
    check_mended(
        &net,
        &Trap { done: &[], asked: &router, named: &["local-not-translated world"], last: "world" },
    );
    let inside = ["pc", "10.138.0.3", "tcp:8080"];
    check_mended(
        &net,
        &Trap { done: &[], asked: &inside, named: &["hairpin-not-translated world"], last: "pc:veth1-pc" },
    );
}

#[test]
fn names_that_cannot_be_are_told_before_the_kernel_is_asked() {
    let net = Net::lab("why-names");
    let long = net.run(&["why", "pc:veth-printer-upstairs", "printer"]);
    assert_eq!(long.code, Some(2), "{}", long.stdout);
    assert!(
        long.stderr.contains("N014") && long.stderr.contains("21 bytes") && long.stderr.contains("15"),
        "{}",
        long.stderr
    );
    let unknown = net.run(&["why", "pc", "prinetr"]);
    assert_eq!(unknown.code, Some(2));
    assert!(
        unknown.stderr.contains("there is no node or namespace `prinetr`")
            && unknown.stderr.contains("printer"),
        "{}",
        unknown.stderr
    );
    let interface = net.run(&["why", "pc:eth7", "printer"]);
    assert!(
        interface.code == Some(2) && interface.stderr.contains("it has lo, eth0"),
        "{}",
        interface.stderr
    );
    assert_eq!(net.run(&["why", "pc", "printer", "tcp:0"]).code, Some(2));
}

#[test]
fn a_node_without_a_name_server_cannot_ask_for_names() {
    let net = Net::lab("why-dns");
    let said = net.why(&["pc", "www.example.com"]);
    assert!(said.is_reachable() && said.told["name"] == "www.example.com", "{}", said.sentences());
    net.does(
        "router",
        "nft 'add table ip f; add chain ip f forward { type filter hook forward priority 0; }
                        add rule ip f forward udp dport 53 drop'",
    );
    let said = net.why(&["pc", "www.example.com"]);
    assert_eq!(
        (said.stopping(), said.code),
        (vec!["no-name-server pc".to_owned(), "rule router".to_owned()], Some(1)),
        "{}",
        said.sentences()
    );
    let fix = &said.faults()[1]["fixes"][0];
    net.does(fix["node"].as_str().unwrap(), fix["command"].as_str().unwrap());
    assert!(net.why(&["pc", "www.example.com"]).is_reachable());
    // By hand programs read the machine's file, and what it names is not in this namespace.
    let net = Net::by_hand("why-dns-hand");
    let Net::ByHand(_, world) = &net else { return };
    world.shell(
        "echo nameserver 127.0.0.53 > /run/nameservers
         resolver=$(readlink -m /etc/resolv.conf)
         case $resolver in
             /run/*) mkdir -p ${resolver%/*}; cp /run/nameservers $resolver ;;
             *) mount --bind /run/nameservers $resolver ;;
         esac",
    );
    let said = net.why(&["pc", "www.example.com"]);
    assert_eq!(said.stopping()[0], "no-name-server pc", "{}", said.sentences());
    let sentence = said.faults()[0]["sentence"].as_str().unwrap();
    assert!(sentence.contains("127.0.0.53, an address of the namespace's own"), "{sentence}");
    assert!(said.faults()[0]["evidence"][0]["says"].as_str().unwrap().contains("nameserver 127.0.0.53"));
}

#[test]
fn a_namespace_that_has_lost_its_name_is_named_by_who_keeps_it() {
    let net = Net::by_hand("why-unnamed");
    net.does("pc", "sleep 1000 > /dev/null 2>&1 &");
    net.does("world", "ip netns del pc");
    let gone = net.run(&["why", "pc", "printer"]);
    assert!(gone.code == Some(2) && gone.stderr.contains("sleep-"), "{}", gone.stderr);
    let said = net.why(&["printer", "10.0.0.1"]);
    assert!(said.is_reachable(), "{}", said.sentences());
    let fault = said.faults().iter().find(|fault| fault["cause"] == "namespace-unnamed").expect("it is told");
    assert!(
        fault["sentence"].as_str().unwrap().contains("which has 10.0.0.1, has no name: the process sleep ("),
        "{fault}"
    );
    net.does("world", fault["fixes"][0]["command"].as_str().unwrap());
    let said = net.why(&["printer", "10.0.0.1"]);
    assert!(said.faults().iter().all(|fault| fault["cause"] != "namespace-unnamed"), "{}", said.sentences());
}

/// A real packet beside the prediction.
#[test]
fn a_real_packet_tells_where_it_was_lost() {
    let net = Net::lab("why-probe");
    let said = net.why(&["--probe", "pc", "1.1.1.1"]);
    assert!(said.is_reachable() && said.told["probe"]["is_answered"] == true, "{}", said.told["probe"]);
    net.does("router", "sysctl -w net.ipv4.ip_forward=0");
    let said = net.why(&["--probe", "pc", "1.1.1.1"]);
    assert_eq!(said.stopping(), ["not-forwarding router"]);
    assert_eq!(said.told["probe"]["is_answered"], false);
    assert_eq!(
        said.told["probe"]["last"],
        serde_json::json!({ "node": "router", "interface": "eth0" }),
        "{}",
        said.told["probe"]
    );
    let evidence = said.faults()[0]["evidence"].to_string();
    assert!(evidence.contains("Ip.InAddrErrors +1"), "{evidence}");
    // What no question to the kernel finds: a queue that drops everything.
    net.does(
        "router",
        "sysctl -w net.ipv4.ip_forward=1; tc qdisc replace dev eth1 root tbf rate 8kbit burst 40 limit 40",
    );
    let said = net.why(&["pc", "1.1.1.1"]);
    assert!(said.is_reachable(), "{}", said.sentences());
    let said = net.why(&["--probe", "pc", "1.1.1.1"]);
    assert_eq!(said.code, Some(1), "{}", said.told["probe"]);
    assert_eq!(said.told["probe"]["last"]["node"], "router", "{}", said.told["probe"]);
    let lost = net.trace(&["pc", "1.1.1.1"]);
    assert_eq!(
        (lost[0].last.as_str(), lost[0].causes.as_slice()),
        ("router:eth0", &["queue-full router:eth1".to_owned()][..]),
        "{}",
        lost[0]
    );
    // A rule that is not understood: the packet decides.
    net.does(
        "router",
        "tc qdisc del dev eth1 root
         nft 'add table ip f; add chain ip f forward { type filter hook forward priority 0; }
         add rule ip f forward meta priority 0:7 drop'",
    );
    let said = net.why(&["pc", "1.1.1.1"]);
    assert_eq!(
        (said.told["verdict"].as_str(), said.code),
        (Some("unknown"), Some(1)),
        "{}",
        said.sentences()
    );
    assert_eq!(said.stopping(), ["not-understood router"]);
    let said = net.why(&["--probe", "pc", "1.1.1.1"]);
    assert!(said.is_reachable() && said.code == Some(0), "{}", said.sentences());
}

/// A TCP connection and a datagram, and a namespace in which nobody may open a ping socket.
#[test]
fn real_packets_of_every_kind() {
    let net = Net::by_hand("why-kinds");
    serve(&net, "printer", "0.0.0.0", 80);
    for words in [&["--probe", "pc", "printer"][..], &["--probe", "pc", "printer", "tcp:80"]] {
        let said = net.why(words);
        assert!(
            said.told["probe"]["is_answered"] == true && said.code == Some(0),
            "{words:?} {}",
            said.told["probe"]
        );
    }
    for words in [&["--probe", "pc", "printer", "tcp:81"][..], &["--probe", "pc", "printer", "udp:81"]] {
        let said = net.why(words);
        assert_eq!((&said.told["probe"]["is_answered"], said.code), (&false.into(), Some(1)), "{words:?}");
        assert_eq!(said.stopping(), ["not-listening printer"]);
    }
}
