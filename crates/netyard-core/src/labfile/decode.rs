//! The top of a lab file and its networks: tree to what is written.

use super::decode_expect;
use super::read::{Fields, Problems, as_switch, one_or_many};
use super::resolve::bad_name;
use super::shape::ShapingDecl;
use super::syntax::{At, FileDecl, GroupDecl, NetworkDecl, NetworkDefaults, NodeDecl, SegmentKind, Word};
use super::tree::{Entry, Tree, Value};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{Arp, Profile};
use crate::name::LabName;
use crate::state::Stp;
use ipnet::IpNet;

/// Decodes the whole file; every problem is reported, and what is readable is kept.
pub(crate) fn file(tree: &Tree, problems: &mut Problems) -> FileDecl {
    let mut file = FileDecl { span: tree.span, ..FileDecl::default() };
    let Some(mut fields) = problems.fields(tree, "a map with `networks`, `nodes` and so on") else {
        return file;
    };
    file.name = fields.get("lab").and_then(|tree| lab_name(tree, problems));
    if let Some(tree) = fields.get("description") {
        problems.text(tree, "a text");
    }
    let profiles = [("realistic", Profile::Realistic), ("fast", Profile::Fast)];
    file.profile = fields.get("profile").and_then(|t| problems.choice(t, &profiles)).unwrap_or_default();
    let kinds = [("dynamic", Arp::Dynamic), ("static", Arp::Static)];
    file.arp = fields.get("arp").and_then(|t| problems.choice(t, &kinds)).unwrap_or_default();
    file.dad = fields.get("dad").and_then(|t| problems.switch(t)).unwrap_or(false);
    for entry in named(&mut fields, "networks", problems) {
        file.networks.push(network(entry, problems));
    }
    if let Some(tree) = fields.get("defaults") {
        (file.network_defaults, file.node_defaults) = defaults(tree, problems);
    }
    for entry in named(&mut fields, "groups", problems) {
        file.groups.push(group(entry, problems));
    }
    for entry in named(&mut fields, "nodes", problems) {
        let decl = NodeDecl::read(&entry.value, problems);
        file.nodes.push((At::new(entry.key.clone(), entry.key_span), decl));
    }
    if let Some(tree) = fields.get("expect") {
        file.expect = decode_expect::list(tree, problems);
    }
    let errors_before = problems.errors();
    fields.finish(problems);
    let is_list = |key: &str| fields_are_wrong(tree, key);
    file.is_partial =
        problems.errors() > errors_before || ["networks", "nodes", "groups"].into_iter().any(is_list);
    file
}

/// Whether the value of a key at the top is no map.
fn fields_are_wrong(tree: &Tree, key: &str) -> bool {
    let Value::Map(entries) = &tree.value else { return true };
    let value = entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value.value);
    !matches!(value, None | Some(Value::Map(_) | Value::Null))
}

fn named<'t>(fields: &mut Fields<'t>, key: &'static str, problems: &mut Problems) -> &'t [Entry] {
    let Some(tree) = fields.get(key) else { return &[] };
    let wanted = match key {
        "networks" => "a map such as `lan: 10.0.0.0/24`",
        "groups" => "a map such as `clients: [pc, printer]`",
        _ => "a map such as `pc: { links: [lan] }`",
    };
    problems.entries(tree, wanted)
}

fn lab_name(tree: &Tree, problems: &mut Problems) -> Option<LabName> {
    let text = problems.text(tree, "a name")?;
    match LabName::new(text) {
        Ok(name) => Some(name),
        Err(error) => {
            problems.push(bad_name(Code::BadLabName, text, tree.span, &error));
            None
        }
    }
}

/// `defaults:` holds keys of nodes, and `mtu` and shaping for networks.
fn defaults(tree: &Tree, problems: &mut Problems) -> (NetworkDefaults, NodeDecl) {
    let Some(mut fields) = problems.fields(tree, "a map of node keys") else { return Default::default() };
    let mtu = fields.get("mtu").and_then(|tree| mtu(tree, problems));
    let shaping = ShapingDecl::read(&mut fields, problems);
    let node = NodeDecl::read_fields(&mut fields, problems);
    fields.finish(problems);
    (NetworkDefaults { mtu, shaping }, NodeDecl { mtu: None, ..node })
}

