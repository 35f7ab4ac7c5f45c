use super::*;
use crate::desired;
use crate::labfile::{Source, parse};

const LAB: &str = "
lab: home
networks:
  lan: 10.0.0.0/24
  isp: 10.138.0.0/24
  wire: { kind: cable }
nodes:
  pc:      { links: { lan: 10.0.0.1 } }
  router:
    links: { lan: 10.0.0.254, isp: 10.138.0.3 }
    masquerade: { from: lan, out: isp }
    nat: [{ port-forward: { port: 8080, in: isp, to: pc:80 } }]
    firewall: { input: { policy: drop, allow: [{ tcp: 22 }] } }
  internet: { role: internet, links: { isp: 10.138.0.1 } }
  a: { links: { wire: 10.9.0.1/30 } }
  b: { links: { wire: 10.9.0.2/30 } }
";

fn lab(text: &str) -> Lab {
    let source = Source::new("home.yaml", text);
    parse(&source).unwrap_or_else(|problems| panic!("{problems:#?}")).lab
}

fn view(change: impl FnOnce(&mut State)) -> View {
    let lab = lab(LAB);
    let mut live = desired::state(&lab);
    change(&mut live);
    View::new(&lab, &live)
}

fn node<'a>(view: &'a View, name: &str) -> &'a NodeView {
    view.nodes.iter().find(|node| node.name == *name).unwrap()
}

fn link<'a>(live: &'a mut State, ns: &str, name: &str) -> &'a mut Link {
    let ns = live.namespaces.get_mut(&ns.parse().unwrap()).unwrap();
    ns.links.get_mut(name).unwrap()
}

fn states(view: &View) -> Vec<String> {
    let all = view.nodes.iter().flat_map(|n| n.interfaces.iter().map(move |i| (&n.name, i)));
    all.map(|(node, i)| format!("{node} {} {}", i.name, i.state)).collect()
}

#[test]
fn interfaces_have_their_other_end() {
    let view = view(|_| {});
    let ends: Vec<String> = view
        .nodes
        .iter()
        .flat_map(|n| n.interfaces.iter().map(move |i| format!("{} {}", n.name, i.peer.as_ref().unwrap())))
        .collect();
    assert_eq!(
        ends,
        [
            "pc lan/pc",
            "router lan/router-eth0",
            "router isp/router-eth1",
            "internet isp/internet",
            "a b:eth0",
            "b a:eth0"
        ]
    );
    assert_eq!(node(&view, "pc").routes, ["default via 10.0.0.254 dev eth0"]);
}

#[test]
fn a_pulled_cable_is_down_here_and_without_carrier_there() {
    let view = view(|live| link(live, "a", "eth0").is_up = false);
    assert_eq!(states(&view)[4..], ["a eth0 down", "b eth0 no-carrier"]);
    assert!(states(&view)[..4].iter().all(|state| state.ends_with(" up")));
}

#[test]
fn a_deleted_interface_is_missing_and_an_added_one_is_shown() {
    let view = view(|live| {
        let namespace = live.namespaces.get_mut(&"pc".parse().unwrap()).unwrap();
        let mut added = namespace.links.remove("eth0").unwrap();
        added.kind = LinkKind::Other("tun".into());
        namespace.links.insert("tun0".parse().unwrap(), added);
    });
    assert_eq!(states(&view)[..2], ["pc eth0 missing", "pc tun0 up"]);
    assert_eq!(node(&view, "pc").interfaces[1].peer, None);
}

#[test]
fn rules_are_said_with_the_names_of_the_lab() {
    let view = view(|_| {});
    let words = |rules: &[RuleView]| -> Vec<String> {
        rules.iter().map(|rule| rule.meaning.clone().unwrap_or_else(|| rule.rule.clone())).collect()
    };
    let router = node(&view, "router");
    assert_eq!(
        words(&router.nat),
        [
            "in by eth1, to 10.138.0.3, to tcp port 8080: goes on to pc (10.0.0.1:80)",
            "to 10.138.0.3, to tcp port 8080: goes on to pc (10.0.0.1:80)",
            "out by eth1, from lan: the source becomes 10.138.0.3",
        ]
    );
    assert_eq!(
        words(&router.firewall),
        [
            "answers and what belongs to them: passes",
            "in by lo: passes",
            "to tcp port 22: passes",
            "what nothing above lets pass: is dropped",
        ]
    );
    assert_eq!(router.nat[2].chain, "inet netyard postrouting");
    assert_eq!(router.nat[2].rule, "oifname \"eth1\" ip saddr 10.0.0.0/24 masquerade");
}

#[test]
fn the_json_has_the_promised_shape() {
    let json = serde_json::to_value(view(|_| {})).unwrap();
    let interface = &json["nodes"][0]["interfaces"][0];
    assert_eq!(json["nodes"][0]["kind"], "net");
    assert_eq!(interface["name"], "eth0");
    assert_eq!(interface["state"], "up");
    assert_eq!(interface["addresses"], serde_json::json!(["10.0.0.1/24"]));
    assert_eq!(interface["peer"], serde_json::json!({ "node": null, "network": "lan", "interface": "pc" }));
    assert!(json["nodes"][0]["sockets"].is_array() && json["nodes"][0]["nat"].is_array());
}
