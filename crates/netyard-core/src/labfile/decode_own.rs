//! What a node has besides its links to networks: links of its own, tables of rules, what is down.

use super::decode::mtu;
use super::decode_node::addresses;
use super::read::{Problems, one_or_many};
use super::syntax::{AddressDecl, At, OwnKindDecl, OwnLinkDecl};
use super::tree::{Entry, Tree, Value};
use crate::diagnostic::{Code, Diagnostic};
use crate::nft::parse::{FAMILIES, HOOKS, KINDS, POLICIES};
use crate::nft::{BaseChain, Chain, Hook, Policy, Rule, Table};
use crate::state::{MacvlanMode, Vxlan};
use std::net::IpAddr;

/// `interfaces: { mv0: { kind: macvlan, parent: eth0 }, lo: 10.9.9.9/32 }`
pub(crate) fn interfaces(tree: &Tree, problems: &mut Problems) -> Vec<OwnLinkDecl> {
    let entries = problems.entries(tree, "a map such as `mv0: { kind: macvlan, parent: eth0 }`");
    entries.iter().filter_map(|entry| interface(entry, problems)).collect()
}

fn interface(entry: &Entry, problems: &mut Problems) -> Option<OwnLinkDecl> {
    let name = if entry.key == "lo" {
        At::new(crate::desired::loopback_name(), entry.key_span)
    } else {
        problems.ifname_of(&entry.key, entry.key_span)?
    };
    let plain = |kind| OwnLinkDecl { name: name.clone(), kind, mac: None, mtu: None, addresses: Vec::new() };
    if name.value == "lo" && !matches!(entry.value.value, Value::Map(_)) {
        return Some(OwnLinkDecl {
            addresses: addresses(&entry.value, problems),
            ..plain(OwnKindDecl::Loopback)
        });
    }
    let mut fields = problems.fields(&entry.value, "a map such as `{ kind: macvlan, parent: eth0 }`")?;
    let kinds =
        [("macvlan", "macvlan"), ("vlan", "vlan"), ("vxlan", "vxlan"), ("tun", "tun"), ("tap", "tap")];
    let word = if name.value == "lo" {
        "lo"
    } else {
        match fields.get("kind") {
            Some(tree) => problems.choice(tree, &kinds)?,
            None => {
                fields.missing("kind", entry.value.span, "`macvlan`, `vlan`, `vxlan`, `tun` or `tap`");
                return None;
            }
        }
    };
    let parent =
        fields.get("parent").and_then(|tree| problems.word(tree, "an interface, or `node:interface`"));
    let needs_parent = matches!(word, "macvlan" | "vlan");
    if needs_parent && parent.is_none() {
        fields.missing("parent", entry.value.span, "the interface that it stands on");
        return None;
    }
    let kind = match word {
        "lo" => OwnKindDecl::Loopback,
        "macvlan" => {
            let modes = MacvlanMode::ALL.map(|(mode, word, _)| (word, mode));
            let mode = fields.get("mode").and_then(|tree| problems.choice(tree, &modes));
            OwnKindDecl::Macvlan { parent: parent?, mode: mode.unwrap_or(MacvlanMode::Bridge) }
        }
        "vlan" => {
            let id = fields.get("id").and_then(|tree| problems.number(tree, 1, 4094));
            OwnKindDecl::Vlan { parent: parent?, id: id.unwrap_or(1) }
        }
        "vxlan" => {
            let mut address = |key| fields.get(key).and_then(|tree| ip_address(tree, problems));
            let (remote, local) = (address("remote"), address("local"));
            let id = fields.get("id").and_then(|tree| problems.number(tree, 0, 0xff_ffff));
            let port = fields.get("port").and_then(|tree| problems.number(tree, 1, 65_535));
            let learns = fields.get("learning").and_then(|tree| problems.switch(tree));
            let vxlan = Vxlan {
                id: id.unwrap_or(1),
                remote,
                local,
                port: port.unwrap_or(Vxlan::PORT),
                learns: learns.unwrap_or(true),
                parent: None,
            };
            OwnKindDecl::Vxlan { parent, vxlan }
        }
        word => OwnKindDecl::Tun { is_tap: word == "tap" },
    };
    let mut decl = plain(kind);
    decl.mac = fields.get("mac").and_then(|tree| problems.mac(tree));
    decl.mtu = fields.get("mtu").and_then(|tree| mtu(tree, problems));
    if let Some(tree) = fields.either("address", "addresses", problems) {
        decl.addresses = addresses(tree, problems);
    }
    for address in &decl.addresses {
        if matches!(address.value, AddressDecl::Auto) {
            let problem = Diagnostic::new(Code::WrongType, address.span);
            problems
                .push(problem.label("it is on no network that would give it one").help("write the address"));
        }
    }
    fields.finish(problems);
    Some(decl)
}

