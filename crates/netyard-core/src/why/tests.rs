//! Explanations of networks that are data: two nodes on a cable.

use super::*;
use crate::fault::Cause;
use crate::mac::Mac;
use crate::nft::{Action, BaseChain, ChainKind, Family, Hook, Match, Policy, Rule};
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::rc::Rc;

const UP: u32 = 1 | 0x10000;

/// Namespaces with what is in them. Routes are what addresses give.
#[derive(Default)]
struct Cable {
    outlines: BTreeMap<Ns, Outline>,
    insides: BTreeMap<Ns, Inside>,
    listeners: BTreeMap<Ns, Vec<Listener>>,
}

impl Kernel for Cable {
    fn places(&self) -> Vec<Ns> {
        self.outlines.keys().cloned().collect()
    }

    fn outline(&mut self, ns: &Ns) -> Option<Rc<Outline>> {
        self.outlines.get(ns).cloned().map(Rc::new)
    }

    fn inside(&mut self, ns: &Ns) -> Rc<Inside> {
        Rc::new(self.insides.get(ns).cloned().unwrap_or_default())
    }

    fn route(&mut self, ns: &Ns, ask: &RouteAsk) -> Result<RouteFound, i32> {
        let outline = &self.outlines[ns];
        let found = |kind, index, prefix: IpNet| RouteFound {
            kind,
            route: Some(prefix.trunc()),
            table: 254,
            via: None,
            index,
            source: outline.addresses.iter().find(|a| a.prefix.contains(&ask.to)).map(|a| a.prefix.addr()),
            mtu: None,
            ways: 1,
        };
        let own = outline.addresses.iter().find(|a| a.prefix.addr() == ask.to);
        let near = || outline.addresses.iter().find(|a| a.prefix.contains(&ask.to));
        own.map(|a| found(RouteFound::LOCAL, 1, a.prefix))
            .or_else(|| near().map(|a| found(1, a.index, a.prefix)))
            .ok_or(errno::ENETUNREACH)
    }

    fn listeners(&mut self, ns: &Ns) -> Rc<Vec<Listener>> {
        Rc::new(self.listeners.get(ns).cloned().unwrap_or_default())
    }
}

fn ns(name: &str) -> Ns {
    name.parse().unwrap()
}

fn link(index: u32, name: &str, kind: LinkKind, end: Option<(&str, u32)>) -> Link {
    Link {
        index,
        name: crate::name::IfName::new(name).unwrap(),
        mac: (kind != LinkKind::Loopback)
            .then(|| Mac([2, 0, 0, 0, index.to_be_bytes()[3], name.len().to_le_bytes()[0]])),
        kind,
        mtu: 1500,
        flags: UP,
        master: None,
        port: None,
        end: end.map(|(other, index)| End { ns: Some(ns(other)), index }),
    }
}

/// `a` with 10.0.0.1 and fd00::1, `b` with 10.0.0.2 and fd00::2.
fn cable() -> Cable {
    let mut cable = Cable::default();
    for (name, index, other, other_index, last) in [("a", 2, "b", 3, 1), ("b", 3, "a", 2, 2)] {
        let address =
            |text: String| Address { index, prefix: text.parse().unwrap(), peer: None, is_usable: true };
        let outline = Outline {
            links: vec![
                link(1, "lo", LinkKind::Loopback, None),
                link(index, "eth0", LinkKind::Veth, Some((other, other_index))),
            ],
            addresses: vec![address(format!("10.0.0.{last}/24")), address(format!("fd00::{last}/64"))],
        };
        cable.outlines.insert(ns(name), outline);
        cable.insides.insert(ns(name), Inside::default());
    }
    cable
}

fn ask(cable: &mut Cable, to: &str, about: About) -> Explanation {
    let (from, to) = find(cable, "a", to, Versions::Any).unwrap();
    explain(cable, &Question { from, to, about })
}

fn causes(explanation: &Explanation) -> Vec<Cause> {
    explanation.faults.iter().map(|fault| fault.cause).collect()
}

