//! `netyard look` at namespaces that others have made.
#![allow(clippy::unwrap_used)]

mod support;
mod world;

use serde_json::Value;
use std::collections::BTreeMap;
use support::Yard;
use support::machine::is_root;
use world::World;

/// Fifty namespaces: twenty with a name, in a row of cables; ten that only a process is in; ten that only a descriptor
/// keeps; ten of user namespaces inside. All but the first are cabled to this one.
const FIFTY: &str = r#"
    ip link set lo up
    for n in $(seq 20); do ip netns add n$n; done
    for n in $(seq 19); do ip link add next netns n$n type veth peer name prev netns n$((n + 1)); done
    ip link add to-n20 type veth peer name home netns n20
    own=$(readlink /proc/self/ns/net)
    gone() { while [ "$(readlink /proc/$1/ns/net)" = "$own" ]; do sleep 0.01; done; }
    for n in $(seq 10); do
        unshare --net sleep 1000 & gone $!
        ip link add to-p$n type veth peer name home netns $!
    done
    for n in $(seq 10); do
        ip netns add f$n
        ip link add to-f$n type veth peer name home netns f$n
        eval "exec $((n + 20))</run/netns/f$n"
        ip netns delete f$n
    done
    for n in $(seq 10); do
        unshare --user --map-root-user --net sleep 1000 & gone $!
        ip link add to-u$n type veth peer name home netns $!
    done
    ip address add 192.0.2.1/24 dev to-n20
    ip -n n20 address add 192.0.2.20/24 dev home
"#;

