//! One node of a lab file: tree to what is written.

use super::decode::{mtu, stp};
use super::decode_frr;
use super::decode_nat;
use super::decode_own;
use super::decode_program;
use super::decode_root;
use super::decode_route;
use super::decode_rule;
use super::read::{Fields, Problems, as_switch, bad_address, one_or_many};
use super::shape::ShapingDecl;
use super::syntax::{AddressDecl, At, BridgeDecl, LinkDecl, NodeDecl, Word};
use super::tree::{Entry, Tree, Value};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{NodeKind, Role, Uplink};
use crate::name::IfName;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::IpAddr;

impl NodeDecl {
    /// Decodes a node; nothing is a node without anything.
    pub(crate) fn read(tree: &Tree, problems: &mut Problems) -> Self {
        if tree.value == Value::Null {
            return Self::default();
        }
        let Some(mut fields) = problems.fields(tree, "a map such as `{ links: [lan] }`") else {
            return Self { is_partial: true, ..Self::default() };
        };
        let decl = Self::read_fields(&mut fields, problems);
        fields.finish(problems);
        decl
    }

    /// Takes the keys of a node out of a map.
    pub(crate) fn read_fields(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let roles = [
            ("host", Role::Host),
            ("router", Role::Router),
            ("bridge", Role::Bridge),
            ("internet", Role::Internet),
        ];
        let kinds = [("net", NodeKind::Net), ("full", NodeKind::Full), ("host", NodeKind::Host)];
        let groups = fields.either("groups", "group", problems);
        let errors_before = problems.errors();
        let decl = Self {
            is_partial: false,
            weight: fields.weight(),
            role: fields.get("role").and_then(|tree| problems.choice(tree, &roles)),
            kind: fields.get("kind").and_then(|tree| problems.choice(tree, &kinds)),
            groups: groups.map(|tree| problems.words(tree, "the name of a group")).unwrap_or_default(),
            links: fields.get("links").map(|tree| links(tree, problems)),
            bridges: bridges(fields, problems),
            interfaces: fields.get("interfaces").map(|tree| decode_own::interfaces(tree, problems)),
            down: fields.get("down").map(|tree| decode_own::down(tree, problems)),
            tables: fields.get("tables").map(|tree| decode_own::tables(tree, problems)),
            mtu: fields.get("mtu").and_then(|tree| mtu(tree, problems).map(|n| At::new(n, tree.span))),
            routes: fields.get("routes").map(|tree| decode_route::list(tree, problems)),
            rules: fields.get("rules").map(|tree| decode_rule::list(tree, problems)),
            gateway: fields.get("gateway").and_then(|tree| decode_route::gateway(tree, problems)),
            forward: fields.get("forward").and_then(|tree| decode_route::forward(tree, problems)),
            masquerade: fields.get("masquerade").map(|tree| decode_nat::masquerades(tree, problems)),
            nat: fields.get("nat").map(|tree| decode_nat::list(tree, problems)),
            firewall: fields.get("firewall").and_then(|tree| decode_nat::firewall(tree, problems)),
            sysctls: fields.get("sysctls").map(|tree| sysctls(tree, problems)).unwrap_or_default(),
            neighbours: fields.get("neighbours").map(|tree| decode_route::neighbours(tree, problems)),
            run: fields.get("run").map(|tree| decode_program::run(tree, problems)),
            stop: fields.get("stop").map(|tree| decode_program::stop(tree, problems)),
            files: fields.get("files").map(|tree| decode_root::files(tree, problems)),
            rootfs: fields.get("rootfs").and_then(|tree| decode_root::rootfs(tree, problems)),
            layers: fields.get("layers").map(|tree| decode_root::layers(tree, problems)),
            binds: fields.get("binds").map(|tree| decode_root::binds(tree, problems)),
            frr: fields.get("frr").and_then(|tree| decode_frr::frr(tree, problems)),
            env: fields.get("env").map(|tree| environment(tree, problems)).unwrap_or_default(),
            hostname: fields.get("hostname").and_then(|tree| hostname(tree, problems)),
            uplink: fields.get("uplink").and_then(|tree| uplink(tree, problems)),
            labels: fields.get("labels").map(|tree| labels(tree, problems)).unwrap_or_default(),
        };
        let weight = decl.weight + decl.weight_of_texts();
        Self { is_partial: problems.errors() > errors_before, weight, ..decl }
    }
}

