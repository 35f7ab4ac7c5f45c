//! What was built by hand is built again from what `look` saw: the same state.
#![allow(clippy::unwrap_used)]

mod odd;
mod support;
mod world;

use odd::NETWORKS;
use serde_json::{Map, Value};
use support::Yard;
use world::World;

/// Of a look, what a network is: not who holds it, nor the kernel's numbers.
fn facts(look: &Value) -> Map<String, Value> {
    let mut facts = Map::new();
    for seen in look["namespaces"].as_array().unwrap() {
        assert!(seen["unread"].is_null(), "{seen}");
        let mut own = Map::new();
        for key in ["routes", "rules", "nat", "firewall", "tables", "sysctls"] {
            own.insert(key.to_owned(), seen[key].clone());
        }
        let permanent = |entry: &&Value| entry["state"] == "permanent";
        let neighbours = seen["neighbours"].as_array().unwrap().iter().filter(permanent).cloned();
        own.insert("neighbours".to_owned(), neighbours.collect());
        for interface in seen["interfaces"].as_array().unwrap() {
            own.insert(format!("interface {}", interface["name"].as_str().unwrap()), plain(interface));
        }
        sort(&mut own);
        facts.insert(seen["name"].as_str().unwrap().to_owned(), own.into());
    }
    facts
}

fn plain(interface: &Value) -> Value {
    let mut plain = interface.as_object().unwrap().clone();
    plain.remove("index");
    for end in ["peer", "parent"] {
        plain[end].as_object_mut().map(|end| end.remove("index"));
    }
    plain["bridge"].as_object_mut().map(|bridge| bridge.remove("learned"));
    // Links carry packets, and have the kernel's own addresses, a moment after they are up.
    plain.remove("state").filter(|state| state == "down").map(|state| plain.insert("state".into(), state));
    plain.remove("port_state");
    let addresses = plain["addresses"].as_array_mut().unwrap();
    addresses.retain(|address| !address.as_str().unwrap().starts_with("fe80:"));
    plain.into()
}

/// Lists that have no order.
fn sort(own: &mut Map<String, Value>) {
    for (key, value) in own {
        if key == "routes" || key.starts_with("interface") {
            let list = if key == "routes" { value.as_array_mut() } else { value["addresses"].as_array_mut() };
            if let Some(list) = list {
                list.sort_by_key(ToString::to_string);
            }
            if let Some(ports) =
                value.get_mut("bridge").and_then(|b| b.get_mut("ports")).and_then(Value::as_array_mut)
            {
                ports.sort_by_key(ToString::to_string);
            }
        }
    }
}

/// The lines in which both differ.
pub fn differences(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for name in before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))) {
        let (Some(was), Some(is)) = (before.get(name), after.get(name)) else {
            found.push(format!("{name}: only once"));
            continue;
        };
        let (was, is) = (was.as_object().unwrap(), is.as_object().unwrap());
        for key in was.keys().chain(is.keys().filter(|key| !was.contains_key(*key))) {
            let (was, is) = (was.get(key).unwrap_or(&Value::Null), is.get(key).unwrap_or(&Value::Null));
            let (Some(own), Some(other)) = (was.as_object(), is.as_object()) else {
                found.extend((was != is).then(|| format!("{name} {key}: by hand {was}, again {is}")));
                continue;
            };
            for part in own.keys().chain(other.keys().filter(|part| !own.contains_key(*part))) {
                let (was, is) = (&was[part], &is[part]);
                found.extend((was != is).then(|| format!("{name} {key} {part}: by hand {was}, again {is}")));
            }
        }
    }
    found
}