fn ruleset(family: Family, hook: Hook, policy: Policy, rules: Vec<Rule>) -> Ruleset {
    let rules =
        (1..).zip(rules).map(|(handle, rule)| PlacedRule { handle, rule, packets: Some(3) }).collect();
    let base = Some(BaseChain { kind: ChainKind::Filter, hook, priority: 0, policy });
    let chain = Chain { name: "c".into(), base, devices: Vec::new(), rules };
    Ruleset { is_legacy: false, family, name: "t".into(), chains: vec![chain], sets: Vec::new() }
}

#[test]
fn a_cable_between_two_nodes_carries_packets_both_ways() {
    let mut cable = cable();
    let told = ask(&mut cable, "b", About::Icmp);
    assert_eq!((told.verdict, told.legs.len()), (Verdict::Reachable, 2), "{:?}", told.faults);
    assert_eq!(told.to.address, Some("10.0.0.2".parse().unwrap()));
    let v6 = ask(&mut cable, "fd00::2", About::Icmp);
    assert_eq!(v6.verdict, Verdict::Reachable, "{:?}", v6.faults);
}

#[test]
fn a_port_is_reached_where_somebody_listens() {
    let mut cable = cable();
    assert_eq!(causes(&ask(&mut cable, "b", About::Tcp(80))), [Cause::NotListening]);
    let listener =
        |address: &str| Listener { is_tcp: true, address: address.parse().unwrap(), is_v6_only: false };
    cable.listeners.insert(ns("b"), vec![listener("127.0.0.1:80")]);
    assert_eq!(causes(&ask(&mut cable, "b", About::Tcp(80))), [Cause::ListensElsewhere]);
    cable.listeners.insert(ns("b"), vec![listener("[::]:80")]);
    assert_eq!(ask(&mut cable, "b", About::Tcp(80)).verdict, Verdict::Reachable);
}

/// The table is the machine's; a permanent entry takes no room in it.
#[test]
fn a_full_table_of_neighbours_is_told_and_may_do_no_harm() {
    let mut cable = cable();
    let inside = cable.insides.get_mut(&ns("a")).unwrap();
    inside.neighbour_tables = vec![NeighbourTable { is_ipv6: false, entries: 1024, max: 1024 }];
    let told = ask(&mut cable, "b", About::Icmp);
    assert_eq!((causes(&told), told.verdict), (vec![Cause::NeighbourTableFull], Verdict::Reachable));
    let fault = &told.faults[0];
    assert!(fault.sentence.contains("1024 of 1024") && !fault.evidence.is_empty(), "{fault:?}");
    assert_eq!(fault.fixes[0].command, "sysctl -w net.ipv4.neigh.default.gc_thresh3=8192");
    let permanent =
        Neighbour { index: 2, to: "10.0.0.9".parse().unwrap(), mac: Some(Mac([2; 6])), state: 0x80 };
    cable.insides.get_mut(&ns("a")).unwrap().neighbours = vec![permanent];
    assert!(ask(&mut cable, "b", About::Icmp).faults.is_empty());
}

/// A filter that knows no neighbour discovery shuts IPv6 off, and leaves IPv4 alone.
#[test]
fn an_input_policy_without_neighbour_discovery_stops_ipv6_only() {
    let mut cable = cable();
    let echo = |kind| Rule {
        matches: vec![Match::IcmpType(crate::nft::Protocol::Icmpv6, kind)],
        counts: false,
        action: Action::Accept,
    };
    let v4 = Rule {
        matches: vec![Match::Protocol(crate::nft::Protocol::Icmp)],
        counts: false,
        action: Action::Accept,
    };
    let rules = vec![echo(128), v4.clone()];
    cable.insides.get_mut(&ns("b")).unwrap().rulesets =
        vec![ruleset(Family::Inet, Hook::Input, Policy::Drop, rules)];
    assert_eq!(ask(&mut cable, "b", About::Icmp).verdict, Verdict::Reachable);
    let told = ask(&mut cable, "fd00::2", About::Icmp);
    assert_eq!(causes(&told), [Cause::Policy]);
    assert!(told.faults[0].sentence.contains("neighbour solicitation"), "{}", told.faults[0].sentence);
    cable.insides.get_mut(&ns("b")).unwrap().rulesets =
        vec![ruleset(Family::Inet, Hook::Input, Policy::Drop, vec![echo(128), echo(135), echo(136), v4])];
    assert_eq!(ask(&mut cable, "fd00::2", About::Icmp).verdict, Verdict::Reachable);
}

