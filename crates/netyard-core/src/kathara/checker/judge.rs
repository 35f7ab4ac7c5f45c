//! What to ask a device for a check, and whether the answer is right.

use super::{About, Answer, Check, Command, Facts, Http, bridge};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The name of each process, one a line.
const PROCESSES: &str =
    "for p in /proc/[0-9]*; do read -r name < \"$p/comm\" && echo \"$name\"; done 2> /dev/null; true";

impl Check {
    /// The command for the device's shell; none where the lab's files tell.
    #[must_use]
    pub fn command(&self) -> Option<String> {
        Some(match &self.about {
            About::Startup | About::Domains(_) | About::Impossible(_) => return None,
            About::Address(interface, _) => format!("ip -j address show dev {}", quoted(interface)),
            About::Ipv6 => "cat /proc/sys/net/ipv6/conf/all/disable_ipv6".to_owned(),
            About::Sysctl(key, _) => {
                format!("cat {}", quoted(&format!("/proc/sys/{}", key.replace('.', "/"))))
            }
            About::Bridge(_) | About::VlanTags(..) | About::Pvid(..) => bridge::COMMAND.to_owned(),
            About::Daemon(_) => PROCESSES.to_owned(),
            About::Routes(_) => "ip -j route && echo && ip -j nexthop".to_owned(),
            About::BgpNeighbour(..) => "vtysh -c 'show bgp summary json'".to_owned(),
            About::Network(daemon, _) | About::Redistribution(daemon, _) => {
                format!("vtysh -c {}", quoted(&format!("show running-config {daemon}")))
            }
            About::BgpRoute(..) => "vtysh -c 'show ip bgp json'".to_owned(),
            About::OspfNeighbour(..) => "vtysh -c 'show ip ospf neighbor json'".to_owned(),
            About::OspfRoute(_) => "vtysh -c 'show ip ospf route json'".to_owned(),
            About::OspfInterface(..) => "vtysh -c 'show ip ospf interface json'".to_owned(),
            About::Authority(zone, server, _) => {
                let (zone, server) = (quoted(zone), quoted(&format!("@{server}")));
                let dig = "dig +short +time=2 +tries=1";
                format!("for name in $({dig} NS {zone} {server}); do {dig} \"$name\" {server}; done")
            }
            About::NameServer(_) => "cat /etc/resolv.conf".to_owned(),
            About::Record(kind, name, _) => {
                format!("dig +short +time=2 +tries=1 {} {}", quoted(kind), quoted(name))
            }
            About::Http(http) => {
                let method = if http.method.is_empty() { "GET" } else { &http.method };
                format!(
                    "curl -sS --max-time 5 -X {} -w '\\n%{{http_code}}' {}",
                    quoted(method),
                    quoted(&http.url)
                )
            }
            About::Reachable(to) => format!("ping -q -n -c 1 -W 2 {}", quoted(to)),
            About::Command(command) => command.command.clone(),
        })
    }

    /// Whether what came back is right; of a check that the lab's files tell, `answer` does not count.
    ///
    /// # Errors
    /// What is not as it should be, in words.
    pub fn verdict(&self, answer: &Answer, facts: &Facts) -> Result<(), String> {
        let found = self.found(answer, facts);
        match (self.is_negated, found) {
            (false, found) => found,
            (true, Ok(())) => Err("it is so".to_owned()),
            (true, Err(_)) => Ok(()),
        }
    }

    fn found(&self, answer: &Answer, facts: &Facts) -> Result<(), String> {
        let output = answer.stdout.as_str();
        match &self.about {
            About::Startup => {
                is(facts.startups.contains(&self.device), || format!("there is no {}.startup", self.device))
            }
            About::Domains(wanted) => domains(&self.device, wanted, facts),
            About::Impossible(reason) => Err(reason.clone()),
            About::Address(interface, wanted) => address(answer, interface, wanted),
            About::Ipv6 => is(output.trim() == "0", || "IPv6 is off".to_owned()),
            About::Sysctl(_, wanted) => {
                let found = output.split_whitespace().collect::<Vec<_>>().join(" ");
                is(found == wanted.split_whitespace().collect::<Vec<_>>().join(" "), || {
                    format!("it is {found}")
                })
            }
            About::Bridge(ports) => bridge::one(answer, ports),
            About::VlanTags(port, wanted) => bridge::tags(answer, port, wanted),
            About::Pvid(port, wanted) => bridge::pvid(answer, port, *wanted),
            About::Daemon(name) => {
                // The kernel keeps 15 bytes of a name.
                let name = name.get(..15).unwrap_or(name);
                is(output.lines().any(|line| line.contains(name)), || "no such process runs".to_owned())
            }
            About::Routes(wanted) => routes(answer, wanted),
            About::BgpNeighbour(peer, number) => bgp_neighbour(answer, peer, *number),
            About::Network(_, network) => {
                let has = |line: &str| {
                    line.trim().strip_prefix("network ").is_some_and(|rest| first(rest) == network)
                };
                is(output.lines().any(has), || "the daemon does not announce it".to_owned())
            }
            About::Redistribution(_, from) => {
                let has = |line: &str| {
                    line.trim().strip_prefix("redistribute ").is_some_and(|rest| first(rest) == from)
                };
                is(output.lines().any(has), || "the daemon does not redistribute it".to_owned())
            }
            About::BgpRoute(route, paths) => bgp_route(answer, route, paths),
            About::OspfNeighbour(id, state) => ospf_neighbour(answer, id, state),
            About::OspfRoute(route) => {
                let has = json(answer)?.get(route).is_some();
                is(has, || "OSPF has no such route".to_owned())
            }
            About::OspfInterface(name, values) => ospf_interface(answer, name, values),
            About::Authority(_, _, wanted) => is(output.lines().any(|line| line.trim() == wanted), || {
                format!("responsible: {}", listed(output))
            }),
            About::NameServer(server) => {
                let has = |line: &str| line.split_whitespace().eq(["nameserver", server]);
                is(output.lines().any(has), || "/etc/resolv.conf does not name it".to_owned())
            }
            About::Record(_, _, values) => {
                let found = output.trim();
                is(values.iter().any(|value| value == found), || format!("it is {}", listed(found)))
            }
            About::Http(wanted) => http(answer, wanted),
            About::Reachable(_) => is(answer.code == 0, || reason(answer, "no answer")),
            About::Command(command) => custom(answer, command),
        }
    }
}