fn ip_address(tree: &Tree, problems: &mut Problems) -> Option<IpAddr> {
    let text = problems.text(tree, "an address")?;
    let address = text.parse().ok();
    if address.is_none() {
        problems.push(super::read::bad_address(text, tree.span));
    }
    address
}

/// Names of interfaces.
pub(crate) fn down(tree: &Tree, problems: &mut Problems) -> Vec<At<crate::name::IfName>> {
    let read = |item: &Tree| match &item.value {
        Value::Scalar { text, .. } if text == "lo" => {
            Some(At::new(crate::desired::loopback_name(), item.span))
        }
        _ => problems.ifname(item),
    };
    one_or_many(tree).iter().filter_map(read).collect()
}

/// `tables: { ip nat: { post: { type: nat, hook: postrouting, priority: 100, rules: [...] } } }`
pub(crate) fn tables(tree: &Tree, problems: &mut Problems) -> Vec<Table> {
    let entries = problems.entries(tree, "a map such as `ip nat: { post: { ... } }`");
    entries.iter().filter_map(|entry| table(entry, problems)).collect()
}

fn table(entry: &Entry, problems: &mut Problems) -> Option<Table> {
    let words: Vec<&str> = entry.key.split_whitespace().collect();
    let known = match words[..] {
        [family, name] => FAMILIES.iter().find(|(word, _)| *word == family).map(|(_, f)| (*f, name)),
        _ => None,
    };
    let Some((family, name)) = known.filter(|(_, name)| is_plain(name)) else {
        let problem = Diagnostic::new(Code::BadRule, entry.key_span).label("not the name of a table");
        problems.push(problem.help("a family and a name, for example `ip nat` or `inet filter`"));
        return None;
    };
    let chains = problems.entries(&entry.value, "a map of chains");
    let chains = chains.iter().filter_map(|chain| self::chain(chain, problems)).collect();
    Some(Table { family, name: name.to_owned(), chains })
}

/// Names that nft(8) takes without quotes.
fn is_plain(name: &str) -> bool {
    name.len() < 64
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-./\\".contains(c))
}

fn chain(entry: &Entry, problems: &mut Problems) -> Option<Chain> {
    if !is_plain(&entry.key) {
        problems.push(Diagnostic::new(Code::BadRule, entry.key_span).label("not the name of a chain"));
        return None;
    }
    let chain = |base, rules| Some(Chain { name: entry.key.clone(), base, rules });
    if !matches!(entry.value.value, Value::Map(_)) {
        return chain(None, rules(&entry.value, problems));
    }
    let mut fields = problems.fields(&entry.value, "a list of rules, or a map")?;
    let hook: Option<Hook> = fields.get("hook").and_then(|tree| problems.choice(tree, &HOOKS));
    let kind = fields.get("type").and_then(|tree| problems.choice(tree, &KINDS));
    let priority = fields.get("priority").and_then(|tree| self::priority(tree, problems));
    let policy = fields.get("policy").and_then(|tree| problems.choice(tree, &POLICIES));
    let rules = fields.get("rules").map(|tree| rules(tree, problems)).unwrap_or_default();
    if hook.is_none() {
        fields.missing(
            "hook",
            entry.value.span,
            "for example `hook: forward`; a chain without one is a list of rules",
        );
    }
    fields.finish(problems);
    let base = BaseChain {
        kind: kind.unwrap_or(crate::nft::ChainKind::Filter),
        hook: hook?,
        priority: priority.unwrap_or_default(),
        policy: policy.unwrap_or(Policy::Accept),
    };
    chain(Some(base), rules)
}

fn priority(tree: &Tree, problems: &mut Problems) -> Option<i32> {
    let text = problems.text(tree, "a number")?;
    let priority = text.parse().ok();
    if priority.is_none() {
        problems
            .push(Diagnostic::new(Code::BadNumber, tree.span).label("the priority of a chain is a number"));
    }
    priority
}

fn rules(tree: &Tree, problems: &mut Problems) -> Vec<Rule> {
    if tree.value == Value::Null {
        return Vec::new();
    }
    let mut found = Vec::new();
    for item in one_or_many(tree) {
        let Some(text) = problems.text(item, "a rule of nft") else { continue };
        match text.parse() {
            Ok(rule) => found.push(rule),
            Err(error) => {
                let crate::nft::RuleError { rest } = error;
                let label = format!("not understood from `{rest}` on");
                problems.push(Diagnostic::new(Code::BadRule, item.span).label(label));
            }
        }
    }
    found
}
