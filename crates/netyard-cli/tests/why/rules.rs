//! Rules with sets, maps of verdicts and marks.

use crate::net::Net;

#[test]
fn sets_maps_and_concatenations_decide_as_in_the_kernel() {
    let net = Net::lab("why-sets");
    net.does(
        "router",
        "nft '
table ip f {
    set bad { type ipv4_addr; flags interval; elements = { 9.9.9.0/24, 8.8.8.1-8.8.8.9 } }
    set pairs { type ipv4_addr . inet_service; flags interval; elements = { 10.0.0.0/24 . 8000-9000 } }
    map doors { type inet_service : verdict; elements = { 80 : accept, 81 : jump shut } }
    chain shut { drop; }
    chain forward {
        type filter hook forward priority 0;
        ip daddr @bad drop
        tcp dport vmap @doors
        ip saddr . tcp dport @pairs drop
        iifname . udp dport vmap { \"eth0\" . 53 : drop, \"eth1\" . 54 : drop }
    }
}'",
    );
    for (words, stopping) in [
        (&["pc", "1.1.1.1"][..], ""),
        (&["pc", "9.9.9.9"], "rule router"),
        (&["pc", "8.8.8.9"], "rule router"),
        (&["pc", "8.8.8.10"], ""),
        (&["pc", "1.1.1.1", "tcp:80"], ""),
        (&["pc", "1.1.1.1", "tcp:81"], "rule router"),
        (&["pc", "1.1.1.1", "tcp:8080"], "rule router"),
        (&["pc", "1.1.1.1", "udp:53"], "rule router"),
    ] {
        let said = net.why(words);
        let stops = said.stopping();
        let first = stops.first().map_or("", String::as_str);
        assert_eq!(first, stopping, "{words:?}: {}", said.sentences());
        let is_certain = said.faults().iter().all(|fault| fault["confidence"] == "certain");
        assert!(is_certain, "{words:?}: {}", said.sentences());
        if !words.contains(&"udp:53") {
            assert_eq!(net.passes(words, &said), stopping.is_empty(), "{words:?}");
        }
    }
}

/// A mark chooses a table of routes; that of a connection is seen by what belongs to it.
#[test]
fn marks_are_followed_to_routes_and_rules() {
    let net = Net::lab("why-marks");
    net.does(
        "router",
        "ip rule add fwmark 0x1 lookup 100; ip route add blackhole default table 100
         nft '
table ip f {
    chain pre {
        type filter hook prerouting priority -150;
        tcp dport 80 meta mark set 0x1
        icmp type echo-request ct mark set 0x7
    }
    chain forward {
        type filter hook forward priority 0;
        ct mark 0x7 icmp type echo-reply drop
    }
}'",
    );
    let said = net.why(&["pc", "1.1.1.1", "tcp:80"]);
    assert_eq!(said.stopping(), ["blackhole router"], "{}", said.sentences());
    assert!(!net.passes(&["pc", "1.1.1.1", "tcp:80"], &said));
    let said = net.why(&["pc", "1.1.1.1"]);
    assert_eq!(said.stopping(), ["rule router"], "{}", said.sentences());
    assert_eq!(said.faults()[0]["way"], "back");
    assert!(!net.passes(&["pc", "1.1.1.1"], &said));
    net.does("router", "nft flush chain ip f forward");
    let said = net.why(&["pc", "1.1.1.1"]);
    assert!(said.is_reachable() && net.passes(&["pc", "1.1.1.1"], &said), "{}", said.sentences());
}