pub(super) fn is(is_so: bool, reason: impl FnOnce() -> String) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(reason()) }
}

fn first(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or_default()
}

fn listed(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "nothing".to_owned() } else { lines.join(", ") }
}

/// What a command said of its failure, in one line.
pub(super) fn reason(answer: &Answer, otherwise: &str) -> String {
    let line = answer.stderr.lines().find(|line| !line.trim().is_empty());
    line.map_or_else(|| otherwise.to_owned(), str::to_owned)
}

/// A word for the shell as it is.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn json(answer: &Answer) -> Result<Value, String> {
    serde_json::from_str(&answer.stdout).map_err(|_| reason(answer, "no answer that can be read"))
}

fn domains(device: &str, wanted: &BTreeSet<(i64, String)>, facts: &Facts) -> Result<(), String> {
    let Some((_, found)) = facts.devices.iter().find(|(name, _)| name == device) else {
        return Err("there is no such device".to_owned());
    };
    let words = |set: &BTreeSet<(i64, String)>| {
        let words: Vec<String> =
            set.iter().map(|(number, domain)| format!("eth{number} on {domain}")).collect();
        if words.is_empty() { "no interfaces".to_owned() } else { words.join(", ") }
    };
    is(found == wanted, || format!("it has {}", words(found)))
}

fn address(answer: &Answer, interface: &str, wanted: &str) -> Result<(), String> {
    let links = json(answer).map_err(|_| reason(answer, &format!("there is no {interface}")))?;
    let infos =
        links.as_array().into_iter().flatten().filter_map(|link| link["addr_info"].as_array()).flatten();
    let found: Vec<String> =
        infos.filter_map(|info| Some(format!("{}/{}", info["local"].as_str()?, info["prefixlen"]))).collect();
    let has = |address: &String| address == wanted || address.split('/').next() == Some(wanted);
    is(found.iter().any(has), || format!("{interface} has {}", listed(&found.join("\n"))))
}

/// The next hops of each route that is not to a network of the device's own: addresses and interfaces.
fn routes(answer: &Answer, wanted: &[(String, BTreeSet<String>)]) -> Result<(), String> {
    let (table, hops) = answer.stdout.split_once("\n\n").unwrap_or((&answer.stdout, "[]"));
    let parsed = |text: &str| serde_json::from_str::<Vec<Value>>(text.trim()).unwrap_or_default();
    let (table, hops) = (parsed(table), parsed(hops));
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let hop = |value: &Value| -> Option<(String, String)> {
        let via = text(&value["gateway"]).or_else(|| text(&value["via"]["host"]))?;
        Some((via, text(&value["dev"]).unwrap_or_default()))
    };
    let by_id = |id: &Value| hops.iter().find(|hop| hop["id"] == *id);
    let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for route in table.iter().filter(|route| route["scope"] != "link") {
        let to = match route["dst"].as_str() {
            Some("default") | None => "0.0.0.0/0".to_owned(),
            Some(to) => to.to_owned(),
        };
        let several = route["nexthops"].as_array().map(|list| list.iter().filter_map(hop).collect());
        let named = || {
            let of = by_id(&route["nhid"])?;
            match of["group"].as_array() {
                Some(group) => Some(group.iter().filter_map(|part| hop(by_id(&part["id"])?)).collect()),
                None => Some(hop(of).into_iter().collect()),
            }
        };
        let one = || Some(vec![hop(route)?]);
        found.insert(to, several.or_else(one).or_else(named).unwrap_or_default());
    }
    let mut flaws = Vec::new();
    for (to, hops) in wanted {
        let Some(own) = found.get(to) else {
            flaws.push(format!("{to} is missing"));
            continue;
        };
        let has = |hop: &String| own.iter().any(|(via, dev)| via == hop || dev == hop);
        if !hops.is_empty() && (hops.len() != own.len() || !hops.iter().all(has)) {
            let words: Vec<String> = own.iter().map(|(via, dev)| format!("{via} on {dev}")).collect();
            flaws.push(format!("{to} goes by {}", listed(&words.join("\n"))));
        }
    }
    let known = |to: &&String| wanted.iter().any(|(other, _)| other == *to);
    flaws.extend(found.keys().filter(|to| !known(to)).map(|to| format!("{to} should not be there")));
    is(flaws.is_empty(), || flaws.join("; "))
}

