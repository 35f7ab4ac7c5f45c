//! A file of tests: tree to checks.

use super::{About, Check, Checks, Command, Http, Port};
use crate::diagnostic::{Code, Diagnostic, Source};
use crate::labfile::read::{Problems, one_or_many};
use crate::labfile::tree::{Entry, Tree, Value};
use std::collections::{BTreeMap, BTreeSet};

/// How long kathara-lab-checker's users wait where the file does not say.
const CONVERGENCE_S: u64 = 60;

pub(super) fn checks(tree: &Tree, source: &Source, problems: &mut Problems) -> Option<Checks> {
    let mut decoder = Decoder { source, problems, checks: Vec::new(), owners: BTreeMap::new() };
    let mut found = Checks { convergence_s: CONVERGENCE_S, ..Checks::default() };
    for entry in decoder.problems.entries(tree, "a map with `test`") {
        match entry.key.as_str() {
            "convergence_time" => {
                let time = decoder.number(&entry.value).and_then(|seconds| u64::try_from(seconds).ok());
                found.convergence_s = time.unwrap_or(CONVERGENCE_S);
            }
            "lab_inline" => found.structure = decoder.text(&entry.value),
            "structure" => found.structure_path = decoder.text(&entry.value),
            "labs_path" => found.labs_path = decoder.text(&entry.value),
            "default_image" => {}
            "test" => decoder.test(&entry.value),
            _ => decoder.unknown(entry),
        }
    }
    found.checks = decoder.checks;
    Some(found)
}

struct Decoder<'a> {
    source: &'a Source,
    problems: &'a mut Problems,
    checks: Vec<Check>,
    /// The device of each address in `ip_mapping`.
    owners: BTreeMap<String, String>,
}