fn group(entry: &Entry, problems: &mut Problems) -> GroupDecl {
    let name: Word = At::new(entry.key.clone(), entry.key_span);
    let wanted = "the name of a node or group";
    let (members, decl) = match &entry.value.value {
        Value::Map(_) => {
            let Some(mut fields) = problems.fields(&entry.value, "a map") else {
                return GroupDecl { name, members: Vec::new(), decl: NodeDecl::default() };
            };
            let members = fields.get("members").map(|tree| problems.words(tree, wanted));
            let decl = NodeDecl::read_fields(&mut fields, problems);
            fields.finish(problems);
            (members.unwrap_or_default(), decl)
        }
        Value::Null => (Vec::new(), NodeDecl::default()),
        _ => (problems.words(&entry.value, wanted), NodeDecl::default()),
    };
    GroupDecl { name, members, decl }
}

/// An MTU in the range of the kernel (linux/if_ether.h `ETH_MIN_MTU`, `ETH_MAX_MTU`).
pub(crate) fn mtu(tree: &Tree, problems: &mut Problems) -> Option<u32> {
    problems.number(tree, 68, 65_535)
}

fn network(entry: &Entry, problems: &mut Problems) -> NetworkDecl {
    let mut decl = NetworkDecl {
        name: At::new(entry.key.clone(), entry.key_span),
        prefixes: Vec::new(),
        kind: SegmentKind::Bridge,
        mtu: None,
        stp: None,
        snoops_multicast: false,
        shaping: ShapingDecl::default(),
        is_partial: false,
    };
    match &entry.value.value {
        Value::Null => {}
        Value::Map(_) => network_map(&entry.value, &mut decl, problems),
        _ => prefixes(&entry.value, &mut decl, problems),
    }
    decl
}

fn prefixes(tree: &Tree, decl: &mut NetworkDecl, problems: &mut Problems) {
    for item in one_or_many(tree) {
        let Some(prefix) = problems.prefix(item) else {
            decl.is_partial = true;
            continue;
        };
        if let Some(why) = unusable_prefix(prefix) {
            problems.push(Diagnostic::new(Code::UnusablePrefix, item.span).label(why));
            decl.is_partial = true;
            continue;
        }
        let is_ipv6 = prefix.addr().is_ipv6();
        match decl.prefixes.iter().find(|other| other.value.addr().is_ipv6() == is_ipv6) {
            None => decl.prefixes.push(At::new(prefix, item.span)),
            Some(first) => {
                let label = if is_ipv6 { "a second IPv6 prefix" } else { "a second IPv4 prefix" };
                let problem = Diagnostic::new(Code::TwoPrefixes, item.span).label(label);
                let help = "make two networks, or give the nodes further addresses with their length";
                problems.push(problem.related(first.span, "the first").help(help));
            }
        }
    }
}

/// Prefixes that overlap with those of a network cannot be given to interfaces, and why (RFC 6890).
const RESERVED: [(&str, &str); 9] = [
    ("127.0.0.0/8", "127.0.0.0/8 is the loopback, which every node has"),
    ("0.0.0.0/8", "0.0.0.0/8 stands for no address"),
    ("224.0.0.0/4", "224.0.0.0/4 names multicast groups"),
    ("240.0.0.0/4", "240.0.0.0/4 is reserved"),
    ("::1/128", "::1 is the loopback, which every node has"),
    ("::/128", ":: stands for no address"),
    ("::ffff:0:0/96", "::ffff:0:0/96 is IPv4 written as IPv6; no packet carries it"),
    ("fe80::/10", "fe80::/10 is link-local: the kernel gives every interface such an address itself"),
    ("ff00::/8", "ff00::/8 names multicast groups"),
];

/// Why no network can have a prefix.
fn unusable_prefix(prefix: IpNet) -> Option<&'static str> {
    if prefix.prefix_len() == 0 {
        return Some("a length of 0 means every address");
    }
    let overlaps = |reserved: &str| {
        let reserved: IpNet = reserved.parse().expect("a constant that is a prefix");
        reserved.contains(&prefix) || prefix.contains(&reserved)
    };
    RESERVED.iter().find(|(reserved, _)| overlaps(reserved)).map(|(_, why)| *why)
}