fn bgp_neighbour(answer: &Answer, peer: &str, number: Option<u64>) -> Result<(), String> {
    let json = json(answer)?;
    let families = json.as_object().into_iter().flat_map(|families| families.values());
    let found: Vec<&Value> = families.filter_map(|family| family["peers"].get(peer)).collect();
    let Some(first) = found.first() else { return Err("BGP has no such neighbour".to_owned()) };
    if let Some(number) = number.filter(|number| first["remoteAs"] != *number) {
        return Err(format!("its AS is {}, not {number}", first["remoteAs"]));
    }
    let is_up = found.iter().any(|peer| peer["state"] == "Established");
    is(is_up, || format!("the session is {}", first["state"].as_str().unwrap_or("unknown")))
}

fn bgp_route(answer: &Answer, route: &str, wanted: &[Vec<u64>]) -> Result<(), String> {
    let json = json(answer)?;
    let Some(found) = json["routes"].get(route).and_then(Value::as_array) else {
        return Err("BGP has no such route".to_owned());
    };
    let path = |route: &Value| -> Vec<u64> {
        let path = route["path"].as_str().unwrap_or_default();
        path.split_whitespace().filter_map(|number| number.parse().ok()).collect()
    };
    let mut found: Vec<Vec<u64>> = found.iter().map(path).collect();
    let mut wanted = wanted.to_vec();
    found.sort();
    wanted.sort();
    is(wanted.is_empty() || found == wanted, || format!("its AS paths are {found:?}"))
}

fn ospf_neighbour(answer: &Answer, id: &str, wanted: &str) -> Result<(), String> {
    let json = json(answer)?;
    let entries = json["neighbors"].get(id).or_else(|| json.get(id)).and_then(Value::as_array);
    let Some(entries) = entries.filter(|entries| !entries.is_empty()) else {
        return Err("OSPF has no such neighbour".to_owned());
    };
    let state = |entry: &Value| {
        let words = ["converged", "nbrState", "state"].into_iter().find_map(|key| entry[key].as_str());
        words.unwrap_or_default().split('/').next().unwrap_or_default().to_owned()
    };
    let states: Vec<String> = entries.iter().map(state).collect();
    let is_so = states.iter().any(|state| state.eq_ignore_ascii_case(wanted));
    is(is_so, || format!("its state is {}", states.join(", ")))
}

fn ospf_interface(answer: &Answer, name: &str, wanted: &[(String, String)]) -> Result<(), String> {
    let json = json(answer)?;
    let Some(found) = json["interfaces"].get(name).or_else(|| json.get(name)) else {
        return Err(format!("OSPF does not run on {name}"));
    };
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let differs = |(key, value): &&(String, String)| !text(&found[key.as_str()]).eq_ignore_ascii_case(value);
    let flaws: Vec<String> = wanted
        .iter()
        .filter(differs)
        .map(|(key, _)| format!("{key} is {}", text(&found[key.as_str()])))
        .collect();
    is(flaws.is_empty(), || flaws.join(", "))
}

fn http(answer: &Answer, wanted: &Http) -> Result<(), String> {
    if answer.code != 0 {
        return Err(reason(answer, &format!("curl ended with {}", answer.code)));
    }
    let (body, status) = answer.stdout.rsplit_once('\n').unwrap_or(("", &answer.stdout));
    if let Some(number) = wanted.status.filter(|number| number.to_string() != status.trim()) {
        return Err(format!("the status is {}, not {number}", status.trim()));
    }
    if wanted.contains.as_ref().is_some_and(|text| !body.contains(text.as_str())) {
        return Err("the body does not have the text in it".to_owned());
    }
    is(wanted.regex.as_ref().is_none_or(|regex| regex.is_match(body)), || {
        "the body does not match".to_owned()
    })
}

fn custom(answer: &Answer, wanted: &Command) -> Result<(), String> {
    let output = if answer.stdout.trim().is_empty() { &answer.stderr } else { &answer.stdout };
    let plain = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
    let output = plain(output).trim().to_owned();
    if wanted.exit_code.is_some_and(|code| code != i64::from(answer.code)) {
        return Err(format!("the exit code is {}: {}", answer.code, listed(&output)));
    }
    if wanted.output.as_ref().is_some_and(|text| plain(text) != output) {
        return Err(format!("it printed {}", listed(&output)));
    }
    let matches = wanted.regex.as_ref().is_none_or(|regex| regex.is_match(&output));
    is(matches, || format!("it printed {}", listed(&output)))
}

#[cfg(test)]
mod tests;
