//! Bridges inside of devices: what iproute2 tells of them.

use super::judge::{is, reason};
use super::{Answer, Port};
use serde_json::Value;
use std::collections::BTreeSet;

/// Links with their kinds, then what VLANs ports of bridges have.
pub(super) const COMMAND: &str = "ip -d -j link && echo && bridge -j vlan";

/// The links of a device, and the VLANs of its bridges' ports.
fn seen(answer: &Answer) -> Result<(Vec<Value>, Vec<Value>), String> {
    let (links, vlans) = answer.stdout.split_once("\n\n").unwrap_or((&answer.stdout, ""));
    let links =
        serde_json::from_str(links.trim()).map_err(|_| reason(answer, "no answer that can be read"))?;
    // A kernel whose bridges know no VLANs says nothing.
    Ok((links, serde_json::from_str(vlans.trim()).unwrap_or_default()))
}

/// The link of a port.
fn link<'a>(links: &'a [Value], port: &Port) -> Result<&'a Value, String> {
    let is_meant = |link: &&Value| match port {
        Port::Interface(name) => link["ifname"] == **name,
        Port::Vxlan(vni) => link["linkinfo"]["info_data"]["id"] == *vni,
    };
    links.iter().find(is_meant).ok_or_else(|| format!("there is no {port}"))
}

/// Whether all these are ports of one bridge.
pub(super) fn one(answer: &Answer, ports: &[Port]) -> Result<(), String> {
    let (links, _) = seen(answer)?;
    let mut bridges = Vec::new();
    for port in ports {
        let Some(master) = link(&links, port)?["master"].as_str() else {
            return Err(format!("{port} is in no bridge"));
        };
        let kind = &link(&links, &Port::Interface(master.to_owned()))?["linkinfo"]["info_kind"];
        is(*kind == "bridge", || format!("{port} is in {master}, which is no bridge"))?;
        bridges.push(format!("{port} in {master}"));
    }
    let masters: BTreeSet<&str> = bridges.iter().filter_map(|words| words.rsplit(' ').next()).collect();
    is(masters.len() == 1, || bridges.join(", "))
}

/// The VLANs of a port with their flags.
fn vlans(answer: &Answer, port: &Port) -> Result<Vec<Value>, String> {
    let (links, vlans) = seen(answer)?;
    let name = &link(&links, port)?["ifname"];
    let found = vlans.iter().find(|entry| entry["ifname"] == *name);
    let found = found.and_then(|entry| entry["vlans"].as_array()).cloned();
    found.ok_or_else(|| format!("no VLANs are set on {port}"))
}

/// Whether a port has exactly these VLANs besides 1.
pub(super) fn tags(answer: &Answer, port: &Port, wanted: &BTreeSet<i64>) -> Result<(), String> {
    let numbers = vlans(answer, port)?.into_iter().filter_map(|vlan| {
        let first = vlan["vlan"].as_i64()?;
        Some(first..=vlan["vlanEnd"].as_i64().unwrap_or(first))
    });
    let found: BTreeSet<i64> = numbers.flatten().filter(|number| *number != 1).collect();
    let wanted: BTreeSet<i64> = wanted.iter().copied().filter(|number| *number != 1).collect();
    is(found == wanted, || {
        let words: Vec<String> = found.iter().map(i64::to_string).collect();
        format!("it has {}", if words.is_empty() { "none".to_owned() } else { words.join(", ") })
    })
}

/// Whether a port takes untagged frames for this VLAN.
pub(super) fn pvid(answer: &Answer, port: &Port, wanted: i64) -> Result<(), String> {
    let vlans = vlans(answer, port)?;
    let has_flag =
        |vlan: &&Value| vlan["flags"].as_array().is_some_and(|flags| flags.iter().any(|f| f == "PVID"));
    match vlans.iter().find(has_flag).and_then(|vlan| vlan["vlan"].as_i64()) {
        Some(found) => is(found == wanted, || format!("it takes them for VLAN {found}")),
        None => Err("it takes them for none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Facts, parse};
    use super::*;
    use crate::diagnostic::Source;

    const LINKS: &str = r#"[{"ifname":"eth0","master":"br0"},{"ifname":"eth1","master":"br0"},{"ifname":"eth2","master":"br1"},
        {"ifname":"eth3"},{"ifname":"vx","master":"br0","linkinfo":{"info_kind":"vxlan","info_data":{"id":100}}},
        {"ifname":"br0","linkinfo":{"info_kind":"bridge"}},{"ifname":"br1","linkinfo":{"info_kind":"bridge"}}]"#;
    const VLANS: &str = r#"[{"ifname":"eth0","vlans":[{"vlan":1},{"vlan":10,"flags":["PVID","Egress Untagged"]}]},
        {"ifname":"eth1","vlans":[{"vlan":10,"vlanEnd":11}]},{"ifname":"vx","vlans":[{"vlan":20,"flags":["PVID"]}]}]"#;

    /// The verdicts on the checks of one bridge of `r`.
    fn verdicts(bridge: &str, stdout: &str) -> Vec<Result<(), String>> {
        let source = Source::new("test.yaml", format!("test: {{ bridges: {{ r: [{bridge}] }} }}\n"));
        let checks = parse(&source).unwrap_or_else(|problems| panic!("{problems:?}")).checks;
        let answer = Answer { stdout: stdout.to_owned(), ..Answer::default() };
        checks.iter().map(|check| check.verdict(&answer, &Facts::default())).collect()
    }

    #[test]
    fn ports_are_of_one_bridge_or_told() {
        let check = |bridge: &str, flaw: Option<&str>| {
            let wanted = flaw.map_or(Ok(()), |flaw| Err(flaw.to_owned()));
            assert_eq!(verdicts(bridge, &format!("{LINKS}\n\n")), [wanted], "{bridge}");
        };
        check("{ interfaces: { eth0: {}, eth1: {} } }", None);
        check("{ interfaces: { eth0: }, vxlan: { 100: {} } }", None);
        check("{ interfaces: { eth0: {}, eth2: {} } }", Some("eth0 in br0, eth2 in br1"));
        check("{ interfaces: { eth0: {}, eth3: {} } }", Some("eth3 is in no bridge"));
        check("{ interfaces: { eth9: {} } }", Some("there is no eth9"));
        check("{ interfaces: { eth0: {} }, vxlan: { 101: {} } }", Some("there is no VXLAN 101"));
    }

    #[test]
    fn vlans_of_ports_are_compared() {
        let both = format!("{LINKS}\n\n{VLANS}\n");
        let right = "{ interfaces: { eth0: { vlan_tags: [10], pvid: 10 }, eth1: { vlan_tags: ['10', 11] } }, vxlan: { 100: { pvid: 20 } } }";
        assert_eq!(verdicts(right, &both), vec![Ok(()); 5]);
        let wrong = "{ interfaces: { eth0: { vlan_tags: [10, 12], pvid: 1 }, eth1: { pvid: 1 }, vx: { vlan_tags: [1] } } }";
        let flaws = ["it has 10", "it takes them for VLAN 10", "it takes them for none", "it has 20"];
        let found = verdicts(wrong, &both);
        assert_eq!(found[1..], flaws.map(|flaw| Err(flaw.to_owned())));
        assert_eq!(
            verdicts("{ interfaces: { eth0: { pvid: 1 } } }", LINKS)[1],
            Err("no VLANs are set on eth0".to_owned())
        );
    }
}
