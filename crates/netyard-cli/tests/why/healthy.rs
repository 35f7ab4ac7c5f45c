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