#[test]
fn the_script_of_what_was_seen_builds_the_same() {
    let yard = Yard::new("again-script");
    let mut reports = Vec::new();
    for (name, script) in NETWORKS {
        let by_hand = World::new(script);
        let ran = by_hand.run(&yard, &["look", "--script"]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{name}");
        let before = facts(&by_hand.json(&yard, &["look", "--json"]));
        let file = yard.write("script.sh", &ran.stdout);
        let again = World::bare();
        let made = again.enter_with(&yard, &["bash", file.to_str().unwrap()]);
        assert_eq!(made.code, Some(0), "{name}: {}\n{}", made.stderr, ran.stdout);
        let after = facts(&again.json(&yard, &["look", "--json"]));
        assert!(before.len() > 1, "{name}: {before:?}");
        let found = differences(&before, &after);
        if !found.is_empty() {
            reports.push(format!("{name}:\n{}", found.join("\n")));
        }
    }
    assert!(reports.is_empty(), "{}", reports.join("\n\n"));
}

/// What a lab file has another way to say, or does not say: legacy tables are nftables', and IPv6 is off where no address
/// is of it.
fn as_labs_say(facts: &Map<String, Value>) -> Map<String, Value> {
    let has_ipv6 = |own: &Value| {
        let interfaces = own.as_object().unwrap().values().filter_map(|value| value["addresses"].as_array());
        interfaces.flatten().any(|a| a.as_str().unwrap().contains(':') && a != "::1/128")
    };
    let uses_ipv6 = facts.values().any(has_ipv6);
    let mut facts = facts.clone();
    for own in facts.values_mut() {
        let own = own.as_object_mut().unwrap();
        own.remove("tables");
        for key in ["nat", "firewall"] {
            let rules = own[key].as_array_mut().unwrap();
            for rule in rules.iter_mut() {
                let chain = rule["chain"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned();
                rule["chain"] = chain.into();
            }
            // Those that are not understood were told as left out.
            rules.retain(|rule| !rule["meaning"].is_null());
            rules.sort_by_key(ToString::to_string);
        }
        if !uses_ipv6 {
            own["sysctls"].as_object_mut().unwrap().retain(|key, _| !key.starts_with("net.ipv6."));
            if let Some(addresses) = own["interface lo"]["addresses"].as_array_mut() {
                addresses.retain(|address| address != "::1/128");
            }
        }
    }
    facts
}

/// By hand, then `look --yaml`, `up`, `look`: what differs.
fn by_lab_file(
    yard: &Yard,
    run: &dyn Fn(&[&str]) -> support::Ran,
    (name, script): (&str, &str),
    leaves_out: &[&str],
) -> String {
    let by_hand = if name == odd::TUN.0 { World::with_tun_and(script) } else { World::new(script) };
    let ran = by_hand.run(yard, &["look", "--yaml"]);
    assert_eq!(ran.code, Some(0), "{name}: {}", ran.stderr);
    let told: Vec<&str> = ran.stderr.lines().collect();
    let expected = ["to the same effect", "has IPv6 off"];
    let untold =
        told.iter().filter(|line| !expected.iter().chain(leaves_out).any(|words| line.contains(words)));
    let untold: Vec<_> = untold.collect();
    assert!(untold.is_empty(), "{name}: {untold:?}");
    for line in &told {
        let remark = line.split_once(": ").unwrap().1;
        assert!(ran.stdout.contains(&format!("# - {remark}")), "{name}: {line} is in the file too");
    }
    let before = as_labs_say(&facts(&by_hand.json(yard, &["look", "--json"])));
    let text = ran.stdout.replacen("lab: world", &format!("lab: {}", yard.lab), 1);
    let file = yard.write("again.yaml", &text);
    let up = run(&["up", "--quiet", file.to_str().unwrap()]);
    if up.code != Some(0) {
        return format!("{name}: {}\n{text}", up.stderr);
    }
    let plan = run(&["plan", file.to_str().unwrap()]);
    let after = run(&["look", &yard.lab, "--json"]);
    let after = as_labs_say(&facts(&serde_json::from_str(&after.stdout).unwrap()));
    run(&["down", &yard.lab]);
    let mut found = differences(&before, &after);
    found.extend((!plan.stdout.is_empty()).then(|| format!("once more: {}", plan.stdout)));
    if found.is_empty() { String::new() } else { format!("{name}:\n{}\n", found.join("\n")) }
}

#[test]
fn the_lab_file_of_what_was_seen_builds_the_same() {
    let yard = Yard::new("again-yaml");
    let leaves_out = |name: &str| match name {
        "legacy and nft rules side by side" => &["a lab file cannot say the rule of"][..],
        _ => &[][..],
    };
    let report = |network: &(&str, &str)| {
        by_lab_file(&yard, &|words| yard.run(words), *network, leaves_out(network.0))
    };
    let reports: Vec<String> = NETWORKS.iter().map(report).collect();
    assert!(reports.concat().is_empty(), "{}", reports.concat());
}

#[test]
fn links_to_programs_are_built_again() {
    let yard = Yard::new("again-tun");
    let machine = World::with_tun();
    let is_open = machine.shell("stat -c %a /dev/net/tun").trim() == "666";
    if is_open {
        assert_eq!(by_lab_file(&yard, &|words| machine.run(&yard, words), odd::TUN, &[]), "");
        return;
    }
    // An ordinary user is told what the machine does not allow.
    let file =
        yard.write("tun.yaml", "nodes: { a: { interfaces: { tun0: { kind: tun, address: 10.3.0.1/24 } } } }");
    let up = yard.run(&["up", file.to_str().unwrap()]);
    assert_eq!(up.code, Some(3));
    assert!(up.stderr.contains("ip -n a tuntap add dev tun0 mode tun"), "{}", up.stderr);
}
