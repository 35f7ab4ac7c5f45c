//! Networks over UDP: ends that do not fit, and what stops the packets that carry frames.

use crate::net::{Net, mend};
use serde_json::Value;

const LAB: &str = "
networks: { under: 192.168.9.0/24 }
nodes:
  a: { links: { under: 192.168.9.1 }, interfaces: { vx0: { kind: vxlan, id: 42, remote: 192.168.9.2, address: 10.42.0.1/24 } } }
  b: { links: { under: 192.168.9.2 }, interfaces: { vx0: { kind: vxlan, id: 42, remote: 192.168.9.1, address: 10.42.0.2/24 } } }
  c: { links: { under: 192.168.9.3 } }
";
const ASKED: [&str; 2] = ["a", "10.42.0.2"];

/// A tunnel of `b` in the place of the one that it has.
fn other(settings: &str) -> String {
    format!(
        "ip link delete vx0; ip link add vx0 type vxlan {settings}
         ip address add 10.42.0.2/24 dev vx0; ip link set vx0 up"
    )
}

/// Where `a` sends. What was learned is forgotten with a link that goes down.
fn remote(address: &str) -> String {
    format!("ip link set vx0 down; ip link set vx0 type vxlan id 42 remote {address}; ip link set vx0 up")
}

#[test]
fn the_ends_of_a_tunnel_are_told_where_they_do_not_fit() {
    let net = Net::of("why-tunnel", LAB);
    let said = net.why(&ASKED);
    assert!(said.is_reachable(), "{}", said.sentences());
    let hops = said.told["legs"][0]["hops"].as_array().unwrap();
    let ends: Vec<&Value> = hops
        .iter()
        .filter(|hop| hop["event"].get("tunnelled").is_some())
        .map(|hop| &hop["place"]["node"])
        .collect();
    assert_eq!(ends, ["a", "b"]);
    let sends = "a:vx0 sends frames of VNI 42 to 192.168.9";
    for (node, script, place, sentence) in [
        (
            "b",
            other("id 43 remote 192.168.9.1 dstport 4789"),
            "b:vx0",
            ".2 at UDP port 4789, and b:vx0 takes those of VNI 43 at port 4789",
        ),
        (
            "b",
            other("id 42 remote 192.168.9.1 dstport 8472"),
            "b:vx0",
            ".2 at UDP port 4789, and b:vx0 takes those of VNI 42 at port 8472",
        ),
        ("a", remote("192.168.9.77"), "a:vx0", ".77 at UDP port 4789, and nobody has that address"),
        (
            "a",
            remote("192.168.9.3"),
            "a:vx0",
            ".3 at UDP port 4789, and c, which has that address, has no vxlan that takes them",
        ),
    ] {
        net.does(node, &script);
        net.does("a", "ip neighbour flush dev vx0");
        let said = net.why(&ASKED);
        assert_eq!(said.stopping(), [format!("tunnel-mismatch {place}")], "{}", said.sentences());
        assert_eq!(said.faults()[0]["sentence"], format!("{sends}{sentence}"));
        assert!(!net.passes(&ASKED, &said), "{sentence}");
        mend(&net, &ASKED);
    }
}

#[test]
fn what_stops_the_packets_of_a_tunnel_is_told_at_its_place() {
    let net = Net::of("why-carrier", LAB);
    net.does("a", &remote("172.16.9.7"));
    let said = net.why(&ASKED);
    assert_eq!(said.stopping(), ["no-route a"], "{}", said.sentences());
    // Nobody there leads anywhere.
    assert_eq!(said.faults()[0]["fixes"].as_array().unwrap().len(), 0, "{}", said.faults()[0]);
    net.does("a", &remote("192.168.9.2"));
    net.does(
        "b",
        "nft 'add table ip f; add chain ip f in { type filter hook input priority 0; }
              add rule ip f in udp dport 4789 drop'",
    );
    let said = net.why(&ASKED);
    assert_eq!(said.stopping(), ["rule b"], "{}", said.sentences());
    assert!(!net.passes(&ASKED, &said));
    mend(&net, &ASKED);
    net.does("b", "ip link set eth0 mtu 1000");
    let causes = net.why(&ASKED).causes();
    assert!(causes.contains(&"mtu-too-small b:eth0".to_owned()), "{causes:?}");
    // Smaller packets than that are never sent.
    net.does("a", "ip link set vx0 mtu 900");
    let said = net.why(&ASKED);
    assert!(said.causes().is_empty(), "{}", said.sentences());
}

/// Who is asked learns where the question came from, and answers there.
#[test]
fn an_answer_goes_where_the_question_came_from() {
    let net = Net::of("why-learned", LAB);
    let wrong = "ip link set vx0 type vxlan id 42 remote 192.168.9.3";
    net.does("b", wrong);
    let said = net.why(&ASKED);
    assert!(said.is_reachable() && net.passes(&ASKED, &said), "{}", said.sentences());
}