#[test]
fn what_cannot_be_read_or_understood_makes_the_verdict_unknown() {
    let mut closed = cable();
    closed.insides.get_mut(&ns("b")).unwrap().unread_rules = Some("only root may read them".into());
    let told = ask(&mut closed, "b", About::Icmp);
    assert_eq!((told.verdict, causes(&told)), (Verdict::Unknown, vec![Cause::NotUnderstood]));
    let mut odd = cable();
    let rule =
        Rule { matches: vec![Match::Other("meta cgroup 0x1".into())], counts: false, action: Action::Drop };
    odd.insides.get_mut(&ns("b")).unwrap().rulesets =
        vec![ruleset(Family::Ip, Hook::Input, Policy::Accept, vec![rule])];
    let told = ask(&mut odd, "b", About::Icmp);
    assert_eq!((told.verdict, told.faults[0].confidence), (Verdict::Unknown, Confidence::Unknown));
    // IPv6 does not meet it.
    assert_eq!(ask(&mut odd, "fd00::2", About::Icmp).verdict, Verdict::Reachable);
    // A cable to what cannot be seen.
    let mut cut = cable();
    for link in &mut cut.outlines.get_mut(&ns("a")).unwrap().links {
        if let Some(end) = &mut link.end {
            end.ns = None;
        }
    }
    cut.outlines.remove(&ns("b"));
    let told = ask(&mut cut, "10.0.0.2", About::Icmp);
    assert_eq!((causes(&told), told.verdict), (vec![Cause::NotUnderstood], Verdict::Unknown));
    assert_eq!(told.legs.len(), 2, "the answer is followed from where the packet left");
    // And one to nowhere.
    cut.outlines.get_mut(&ns("a")).unwrap().links[1].flags = 1;
    assert_eq!(causes(&ask(&mut cut, "10.0.0.2", About::Icmp)), [Cause::NoPeer]);
}

/// What comes after a translation that is not understood is about a packet that there may never be.
#[test]
fn nothing_is_certain_behind_a_translation_that_is_not_understood() {
    let mut cable = cable();
    let rule = Rule {
        matches: vec![Match::Other("xt match \"statistic\"".into())],
        counts: false,
        action: Action::Dnat("10.0.0.9:80".parse().unwrap()),
    };
    let mut nat = ruleset(Family::Ip, Hook::Prerouting, Policy::Accept, vec![rule]);
    nat.chains[0].base.as_mut().unwrap().kind = ChainKind::Nat;
    cable.insides.get_mut(&ns("b")).unwrap().rulesets = vec![nat];
    let told = ask(&mut cable, "b", About::Tcp(80));
    assert_eq!(
        (causes(&told), told.verdict),
        (vec![Cause::NotUnderstood, Cause::NotListening], Verdict::Unknown)
    );
    assert!(told.faults[1].sentence.starts_with("if that rule leaves the packet as it is: nothing listens"));
}

/// The same addresses elsewhere on the machine, where no cable leads to, are nobody's.
#[test]
fn a_network_that_is_not_connected_plays_no_part() {
    let mut cable = cable();
    let mut other = cable.outlines[&ns("b")].clone();
    other.links.retain(|link| link.kind == LinkKind::Loopback);
    other.addresses[0] = Address { prefix: "10.0.0.7/24".parse().unwrap(), ..other.addresses[0] };
    cable.outlines.insert(ns("another"), other);
    let told = ask(&mut cable, "10.0.0.7", About::Icmp);
    assert_eq!((causes(&told), told.to.node), (vec![Cause::NoSuchAddress], None));
}

#[test]
fn words_that_name_nobody_are_refused() {
    let mut cable = cable();
    let refused = |cable: &mut Cable, from: &str, to: &str| find(cable, from, to, Versions::Any).unwrap_err();
    assert!(matches!(refused(&mut cable, "x", "b"), PartyError::NoSuchNode(..)));
    assert!(matches!(refused(&mut cable, "a:eth9", "b"), PartyError::NoSuchInterface(..)));
    assert_eq!(refused(&mut cable, "192.0.2.1", "b"), PartyError::NobodyHas("192.0.2.1".parse().unwrap()));
    let long = refused(&mut cable, "a:veth-printer-upstairs", "b").to_string();
    assert!(long.contains("21 bytes; the kernel allows 15"), "{long}");
}