fn links(tree: &Tree, problems: &mut Problems) -> Vec<LinkDecl> {
    match &tree.value {
        Value::Null => Vec::new(),
        Value::Scalar { .. } => link_by_name(tree, problems).into_iter().collect(),
        Value::Map(entries) => entries.iter().map(|entry| link(entry, problems)).collect(),
        Value::List(items) => {
            let mut links = Vec::new();
            for item in items {
                match &item.value {
                    Value::Map(entries) if entries.iter().any(|entry| entry.key == "network") => {
                        links.extend(link_with_network(item, problems));
                    }
                    Value::Map(entries) => links.extend(entries.iter().map(|entry| link(entry, problems))),
                    _ => links.extend(link_by_name(item, problems)),
                }
            }
            links
        }
    }
}

fn plain_link(network: Word) -> LinkDecl {
    LinkDecl {
        network,
        addresses: Vec::new(),
        name: None,
        port: None,
        mac: None,
        mtu: None,
        up: ShapingDecl::default(),
        down: ShapingDecl::default(),
    }
}

fn link_by_name(tree: &Tree, problems: &mut Problems) -> Option<LinkDecl> {
    let network = problems.word(tree, "the name of a network")?;
    let mut link = plain_link(network);
    link.addresses.push(At::new(AddressDecl::Auto, tree.span));
    Some(link)
}

fn link(entry: &Entry, problems: &mut Problems) -> LinkDecl {
    let mut link = plain_link(At::new(entry.key.clone(), entry.key_span));
    match &entry.value.value {
        Value::Map(_) => {
            if let Some(mut fields) = problems.fields(&entry.value, "a map") {
                link_fields(&mut link, &mut fields, problems);
                fields.finish(problems);
            }
        }
        Value::Null => link.addresses.push(At::new(AddressDecl::Auto, entry.key_span)),
        _ => link.addresses = addresses(&entry.value, problems),
    }
    link
}

fn link_with_network(tree: &Tree, problems: &mut Problems) -> Option<LinkDecl> {
    let mut fields = problems.fields(tree, "a map")?;
    let network = fields.get("network").and_then(|tree| problems.word(tree, "the name of a network"))?;
    let mut link = plain_link(network);
    link_fields(&mut link, &mut fields, problems);
    fields.finish(problems);
    Some(link)
}

fn link_fields(link: &mut LinkDecl, fields: &mut Fields<'_>, problems: &mut Problems) {
    link.addresses = match fields.either("address", "addresses", problems) {
        Some(tree) => addresses(tree, problems),
        None => vec![At::new(AddressDecl::Auto, link.network.span)],
    };
    link.name = fields.get("name").and_then(|tree| problems.ifname(tree));
    link.port = fields.get("port").and_then(|tree| problems.ifname(tree));
    link.mac = fields.get("mac").and_then(|tree| problems.mac(tree).map(|mac| At::new(mac, tree.span)));
    link.mtu = fields.get("mtu").and_then(|tree| mtu(tree, problems).map(|n| At::new(n, tree.span)));
    let both = ShapingDecl::read(fields, problems);
    link.up = direction(fields, "up", problems).or(&both);
    link.down = direction(fields, "down", problems).or(&both);
}