impl Decoder<'_> {
    fn unknown(&mut self, entry: &Entry) {
        let problem = Diagnostic::new(Code::BadCheck, entry.key_span)
            .label(format!("no check is called `{}`", entry.key));
        self.problems.push(problem.help("the README of kathara-lab-checker lists them"));
    }

    fn wrong(&mut self, tree: &Tree, wanted: &str) {
        let problem = Diagnostic::new(Code::BadCheck, tree.span)
            .label(format!("{wanted} is needed, this is {}", tree.kind()));
        self.problems.push(problem.help("the README of kathara-lab-checker shows an example"));
    }

    fn text(&mut self, tree: &Tree) -> Option<String> {
        if let Value::Scalar { text, .. } = &tree.value {
            return Some(text.clone());
        }
        self.wrong(tree, "a text");
        None
    }

    fn number(&mut self, tree: &Tree) -> Option<i64> {
        let number =
            self.text(tree).and_then(|text| text.trim().parse::<f64>().ok()).filter(|n| n.is_finite());
        if number.is_none() {
            self.wrong(tree, "a number");
        }
        #[expect(clippy::cast_possible_truncation, reason = "times and codes are small")]
        number.map(|number| number as i64)
    }

    /// The entries of a map that is there; of nothing none.
    fn entries<'t>(&mut self, tree: &'t Tree) -> &'t [Entry] {
        match &tree.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                self.wrong(tree, "a map");
                &[]
            }
        }
    }

    fn push(&mut self, tree: &Tree, device: &str, text: String, about: About) {
        let line = self.source.line_and_column(tree.span.start).0;
        self.checks.push(Check { line, text, device: device.to_owned(), is_negated: false, about });
    }

    /// A check of a word that a `!` before it turns round.
    fn push_word(&mut self, tree: &Tree, device: &str, word: &str, make: impl Fn(&str) -> (String, About)) {
        let (is_negated, word) = word.strip_prefix('!').map_or((false, word), |rest| (true, rest));
        let (text, about) = make(word);
        let text = if is_negated { format!("not: {text}") } else { text };
        self.push(tree, device, text, about);
        if let Some(check) = self.checks.last_mut() {
            check.is_negated = is_negated;
        }
    }

    /// Each word of each device.
    fn words(&mut self, tree: &Tree, make: impl Fn(&str, &str) -> (String, About)) {
        for entry in self.entries(tree) {
            for item in items(&entry.value) {
                if let Some(word) = self.text(item) {
                    self.push_word(item, &entry.key, &word, |word| make(&entry.key, word));
                }
            }
        }
    }

    fn test(&mut self, tree: &Tree) {
        let entries = self.entries(tree);
        // Who has which address is asked by checks of name servers, wherever they stand.
        for entry in entries.iter().filter(|entry| entry.key == "ip_mapping") {
            self.addresses(&entry.value);
        }
        for entry in entries {
            let tree = &entry.value;
            match entry.key.as_str() {
                "requiring_startup" => self.devices(tree, "has a startup script", |_| About::Startup),
                "ipv6_enabled" => self.devices(tree, "has IPv6 on", |_| About::Ipv6),
                "ip_mapping" => {}
                "sysctls" => self.sysctls(tree),
                "bridges" => self.bridges(tree),
                "daemons" => {
                    self.words(tree, |device, name| {
                        (format!("{device} runs {name}"), About::Daemon(name.to_owned()))
                    });
                }
                "kernel_routes" => self.routes(tree),
                "protocols" => self.protocols(tree),
                "applications" => self.applications(tree),
                "reachability" => self.words(tree, |device, to| {
                    (format!("{device} reaches {to}"), About::Reachable(to.to_owned()))
                }),
                "custom_commands" => self.commands(tree),
                _ => self.unknown(entry),
            }
        }
    }

    fn devices(&mut self, tree: &Tree, words: &str, about: impl Fn(&str) -> About) {
        for item in items(tree) {
            if let Some(device) = self.text(item) {
                self.push(item, &device, format!("{device} {words}"), about(&device));
            }
        }
    }

    fn impossible(&mut self, tree: &Tree, reason: &str) {
        for entry in self.entries(tree) {
            let text = format!("{}: a check that cannot be made", entry.key);
            self.push(&entry.value, &entry.key, text, About::Impossible(reason.to_owned()));
        }
    }

    fn bridges(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for bridge in items(&device.value) {
                let ports = child(bridge, "interfaces").map_or(&[][..], |tree| self.entries(tree));
                let vxlans = child(bridge, "vxlan").map_or(&[][..], |tree| self.entries(tree));
                let named = ports.iter().map(|entry| (Port::Interface(entry.key.clone()), &entry.value));
                let mut all: Vec<(Port, &Tree)> = named.collect();
                for entry in vxlans {
                    match entry.key.parse() {
                        Ok(vni) => all.push((Port::Vxlan(vni), &entry.value)),
                        Err(_) => self.wrong(bridge, "the number of a VXLAN"),
                    }
                }
                if all.is_empty() {
                    self.wrong(bridge, "a map with `interfaces`");
                    continue;
                }
                let words: Vec<String> = all.iter().map(|(port, _)| port.to_string()).collect();
                let text = format!("{} has {} in one bridge", device.key, words.join(", "));
                let of_bridge = all.iter().map(|(port, _)| port.clone()).collect();
                self.push(bridge, &device.key, text, About::Bridge(of_bridge));
                all.into_iter().for_each(|(port, values)| self.vlans(&device.key, &port, values));
            }
        }
    }

    /// What VLANs a port of a bridge has.
    fn vlans(&mut self, device: &str, port: &Port, values: &Tree) {
        if let Some(tags) = child(values, "vlan_tags") {
            let numbers: Option<BTreeSet<i64>> = items(tags).iter().map(|item| self.number(item)).collect();
            if let Some(numbers) = numbers {
                let words: Vec<String> = numbers.iter().map(i64::to_string).collect();
                let text = format!("{device} has VLANs {} on {port}", words.join(", "));
                self.push(tags, device, text, About::VlanTags(port.clone(), numbers));
            }
        }
        if let Some(pvid) = child(values, "pvid")
            && let Some(number) = self.number(pvid)
        {
            let text = format!("{device} takes untagged frames on {port} for VLAN {number}");
            self.push(pvid, device, text, About::Pvid(port.clone(), number));
        }
    }

    fn addresses(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for entry in self.entries(&device.value) {
                for item in items(&entry.value) {
                    let Some(address) = self.text(item) else { continue };
                    let is_number = entry.key.bytes().all(|byte| byte.is_ascii_digit());
                    let interface = if is_number { format!("eth{}", entry.key) } else { entry.key.clone() };
                    let plain = address.split('/').next().unwrap_or_default().to_owned();
                    self.owners.insert(plain, device.key.clone());
                    let text = format!("{} has {address} on {interface}", device.key);
                    self.push(item, &device.key, text, About::Address(interface, address));
                }
            }
        }
    }

    fn sysctls(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for item in items(&device.value) {
                let Some(word) = self.text(item) else { continue };
                match word.split_once('=') {
                    Some((key, value)) => {
                        let about = About::Sysctl(key.trim().to_owned(), value.trim().to_owned());
                        self.push(item, &device.key, format!("{} has {word}", device.key), about);
                    }
                    None => self.wrong(item, "`KEY=VALUE`"),
                }
            }
        }
    }

    fn routes(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            let mut routes = Vec::new();
            for item in items(&device.value) {
                let (to, hops) = match &item.value {
                    Value::List(parts) => match parts.as_slice() {
                        [to] => (to, None),
                        [to, hops] => (to, Some(hops)),
                        _ => {
                            self.wrong(item, "a route, or a route and a list of next hops");
                            continue;
                        }
                    },
                    _ => (item, None),
                };
                let hops: BTreeSet<String> =
                    hops.iter().flat_map(|hops| items(hops)).filter_map(|hop| self.text(hop)).collect();
                routes.extend(self.text(to).map(|to| (to, hops)));
            }
            let text = format!("{} has these routes and no others: {}", device.key, names(&routes));
            self.push(&device.value, &device.key, text, About::Routes(routes));
        }
    }

    fn protocols(&mut self, tree: &Tree) {
        for protocol in self.entries(tree) {
            let daemon = protocol.key.as_str();
            for entry in self.entries(&protocol.value) {
                let tree = &entry.value;
                match (daemon, entry.key.as_str()) {
                    ("bgpd", "neighbors" | "peerings") => self.bgp_neighbours(tree),
                    ("bgpd", "routes") => self.bgp_routes(tree),
                    ("ospfd", "neighbors") => self.ospf_neighbours(tree),
                    ("ospfd", "routes") => self.ospf_routes(tree),
                    ("ospfd", "interfaces") => self.ospf_interfaces(tree),
                    ("bgpd", "evpn" | "evpn_sessions" | "vtep_devices") | ("sciond", _) => {
                        self.impossible(tree, "EVPN and SCION are not checked here");
                    }
                    (_, "networks") => self.words(tree, |device, network| {
                        let text = format!("{device} announces {network} by {daemon}");
                        (text, About::Network(daemon.to_owned(), network.to_owned()))
                    }),
                    (_, "injections") => self.words(tree, |device, from| {
                        let text = format!("{device} redistributes {from} by {daemon}");
                        (text, About::Redistribution(daemon.to_owned(), from.to_owned()))
                    }),
                    _ => self.unknown(entry),
                }
            }
        }
    }

    /// A field of a map, as text.
    fn field(&mut self, tree: &Tree, key: &str) -> Option<String> {
        self.text(child(tree, key)?)
    }

    fn needed(&mut self, tree: &Tree, key: &str) -> Option<String> {
        let found = self.field(tree, key);
        if found.is_none() {
            self.wrong(tree, &format!("a map with `{key}`"));
        }
        found
    }

    fn bgp_neighbours(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for item in items(&device.value) {
                let is_word = matches!(item.value, Value::Scalar { .. });
                let peer = if is_word { self.text(item) } else { self.needed(item, "ip") };
                let Some(peer) = peer else { continue };
                let number = self.field(item, "asn").and_then(|text| text.parse().ok());
                let of = number.map_or_else(String::new, |number: u64| format!(" of AS {number}"));
                self.push_word(item, &device.key, &peer, |peer| {
                    let text = format!("{} has a BGP session with {peer}{of}", device.key);
                    (text, About::BgpNeighbour(peer.to_owned(), number))
                });
            }
        }
    }

    fn bgp_routes(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for item in items(&device.value) {
                let Some(route) = self.needed(item, "route") else { continue };
                let paths = child(item, "aspath");
                let path = |tree: &Tree| -> Vec<u64> {
                    let words = one_or_many(tree).iter().filter_map(|part| match &part.value {
                        Value::Scalar { text, .. } => Some(text.as_str()),
                        _ => None,
                    });
                    words.flat_map(str::split_whitespace).filter_map(|number| number.parse().ok()).collect()
                };
                let paths = paths.iter().flat_map(|paths| items(paths)).map(path).collect();
                let text = format!("{} has {route} by BGP", device.key);
                self.push(item, &device.key, text, About::BgpRoute(route, paths));
            }
        }
    }

    fn ospf_neighbours(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for item in items(&device.value) {
                let Some(id) = self.needed(item, "router_id") else { continue };
                let state = self.field(item, "state").unwrap_or_else(|| "FULL".to_owned());
                let text = format!("{} has the OSPF neighbour {id}, {state}", device.key);
                self.push(item, &device.key, text, About::OspfNeighbour(id, state));
            }
        }
    }

    fn ospf_routes(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for item in items(&device.value) {
                let is_word = matches!(item.value, Value::Scalar { .. });
                let route = if is_word { self.text(item) } else { self.needed(item, "route") };
                let Some(route) = route else { continue };
                let text = format!("{} has {route} by OSPF", device.key);
                self.push(item, &device.key, text, About::OspfRoute(route));
            }
        }
    }

    fn ospf_interfaces(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for interface in self.entries(&device.value) {
                let entries = self.entries(&interface.value);
                let values: Vec<(String, String)> = entries
                    .iter()
                    .filter_map(|entry| Some((entry.key.clone(), self.text(&entry.value)?)))
                    .collect();
                let words: Vec<String> = values.iter().map(|(key, value)| format!("{key} {value}")).collect();
                let text = format!("{} has OSPF on {}: {}", device.key, interface.key, words.join(", "));
                self.push(
                    &interface.value,
                    &device.key,
                    text,
                    About::OspfInterface(interface.key.clone(), values),
                );
            }
        }
    }

    fn applications(&mut self, tree: &Tree) {
        for application in self.entries(tree) {
            match application.key.as_str() {
                "dns" => self.dns(&application.value),
                "http" => self.http(&application.value),
                _ => self.unknown(application),
            }
        }
    }

    fn dns(&mut self, tree: &Tree) {
        let entries = self.entries(tree);
        let mut clients = BTreeSet::new();
        for entry in entries.iter().filter(|entry| entry.key == "local_ns") {
            for server in self.entries(&entry.value) {
                for item in items(&server.value) {
                    let Some(device) = self.text(item) else { continue };
                    clients.insert(device.clone());
                    let text = format!("{device} asks the name server {}", server.key);
                    self.push(item, &device, text, About::NameServer(server.key.clone()));
                }
            }
        }
        for entry in entries {
            match entry.key.as_str() {
                "local_ns" => {}
                "authoritative" => self.authorities(&entry.value),
                "records" => {
                    for kind in self.entries(&entry.value) {
                        for record in self.entries(&kind.value) {
                            let values: Vec<String> =
                                items(&record.value).iter().filter_map(|item| self.text(item)).collect();
                            for client in &clients {
                                let text = format!(
                                    "{client} finds {} {} {}",
                                    record.key,
                                    kind.key,
                                    values.join(" or ")
                                );
                                let about =
                                    About::Record(kind.key.clone(), record.key.clone(), values.clone());
                                self.push(&record.value, client, text, about);
                            }
                        }
                    }
                }
                "reachability" => {
                    for name in self.entries(&entry.value) {
                        for item in items(&name.value) {
                            let Some(device) = self.text(item) else { continue };
                            let text = format!("{device} reaches {}", name.key);
                            self.push(item, &device, text, About::Reachable(name.key.clone()));
                        }
                    }
                }
                _ => self.unknown(entry),
            }
        }
    }

    fn authorities(&mut self, tree: &Tree) {
        for zone in self.entries(tree) {
            for item in items(&zone.value) {
                let Some(server) = self.text(item) else { continue };
                let Some(device) = self.owners.get(&server).cloned() else {
                    self.wrong(item, "an address of `ip_mapping`");
                    continue;
                };
                let text = format!("{device} is responsible for the zone {}", zone.key);
                self.push(item, &device, text, About::Authority(zone.key.clone(), server.clone(), server));
            }
        }
    }

    fn regex(&mut self, tree: &Tree, key: &str) -> Option<regex_lite::Regex> {
        let text = self.field(tree, key)?;
        match regex_lite::Regex::new(&text) {
            Ok(regex) => Some(regex),
            Err(error) => {
                let problem = Diagnostic::new(Code::BadCheck, tree.span).label(format!("`{key}`: {error}"));
                self.problems.push(problem.help("look-around and back-references are not there"));
                None
            }
        }
    }

    fn http(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for item in items(&device.value) {
                let Some(url) = self.needed(item, "url") else { continue };
                let request = Http {
                    method: self.field(item, "method").unwrap_or_default(),
                    status: self.field(item, "status_code").and_then(|text| text.parse().ok()),
                    contains: self.field(item, "body_contains"),
                    regex: self.regex(item, "regex_body"),
                    url,
                };
                let method = if request.method.is_empty() { "GET" } else { &request.method };
                let text = format!("{}: {method} {}", device.key, request.url);
                self.push(item, &device.key, text, About::Http(request));
            }
        }
    }

    fn commands(&mut self, tree: &Tree) {
        for device in self.entries(tree) {
            for item in items(&device.value) {
                let Some(command) = self.needed(item, "command") else { continue };
                let text = format!("{}: {}", device.key, command.lines().next().unwrap_or_default());
                let command = Command {
                    output: self.field(item, "output"),
                    regex: self.regex(item, "regex_match"),
                    exit_code: self.field(item, "exit_code").and_then(|text| text.parse().ok()),
                    command,
                };
                self.push(item, &device.key, text, About::Command(command));
            }
        }
    }
}

/// A value of a map.
fn child<'t>(tree: &'t Tree, key: &str) -> Option<&'t Tree> {
    let Value::Map(entries) = &tree.value else { return None };
    entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
}

/// The items of a list, or the one thing that stands in its place; of nothing none.
fn items(tree: &Tree) -> &[Tree] {
    if tree.value == Value::Null { &[] } else { one_or_many(tree) }
}

fn names(routes: &[(String, BTreeSet<String>)]) -> String {
    let names: Vec<&str> = routes.iter().map(|(to, _)| to.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