fn network_map(tree: &Tree, decl: &mut NetworkDecl, problems: &mut Problems) {
    let Some(mut fields) = problems.fields(tree, "a prefix or a map") else { return };
    if let Some(tree) = fields.either("prefix", "prefixes", problems)
        && tree.value != Value::Null
    {
        prefixes(tree, decl, problems);
    }
    let kinds = [("bridge", SegmentKind::Bridge), ("hub", SegmentKind::Hub), ("cable", SegmentKind::Cable)];
    decl.kind = fields.get("kind").and_then(|t| problems.choice(t, &kinds)).unwrap_or_default();
    decl.mtu = fields.get("mtu").and_then(|tree| mtu(tree, problems));
    let stp_entry = fields.entry("stp");
    decl.stp = stp_entry.and_then(|entry| stp(&entry.value, problems)).flatten();
    let snooping = fields.entry("multicast-snooping");
    decl.snoops_multicast = snooping.and_then(|e| problems.switch(&e.value)).unwrap_or(false);
    decl.shaping = ShapingDecl::read(&mut fields, problems);
    fields.finish(problems);
    let kind = match decl.kind {
        SegmentKind::Bridge => return,
        SegmentKind::Hub => "a hub",
        SegmentKind::Cable => "a cable",
    };
    for (entry, is_set) in [(stp_entry, decl.stp.is_some()), (snooping, decl.snoops_multicast)] {
        if let Some(entry) = entry.filter(|_| is_set) {
            let problem = Diagnostic::new(Code::NotForThisKind, entry.key_span);
            let help = "`kind: bridge` has it";
            problems.push(problem.label(format!("{kind} has no `{}`", entry.key)).help(help));
        }
    }
}

/// Spanning tree: off, on (short timers), `standard`, or a map of timers. The outer `None` is a problem.
pub(crate) fn stp(tree: &Tree, problems: &mut Problems) -> Option<Option<Stp>> {
    if let Value::Scalar { text, .. } = &tree.value {
        if let Some(is_on) = as_switch(text) {
            return Some(is_on.then_some(Stp::CLASSROOM));
        }
        let choices = [
            ("on", Some(Stp::CLASSROOM)),
            ("off", None),
            ("classroom", Some(Stp::CLASSROOM)),
            ("standard", Some(Stp::STANDARD)),
        ];
        return problems.choice(tree, &choices);
    }
    let mut fields = problems.fields(tree, "`on`, `off`, `standard` or a map of timers")?;
    let mut stp = Stp::CLASSROOM;
    // The kernel's ranges: net/bridge/br_private_stp.h. Times may carry their unit.
    if let Some(tree) = fields.get("forward-delay") {
        stp.forward_delay_s = seconds(tree, 2, 30, problems).unwrap_or(stp.forward_delay_s);
    }
    if let Some(tree) = fields.get("hello") {
        stp.hello_s = seconds(tree, 1, 10, problems).unwrap_or(stp.hello_s);
    }
    if let Some(tree) = fields.get("max-age") {
        stp.max_age_s = seconds(tree, 6, 40, problems).unwrap_or(stp.max_age_s);
    }
    if let Some(tree) = fields.get("priority") {
        stp.priority = problems.number(tree, 0, 65_535).unwrap_or(stp.priority);
    }
    let span = fields.span;
    fields.finish(problems);
    check_stp(&stp, span, problems);
    Some(Some(stp))
}

fn seconds(tree: &Tree, min: u64, max: u64, problems: &mut Problems) -> Option<u8> {
    let text = problems.text(tree, "a number of seconds")?;
    let number = text.strip_suffix('s').unwrap_or(text);
    let number: Option<u8> = number.parse().ok().filter(|n| (min..=max).contains(&u64::from(*n)));
    if number.is_none() {
        let label = format!("not a number of seconds from {min} to {max}");
        problems.push(Diagnostic::new(Code::BadNumber, tree.span).label(label));
    }
    number
}

/// IEEE 802.1D, 4.10.2: 2 x (forward delay - 1 s) >= max age >= 2 x (hello + 1 s).
fn check_stp(stp: &Stp, span: Span, problems: &mut Problems) {
    let (forward, age, hello) = (stp.forward_delay_s, stp.max_age_s, stp.hello_s);
    // The short timers keep only the second half: a tree of a few bridges is quiet within 2 x 2 s.
    let is_classroom = forward <= Stp::CLASSROOM.forward_delay_s.max(4);
    let label = if age < 2 * (hello + 1) {
        format!("max-age {age} s is less than 2 x (hello {hello} s + 1 s)")
    } else if !is_classroom && 2 * (forward - 1) < age {
        format!("max-age {age} s is more than 2 x (forward-delay {forward} s - 1 s)")
    } else {
        return;
    };
    let help = "`stp: on` has short timers, `stp: standard` those of IEEE 802.1D";
    problems.push(Diagnostic::new(Code::BadStpTimers, span).label(label).help(help));
}