fn direction(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> ShapingDecl {
    let Some(tree) = fields.get(key) else { return ShapingDecl::default() };
    let Some(mut fields) = problems.fields(tree, "a map such as `{ rate: 10mbit }`") else {
        return ShapingDecl::default();
    };
    let shaping = ShapingDecl::read(&mut fields, problems);
    fields.finish(problems);
    shaping
}

/// `auto`, `none`, one address or a list of them. A bad address stands as none, so that nothing else is said of it.
pub(crate) fn addresses(tree: &Tree, problems: &mut Problems) -> Vec<At<AddressDecl>> {
    if tree.value == Value::Null {
        return vec![At::new(AddressDecl::Auto, tree.span)];
    }
    let read = |item: &Tree| {
        let address = address(item, problems).unwrap_or(AddressDecl::Nothing);
        At::new(address, item.span)
    };
    one_or_many(tree).iter().map(read).collect()
}

fn address(tree: &Tree, problems: &mut Problems) -> Option<AddressDecl> {
    let text = problems.text(tree, "an address such as `10.0.0.1` or `10.0.0.1/24`")?;
    match text {
        "auto" => return Some(AddressDecl::Auto),
        "none" => return Some(AddressDecl::Nothing),
        _ => {}
    }
    let (address, prefix_len) = match text.split_once('/') {
        Some(_) => {
            let net: IpNet = problems.prefix_or_address(text, tree.span)?;
            (net.addr(), Some(net.prefix_len()))
        }
        None => match text.parse::<IpAddr>() {
            Ok(address) => (address, None),
            Err(_) => {
                problems.push(bad_address(text, tree.span));
                return None;
            }
        },
    };
    let no_length = (prefix_len == Some(0)).then_some("a length of 0 puts every address on this link");
    if let Some(why) = unusable(address).or(no_length) {
        problems.push(Diagnostic::new(Code::UnusableAddress, tree.span).label(why));
        return None;
    }
    Some(AddressDecl::Given { address, prefix_len })
}

fn unusable(address: IpAddr) -> Option<&'static str> {
    match address {
        _ if address.is_unspecified() => Some("this stands for no address"),
        _ if address.is_loopback() => Some("this is for the loopback, which every node has"),
        _ if address.is_multicast() => Some("this names a multicast group"),
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            Some("this is IPv4 written as IPv6; no packet carries it")
        }
        IpAddr::V4(v4) if v4.octets()[0] >= 240 => Some("240.0.0.0 and above is reserved"),
        IpAddr::V4(v4) if v4.octets()[0] == 0 => Some("0.0.0.0/8 is reserved"),
        _ => None,
    }
}