/// What a careless look would change.
const DUMP: &str = r#"
    cat /proc/self/mountinfo /proc/modules 2>/dev/null
    for ns in /proc/1/ns/net $(pgrep -x sleep | sed 's|.*|/proc/&/ns/net|') /proc/1/fd/{21..30} /run/netns/*; do
        echo $ns
        nsenter --net=$ns sh -c 'ip -o link; ip address; ip route show table all; ip netns list-id; nft list ruleset
            cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; cd /proc/sys/net && grep -rs . ipv4/conf ipv6/conf bridge' 2>&1
    done | grep -v -e valid_lft -e nf_conntrack_count
"#;

fn by_name(look: &Value) -> BTreeMap<&str, &Value> {
    let namespaces = look["namespaces"].as_array().unwrap();
    namespaces.iter().map(|seen| (seen["name"].as_str().unwrap(), seen)).collect()
}

fn interface<'a>(seen: &'a Value, name: &str) -> &'a Value {
    let interfaces = seen["interfaces"].as_array().unwrap();
    interfaces.iter().find(|i| i["name"] == *name).unwrap_or_else(|| panic!("no {name} in {seen}"))
}

#[test]
fn fifty_foreign_namespaces_are_named_and_linked_and_left_alone() {
    let yard = Yard::new("look-fifty");
    let world = World::new(FIFTY);
    let before = world.shell(DUMP);
    let look = world.json(&yard, &["look", "--host", "--json"]);
    let after = world.shell(DUMP);
    let changes: Vec<_> =
        before.lines().zip(after.lines()).filter(|(before, after)| before != after).collect();
    assert!(changes.is_empty() && before.len() == after.len() && before.len() > 10_000, "{changes:?}");

    assert_eq!(look["schema"], "netyard/look/1");
    let seen = by_name(&look);
    assert_eq!(seen.len(), 51, "{:?}", seen.keys());
    for (name, namespace) in &seen {
        assert!(namespace["unread"].is_null(), "{name}: {}", namespace["unread"]);
    }
    let here = look["namespaces"].as_array().unwrap().iter().find(|seen| seen["is_here"] == true).unwrap();
    for n in 1..20 {
        let peer = &interface(seen[format!("n{n}").as_str()], "next")["peer"];
        assert_eq!(
            *peer,
            serde_json::json!({ "namespace": format!("n{}", n + 1), "interface": "prev",
            "index": interface(seen[format!("n{}", n + 1).as_str()], "prev")["index"] })
        );
        assert_eq!(seen[format!("n{n}").as_str()]["files"], serde_json::json!([format!("/run/netns/n{n}")]));
    }
    for kind in ["p", "f", "u"] {
        for n in 1..=10 {
            let peer = &interface(here, &format!("to-{kind}{n}"))["peer"];
            assert_eq!(peer["interface"], "home", "{kind}{n}: {peer}");
            let other = seen[peer["namespace"].as_str().unwrap()];
            assert_eq!(interface(other, "home")["peer"]["namespace"], here["name"]);
            let holder = &other["holders"][0];
            assert_eq!(holder["by"], if kind == "f" { "descriptor" } else { "process" });
            assert_eq!(holder["comm"], if kind == "f" { "bash" } else { "sleep" });
            assert_eq!(other["owner"].is_null(), kind != "u", "{other}");
        }
    }
    assert_eq!(interface(seen["n20"], "home")["addresses"], serde_json::json!(["192.0.2.20/24"]));

    let text = world.says(&yard, &["look", "--netns", "n20"]);
    assert!(text.contains("192.0.2.20/24"), "{text}");
    for form in ["--svg", "--mermaid", "--dot", "--ascii"] {
        let picture = world.says(&yard, &["look", "--host", form]);
        assert!(picture.contains("n20"), "{form}: {picture}");
    }
}

#[test]
fn what_may_not_be_read_is_said() {
    if !is_root() {
        return of_an_ordinary_user();
    }
    let yard = Yard::new("look-closed");
    let world = World::new(
        "ip netns add secret
         setpriv --reuid 65534 --regid 65534 --clear-groups unshare --user --map-root-user --net sleep 1000 &
         while [ \"$(readlink /proc/$!/ns/net)\" = \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.01; done
         nsenter --net=/proc/$!/ns/net ip link add mine type bridge",
    );
    let ran = world.run_as_nobody(&["look", "--host", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("were not looked at: only root may"), "{}", ran.stderr);
    let look: Value = serde_json::from_str(&ran.stdout).unwrap();
    let seen = by_name(&look);
    assert_eq!(seen["secret"]["unread"], "cannot enter it: only root may");
    let here = &look["namespaces"][0];
    let notes = here["notes"].to_string();
    assert!(notes.contains("nftables rules are not told: only root may read them"), "{notes}");
    assert!(notes.contains("legacy iptables rules are not told: only root may read them"), "{notes}");
    let own = look["namespaces"].as_array().unwrap().iter().find(|seen| !seen["owner"].is_null()).unwrap();
    assert_eq!((&own["unread"], &own["owner"]), (&Value::Null, &Value::from(65534)));
    assert_eq!(interface(own, "mine")["kind"], "bridge");
    // Root is told everything.
    let all = world.json(&yard, &["look", "--host", "--json"]);
    assert!(by_name(&all)["secret"]["unread"].is_null());
    let text = world.run_as_nobody(&["look", "--host"]);
    assert!(text.stdout.contains("NOT SEEN"), "{}", text.stdout);
}

/// As an ordinary user outside of any sandbox: one's own namespaces are read, the machine's as far as may be.
fn of_an_ordinary_user() {
    let yard = Yard::new("look-closed");
    let world = World::new("ip link add mine type bridge");
    let look: Value = yard.json(&["look", "--pid", &world.pid.to_string(), "--json"]);
    let seen = &look["namespaces"][0];
    assert!(seen["unread"].is_null(), "{seen}");
    assert_eq!(interface(seen, "mine")["kind"], "bridge");
    let host = yard.json(&["look", "--host", "--json"]);
    let notes = host["namespaces"][0]["notes"].to_string();
    assert!(notes.contains("only root may read them"), "{notes}");
}

#[test]
fn rules_of_both_kinds_are_told_in_words() {
    let yard = Yard::new("look-rules");
    let world = World::new(
        "ip link add out type veth peer name in
         ip address add 198.51.100.1/24 dev out
         iptables-legacy -t nat -A POSTROUTING -s 10.0.0.0/24 -o out -j MASQUERADE
         iptables-legacy -t nat -A PREROUTING -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.2:80
         iptables-legacy -N mine
         iptables-legacy -A mine -p icmp --icmp-type echo-request -j ACCEPT
         iptables-legacy -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
         iptables-legacy -A FORWARD ! -i out -j mine
         iptables-legacy -A FORWARD -m quota --quota 100 -j DROP
         iptables-legacy -P FORWARD DROP
         ip6tables-legacy -A INPUT -s fd00::/8 -i in -p udp --dport 53 -j ACCEPT
         nft 'add table ip t; add chain ip t c { type filter hook input priority 0; policy accept; }
              add rule ip t c tcp dport 22 counter drop'
         echo 1 > /proc/sys/net/ipv4/ip_forward
         ip rule add from 10.9.0.0/16 fwmark 0x7 table 100",
    );
    let look = world.json(&yard, &["look", "--json"]);
    let here = &look["namespaces"][0];
    let told = |key: &str| -> Vec<String> {
        let rules = here[key].as_array().unwrap().iter();
        let words = |rule: &Value| {
            let meaning = rule["meaning"].as_str().unwrap_or("?");
            format!("{}: {} # {meaning}", rule["chain"].as_str().unwrap(), rule["rule"].as_str().unwrap())
        };
        rules.map(words).collect()
    };
    assert_eq!(
        told("nat"),
        [
            "legacy ip nat PREROUTING: tcp dport 8080 dnat ip to 10.0.0.2:80 # to tcp port 8080: goes on to 10.0.0.2:80",
            "legacy ip nat POSTROUTING: oifname \"out\" ip saddr 10.0.0.0/24 masquerade # out by out, from 10.0.0.0/24: the source becomes 198.51.100.1",
        ]
    );
    assert_eq!(
        told("firewall"),
        [
            "ip t c: tcp dport 22 counter drop # to tcp port 22: is dropped",
            "legacy ip filter FORWARD: ct state established,related accept # answers and what belongs to them: passes",
            "legacy ip filter FORWARD: iifname != \"out\" jump mine # ?",
            "legacy ip filter FORWARD: xt match \"quota\" drop # ?",
            "legacy ip filter FORWARD: policy drop # what nothing above lets pass: is dropped",
            "legacy ip filter mine: icmp type echo-request accept # icmp echo-request: passes",
            "legacy ip6 filter INPUT: iifname \"in\" ip6 saddr fd00::/8 udp dport 53 accept # in by in, from fd00::/8, to udp port 53: passes",
        ]
    );
    assert_eq!(here["rules"], serde_json::json!(["priority 32765 from 10.9.0.0/16 fwmark 0x7 table 100"]));
    assert_eq!(here["sysctls"]["net.ipv4.ip_forward"], "1");
    assert_eq!(interface(here, "out")["peer"]["interface"], "in");
}

#[test]
fn what_has_no_place_in_a_look_is_named() {
    let yard = Yard::new("look-untold");
    let world = World::new(
        "ip netns add a; ip link add v type veth peer name eth0 netns a; ip link set v up
         ip address add 10.0.0.1 peer 10.0.0.2 dev v
         tc qdisc add dev v root pfifo limit 7
         nft 'add table ip t; add set ip t servers { type ipv4_addr; elements = { 10.0.0.9 } }
              add chain ip t c; add rule ip t c ip saddr @servers drop'",
    );
    let told = world.run(&yard, &["look", "--script"]).stderr;
    for words in [
        "left out: world: what is in the nftables set `ip t servers` is not told",
        "left out: world: 10.0.0.1 on v has the peer 10.0.0.2",
        "left out: world: the parameters of qdisc pfifo of v are not told",
        "left out: world: rule of ip t c is not understood: ip saddr @servers drop",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let look = world.json(&yard, &["look", "--json"]);
    let table = &look["namespaces"][0]["tables"][0];
    assert_eq!((&table["rules"], &table["not_understood"]), (&Value::from(1), &Value::from(1)));
}

#[test]
fn every_kind_of_link_is_known() {
    let yard = Yard::new("look-kinds");
    let world = World::new(
        "ip netns add a
         ip link add br0 type bridge stp_state 1
         ip link add p type veth peer name q
         ip link set p master br0
         ip link add mv link q type macvlan mode bridge
         ip link add far link q netns a type macvlan mode private
         ip link add vx type vxlan id 7 remote 192.0.2.9 dstport 4789 dev q
         ip link set br0 up; ip link set p up
         python3 -c 'import socket,time
s = socket.create_server((\"127.0.0.1\", 8099)); time.sleep(1000)' &
         until grep -q :1FA3 /proc/net/tcp; do sleep 0.01; done; ip link set lo up",
    );
    let look = world.json(&yard, &["look", "--json"]);
    let seen = by_name(&look);
    let here = &look["namespaces"][0];
    let bridge = &interface(here, "br0")["bridge"];
    assert_eq!(
        *bridge,
        serde_json::json!({ "ports": ["p"], "stp": true, "filters_vlans": false, "learned": 0 })
    );
    assert_eq!(interface(here, "p")["master"], "br0");
    assert_eq!(interface(here, "mv")["settings"], serde_json::json!({ "mode": "bridge" }));
    assert_eq!(interface(here, "mv")["parent"]["interface"], "q");
    let parent = &interface(seen["a"], "far")["parent"];
    assert_eq!((&parent["namespace"], &parent["interface"]), (&here["name"], &Value::from("q")));
    let vxlan = &interface(here, "vx")["settings"];
    assert_eq!(*vxlan, serde_json::json!({ "id": "7", "remote": "192.0.2.9", "dstport": "4789" }));
    let socket =
        &here["sockets"].as_array().unwrap().iter().find(|s| s["address"] == "127.0.0.1:8099").unwrap();
    assert_eq!(socket["process"]["comm"], "python3");
}

#[test]
fn a_lab_is_seen_with_what_was_made_inside_of_it() {
    let yard = Yard::with_lab(
        "look-lab",
        "networks: { lan: 10.0.0.0/24 }\nnodes: { a: { links: [lan] }, b: { links: [lan] } }\n",
    );
    let made = yard.run(&[
        "exec",
        "a",
        "--",
        "sh",
        "-c",
        "ip netns add inner; ip link add x type veth peer name y netns inner",
    ]);
    let look = yard.json(&["look", &yard.lab, "--json"]);
    let seen = by_name(&look);
    assert!(seen.contains_key("fabric") && seen.contains_key("b"), "{:?}", seen.keys());
    assert_eq!(interface(seen["a"], "eth0")["peer"]["namespace"], "fabric");
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert_eq!(interface(seen["a"], "x")["peer"]["namespace"], "inner", "{:?}", seen.keys());
    // From inside it is all that there is.
    let inside = yard.prints(&["exec", "a", "--", support::PROGRAM, "look", "--json"]);
    let inside: Value = serde_json::from_str(&inside).unwrap();
    assert!(by_name(&inside).contains_key("inner"), "{inside}");
}

#[test]
fn a_watcher_is_told_what_changes() {
    use std::io::{BufRead, BufReader};
    let yard = Yard::new("look-watch");
    let world = World::new("ip netns add pc; ip link add v type veth peer name eth0 netns pc");
    let mut watcher = world.start(&yard, &["look", "--watch"]);
    let mut lines = BufReader::new(watcher.stdout.take().unwrap()).lines();
    let mut until = |words: &str| {
        let found = lines.by_ref().map(|line| line.unwrap()).find(|line| line.contains(words));
        assert!(found.is_some(), "never told: {words}");
    };
    until("pc:eth0");
    world.shell("ip -n pc address add 10.0.0.1/24 dev eth0");
    until("+ pc: eth0 has 10.0.0.1/24");
    world.shell("ip link set v up");
    until("- world: v is down");
    world.shell("nft 'add table ip t; add chain ip t c; add rule ip t c ip saddr 10.0.0.0/8 drop'");
    until("+ world: ip t c: ip saddr 10.0.0.0/8 drop");
    world.shell("ip netns add other");
    until("+ other: namespace");
    world.shell("ip netns delete pc");
    until("- pc: namespace");
    world.shell("echo 1 > /proc/sys/net/ipv4/ip_forward");
    until("+ world: net.ipv4.ip_forward = 1");
    // The watcher does not keep what was deleted; the kernel takes it apart a little later.
    support::until("the cable has gone with its namespace", || !world.shell("ip -o link").contains("v@"));
    watcher.kill().unwrap();
    watcher.wait().unwrap();
}