fn bridges(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Vec<BridgeDecl>> {
    let (one, many) = (fields.entry("bridge"), fields.entry("bridges"));
    match (one, many) {
        (Some(first), Some(second)) => {
            problems.exclude(first, second);
            None
        }
        (Some(entry), None) => {
            if let Value::Scalar { text, .. } = &entry.value.value {
                if as_switch(text) == Some(false) {
                    return Some(Vec::new());
                }
                problems.switch(&entry.value)?;
                return Some(vec![bridge_of_all(entry.value.span)]);
            }
            let name = IfName::new(BRIDGE_NAME).ok()?;
            bridge(At::new(name, entry.key_span), &entry.value, problems).map(|bridge| vec![bridge])
        }
        (None, Some(entry)) => {
            let entries = problems.entries(&entry.value, "a map such as `br0: { ports: [a, b] }`");
            let read = |entry: &Entry| {
                let name = problems.ifname_of(&entry.key, entry.key_span)?;
                bridge(name, &entry.value, problems)
            };
            Some(entries.iter().filter_map(read).collect())
        }
        (None, None) => None,
    }
}

/// Name of a node's bridge that has none.
const BRIDGE_NAME: &str = "br0";

/// The bridge of a node of role `bridge` that says nothing about it.
pub(crate) fn bridge_of_all(span: Span) -> BridgeDecl {
    let name = IfName::new(BRIDGE_NAME).expect("a constant that is an interface name");
    BridgeDecl {
        name: At::new(name, span),
        ports: None,
        mac: None,
        stp: None,
        learns: true,
        snoops_multicast: false,
        addresses: Vec::new(),
    }
}

fn bridge(name: At<IfName>, tree: &Tree, problems: &mut Problems) -> Option<BridgeDecl> {
    let mut decl = BridgeDecl { name, ..bridge_of_all(tree.span) };
    match &tree.value {
        Value::Null => return Some(decl),
        Value::List(_) => {
            decl.ports = Some(problems.words(tree, "an interface or network"));
            return Some(decl);
        }
        _ => {}
    }
    let mut fields = problems.fields(tree, "a map such as `{ ports: [a, b], stp: on }`")?;
    decl.ports = fields.get("ports").map(|tree| problems.words(tree, "an interface or network"));
    decl.mac = fields.get("mac").and_then(|tree| problems.mac(tree).map(|mac| At::new(mac, tree.span)));
    decl.stp = fields.get("stp").and_then(|tree| stp(tree, problems)).flatten();
    decl.learns = fields.get("learning").and_then(|tree| problems.switch(tree)).unwrap_or(true);
    let snooping = fields.get("multicast-snooping");
    decl.snoops_multicast = snooping.and_then(|tree| problems.switch(tree)).unwrap_or_default();
    if let Some(tree) = fields.get("priority")
        && let Some(priority) = problems.number(tree, 0, 65_535)
    {
        match &mut decl.stp {
            Some(stp) => stp.priority = priority,
            None => {
                let problem = Diagnostic::new(Code::NotForThisKind, tree.span);
                problems.push(problem.label("a priority needs spanning tree").help("add `stp: on`"));
            }
        }
    }
    if let Some(tree) = fields.either("address", "addresses", problems) {
        decl.addresses = addresses(tree, problems);
    }
    fields.finish(problems);
    Some(decl)
}

fn sysctls(tree: &Tree, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut sysctls = BTreeMap::new();
    for entry in problems.entries(tree, "a map such as `net.ipv4.ip_forward: 1`") {
        let key = entry.key.replace('/', ".");
        let is_clean = key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
        if !key.starts_with("net.") || !is_clean || key.contains("..") || key.ends_with('.') {
            let label = "only keys below `net.` belong to a network namespace";
            problems.push(Diagnostic::new(Code::SysctlOutsideNet, entry.key_span).label(label));
            continue;
        }
        if let Some(text) = problems.text(&entry.value, "a value") {
            sysctls.insert(key, text.to_owned());
        }
    }
    sysctls
}

pub(crate) fn environment(tree: &Tree, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for entry in problems.entries(tree, "a map such as `LANG: C`") {
        let starts_well = entry.key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !entry.key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
            let label = "letters, digits and `_`, a digit not first";
            problems.push(Diagnostic::new(Code::BadEnvironmentName, entry.key_span).label(label));
            continue;
        }
        let value = match &entry.value.value {
            Value::Null => Some(""),
            _ => problems.text(&entry.value, "a text").filter(|text| !text.contains('\0')),
        };
        if let Some(value) = value {
            env.insert(entry.key.clone(), value.to_owned());
        }
    }
    env
}

fn labels(tree: &Tree, problems: &mut Problems) -> BTreeMap<String, String> {
    if !matches!(tree.value, Value::Map(_)) {
        return problems.words(tree, "a word").into_iter().map(|word| (word.value, String::new())).collect();
    }
    let mut labels = BTreeMap::new();
    for entry in problems.entries(tree, "a map") {
        let text = match &entry.value.value {
            Value::Null => Some(""),
            _ => problems.text(&entry.value, "a text"),
        };
        if let Some(text) = text {
            labels.insert(entry.key.clone(), text.to_owned());
        }
    }
    labels
}

/// A host name: labels of letters, digits and `-`, with dots, at most 64 bytes (`HOST_NAME_MAX`).
fn hostname(tree: &Tree, problems: &mut Problems) -> Option<String> {
    let text = problems.text(tree, "a host name")?;
    let is_label = |label: &str| {
        let clean = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        clean && !label.is_empty() && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= 64 && text.split('.').all(is_label) {
        return Some(text.to_owned());
    }
    let label = "letters, digits and `-` between dots, at most 64 bytes";
    problems.push(Diagnostic::new(Code::BadHostname, tree.span).label(label));
    None
}

fn uplink(tree: &Tree, problems: &mut Problems) -> Option<Option<Uplink>> {
    let pasta = Some(Uplink::Pasta);
    let words = [("pasta", pasta), ("none", None)];
    match &tree.value {
        Value::Scalar { text, .. } if as_switch(text) == Some(true) => Some(pasta),
        Value::Scalar { text, .. } if as_switch(text) == Some(false) => Some(None),
        _ => problems.choice(tree, &words),
    }
}
