//! What was typed after `iptables`.

use super::Table;
use crate::name::IfName;
use crate::nft::{Action, CtStates, Match, Policy, Ports, Protocol, Rule};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What is to be done, in which table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// `-t`
    pub table: Table,
    /// The command.
    pub task: Task,
    /// `-n`
    pub is_numeric: bool,
    /// `-v`
    pub is_verbose: bool,
    /// `--line-numbers`
    pub has_line_numbers: bool,
}

/// A command of iptables; chains by name, rules counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// `-A`
    Append(String, Rule),
    /// `-I`
    Insert(String, usize, Rule),
    /// `-R`
    Replace(String, usize, Rule),
    /// `-D` with a number.
    DeleteAt(String, usize),
    /// `-D` with a rule.
    Delete(String, Rule),
    /// `-C`
    Check(String, Rule),
    /// `-L`
    List(Option<String>),
    /// `-S`
    Specify(Option<String>),
    /// `-F`
    Flush(Option<String>),
    /// `-P`
    Policy(String, Policy),
    /// `-N`
    New(String),
    /// `-X`
    Remove(Option<String>),
    /// `-V`
    Version,
}

/// Why it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code: 2 for wrong words, 1 for what does not go.
    pub code: u8,
    /// What is said.
    pub words: String,
}

const VERSION: &str = "iptables v1.8 (netyard)";

impl Failure {
    /// Wrong words.
    #[must_use]
    pub fn usage(words: impl AsRef<str>) -> Self {
        let help = "Try `iptables -h' or 'iptables --help' for more information.";
        Self { code: 2, words: format!("{VERSION}: {}\n{help}", words.as_ref()) }
    }

    /// Something that does not go.
    #[must_use]
    pub fn refused(words: impl AsRef<str>) -> Self {
        Self { code: 1, words: format!("iptables: {}", words.as_ref()) }
    }
}

/// Words that were typed, and the next one.
struct Words<'a> {
    rest: std::iter::Peekable<std::slice::Iter<'a, String>>,
}

impl Words<'_> {
    fn value(&mut self, option: &str) -> Result<String, Failure> {
        let value = self.rest.next().cloned();
        value.ok_or_else(|| Failure::usage(format!("option \"{option}\" requires an argument")))
    }

    /// The next word, unless it begins with a dash or is `!`.
    fn optional(&mut self) -> Option<String> {
        self.rest.next_if(|word| !word.starts_with('-') && *word != "!").cloned()
    }
}

/// What a rule is put together from.
#[derive(Default)]
struct Draft {
    conditions: Vec<Match>,
    protocol: Option<Protocol>,
    ports: [Option<Ports>; 2],
    icmp_type: Option<u8>,
    states: Option<CtStates>,
    target: Option<String>,
    to_source: Option<IpAddr>,
    to_destination: Option<SocketAddr>,
    has_words: bool,
}

/// The command itself, before its rule is known.
enum Verb {
    Append(String),
    Insert(String, usize),
    Replace(String, usize),
    Delete(String, Option<usize>),
    Check(String),
    Plain(Task),
}

/// Reads what was typed.
///
/// # Errors
/// What iptables says.
pub fn order(typed: &[String]) -> Result<Order, Failure> {
    let typed = split_letters(typed);
    let mut words = Words { rest: typed.iter().peekable() };
    let (mut table, mut verb, mut draft) = (Table::Filter, None, Draft::default());
    let (mut is_numeric, mut is_verbose, mut has_line_numbers, mut is_inverted) =
        (false, false, false, false);
    while let Some(word) = words.rest.next() {
        let (option, attached) = match word.split_once('=') {
            Some((option, value)) if option.starts_with("--") => (option, Some(value.to_owned())),
            _ => (word.as_str(), None),
        };
        let inverted = std::mem::take(&mut is_inverted);
        match option {
            "!" => is_inverted = true,
            "-n" | "--numeric" => is_numeric = true,
            "-v" | "--verbose" => is_verbose = true,
            "-w" | "--wait" => drop(words.optional()),
            "--line-numbers" | "--line" => has_line_numbers = true,
            "-t" | "--table" => {
                table = match attached.map_or_else(|| words.value(option), Ok)?.as_str() {
                    "filter" => Table::Filter,
                    "nat" => Table::Nat,
                    other => {
                        let words = format!(
                            "{VERSION}: table '{other}' does not exist\n\
                             netyard's stand-in for iptables has the tables filter and nat."
                        );
                        return Err(Failure { code: 3, words });
                    }
                };
            }
            _ if verb.is_none() && is_verb(option) => verb = Some(read_verb(option, &mut words)?),
            _ if is_verb(option) => {
                return Err(Failure::usage(format!("Cannot use {option} with another command")));
            }
            _ => draft.option(option, attached, inverted, &mut words)?,
        }
    }
    let has_rule = draft.has_words;
    let task = match verb.ok_or_else(|| Failure::usage("no command specified"))? {
        Verb::Append(chain) => Task::Append(chain, draft.rule(table)?),
        Verb::Insert(chain, at) => Task::Insert(chain, at, draft.rule(table)?),
        Verb::Replace(chain, at) => Task::Replace(chain, at, draft.rule(table)?),
        Verb::Check(chain) => Task::Check(chain, draft.rule(table)?),
        Verb::Delete(chain, Some(at)) if !has_rule => Task::DeleteAt(chain, at),
        Verb::Delete(_, Some(_)) => {
            return Err(Failure::usage("Illegal option with this command: a rule and its number"));
        }
        Verb::Delete(chain, None) => Task::Delete(chain, draft.rule(table)?),
        Verb::Plain(_) if has_rule => return Err(Failure::usage("Illegal option with this command")),
        Verb::Plain(task) => task,
    };
    Ok(Order { table, task, is_numeric, is_verbose, has_line_numbers })
}

/// Takes letters behind one dash apart: `-nvL` is `-n -v -L`. What follows a letter with a value is its value.
fn split_letters(typed: &[String]) -> Vec<String> {
    let mut words = Vec::new();
    for word in typed {
        let mut rest = match word.strip_prefix('-') {
            Some(rest) if !rest.is_empty() && !rest.starts_with('-') => rest,
            _ => {
                words.push(word.clone());
                continue;
            }
        };
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            words.push(format!("-{letter}"));
            if !matches!(letter, 'n' | 'v' | 'V') && !rest.is_empty() {
                words.push(rest.to_owned());
                break;
            }
        }
    }
    words
}

const VERBS: [(&str, &str); 12] = [
    ("-A", "--append"),
    ("-I", "--insert"),
    ("-R", "--replace"),
    ("-D", "--delete"),
    ("-C", "--check"),
    ("-L", "--list"),
    ("-S", "--list-rules"),
    ("-F", "--flush"),
    ("-P", "--policy"),
    ("-N", "--new-chain"),
    ("-X", "--delete-chain"),
    ("-V", "--version"),
];

/// The letter of a command, by letter, by long name or by the beginning of one.
fn verb_of(option: &str) -> Option<&'static str> {
    let exact = VERBS.iter().find(|(letter, long)| option == *letter || option == *long);
    let mut beginnings = VERBS.iter().filter(|(_, long)| option.len() > 3 && long.starts_with(option));
    let (first, second) = (beginnings.next(), beginnings.next());
    exact.or(first.filter(|_| second.is_none())).map(|(letter, _)| *letter)
}

fn is_verb(option: &str) -> bool {
    verb_of(option).is_some()
}

fn read_verb(option: &str, words: &mut Words<'_>) -> Result<Verb, Failure> {
    let letter = verb_of(option).unwrap_or_default();
    Ok(match letter {
        "-L" => Verb::Plain(Task::List(words.optional())),
        "-S" => Verb::Plain(Task::Specify(words.optional())),
        "-F" => Verb::Plain(Task::Flush(words.optional())),
        "-X" => Verb::Plain(Task::Remove(words.optional())),
        "-V" => Verb::Plain(Task::Version),
        _ => {
            let chain = words.value(letter)?;
            match letter {
                "-A" => Verb::Append(chain),
                "-C" => Verb::Check(chain),
                "-N" => Verb::Plain(Task::New(chain)),
                "-I" => Verb::Insert(chain, number(words)?.unwrap_or(1)),
                "-D" => Verb::Delete(chain, number(words)?),
                "-R" => {
                    let at = number(words)?.ok_or_else(|| Failure::usage("-R requires a rule number"))?;
                    Verb::Replace(chain, at)
                }
                _ => {
                    let policy = match words.value("-P")?.as_str() {
                        "ACCEPT" => Policy::Accept,
                        "DROP" => Policy::Drop,
                        _ => {
                            return Err(Failure::refused(
                                "Bad policy name. Run `dmesg' for more information.",
                            ));
                        }
                    };
                    Verb::Plain(Task::Policy(chain, policy))
                }
            }
        }
    })
}

fn number(words: &mut Words<'_>) -> Result<Option<usize>, Failure> {
    let Some(text) = words.optional() else { return Ok(None) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.map(Some).ok_or_else(|| Failure::usage(format!("Invalid rule number `{text}'")))
}

impl Draft {
    fn option(
        &mut self,
        option: &str,
        attached: Option<String>,
        inverted: bool,
        words: &mut Words<'_>,
    ) -> Result<(), Failure> {
        self.has_words = true;
        let mut value = || attached.clone().map_or_else(|| words.value(option), Ok);
        if inverted && !matches!(option, "-o" | "--out-interface") {
            return Err(Failure::usage(format!("`! {option}' is not for netyard's stand-in of iptables")));
        }
        match option {
            "-s" | "--source" | "--src" => self.address(&value()?, Match::Source)?,
            "-d" | "--destination" | "--dst" => self.address(&value()?, Match::Destination)?,
            "-i" | "--in-interface" => self.conditions.push(Match::InterfaceIn(interface(&value()?)?)),
            "-o" | "--out-interface" => {
                let name = interface(&value()?)?;
                self.conditions.push(if inverted {
                    Match::InterfaceOutNot(name)
                } else {
                    Match::InterfaceOut(name)
                });
            }
            "-p" | "--protocol" | "--proto" => self.protocol = protocol(&value()?)?,
            "-m" | "--match" => match value()?.as_str() {
                "tcp" | "udp" | "icmp" | "state" | "conntrack" => {}
                other => {
                    return Err(Failure::usage(format!(
                        "Couldn't load match `{other}': netyard's stand-in has tcp, udp, icmp, state, conntrack"
                    )));
                }
            },
            "-j" | "--jump" => self.target = Some(value()?),
            "--sport" | "--source-port" => self.ports[0] = Some(self.port(option, &value()?)?),
            "--dport" | "--destination-port" => self.ports[1] = Some(self.port(option, &value()?)?),
            "--icmp-type" if self.protocol == Some(Protocol::Icmp) => self.icmp_type = icmp_type(&value()?)?,
            "--state" | "--ctstate" => self.states = Some(states(&value()?)?),
            "--to-source" | "--to" if self.target.as_deref() == Some("SNAT") => {
                let text = value()?;
                let address =
                    text.parse().map_err(|_| Failure::usage(format!("Bad IP address \"{text}\"")))?;
                self.to_source = Some(IpAddr::V4(address));
            }
            "--to-destination" | "--to" if self.target.as_deref() == Some("DNAT") => {
                self.to_destination = Some(destination(&value()?)?);
            }
            "--reject-with" if self.target.as_deref() == Some("REJECT") => match value()?.as_str() {
                "icmp-port-unreachable" | "port-unreach" => {}
                other => return Err(Failure::usage(format!("unknown reject type \"{other}\""))),
            },
            _ if option.starts_with('-') => {
                return Err(Failure::usage(format!("unknown option \"{option}\"")));
            }
            _ => return Err(Failure::usage(format!("Bad argument `{option}'"))),
        }
        Ok(())
    }

    fn address(&mut self, text: &str, condition: fn(IpNet) -> Match) -> Result<(), Failure> {
        let unknown = || Failure::usage(format!("host/network `{text}' not found"));
        let prefix = prefix(text).ok_or_else(unknown)?;
        if prefix.prefix_len() > 0 {
            self.conditions.push(condition(prefix));
        }
        Ok(())
    }

    fn port(&self, option: &str, text: &str) -> Result<Ports, Failure> {
        if !matches!(self.protocol, Some(Protocol::Tcp | Protocol::Udp)) {
            return Err(Failure::usage(format!("unknown option \"{option}\"")));
        }
        let one = |text: &str| {
            let named = SERVICES.iter().find(|(name, _)| *name == text).map(|(_, port)| *port);
            let port = named.or_else(|| text.parse().ok());
            port.ok_or_else(|| Failure::usage(format!("invalid port/service `{text}' specified")))
        };
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let first = if first.is_empty() { 0 } else { one(first)? };
        let last = if last.is_empty() { u16::MAX } else { one(last)? };
        if first > last {
            return Err(Failure::usage(format!("invalid portrange (min > max) `{text}'")));
        }
        Ok(Ports { first, last })
    }

    fn rule(self, table: Table) -> Result<Rule, Failure> {
        let mut matches = self.conditions;
        let [from, to] = self.ports;
        match self.protocol {
            Some(protocol) if from.is_none() && to.is_none() && self.icmp_type.is_none() => {
                matches.push(Match::Protocol(protocol));
            }
            Some(protocol) => {
                matches.extend(from.map(|ports| Match::SourcePort(protocol, ports)));
                matches.extend(to.map(|ports| Match::DestinationPort(protocol, ports)));
                matches.extend(self.icmp_type.map(|number| Match::IcmpType(protocol, number)));
            }
            None => {}
        }
        matches.extend(self.states.map(Match::CtState));
        let needs = |option: &str, target: &str| {
            Failure::usage(format!("{target}: option \"{option}\" must be specified\n"))
        };
        let action = match self.target.as_deref() {
            None => Action::Continue,
            Some("ACCEPT") => Action::Accept,
            Some("DROP") => Action::Drop,
            Some("RETURN") => Action::Return,
            Some("REJECT") if table == Table::Filter => Action::Reject,
            Some("MASQUERADE") if table == Table::Nat => Action::Masquerade,
            Some("SNAT") if table == Table::Nat => {
                Action::Snat(self.to_source.ok_or_else(|| needs("--to-source", "SNAT"))?)
            }
            Some("DNAT") if table == Table::Nat => {
                let to = self.to_destination.ok_or_else(|| needs("--to-destination", "DNAT"))?;
                if to.port() != 0 && !matches!(self.protocol, Some(Protocol::Tcp | Protocol::Udp)) {
                    return Err(Failure::usage("Need TCP, UDP, SCTP or DCCP with port specification"));
                }
                Action::Dnat(to)
            }
            Some(target @ ("MASQUERADE" | "SNAT" | "DNAT")) => {
                return Err(Failure::refused(format!("{target} works in the table nat only: `-t nat'")));
            }
            Some(target @ "REJECT") => {
                return Err(Failure::refused(format!("{target} works in the table filter only")));
            }
            Some(target @ ("LOG" | "REDIRECT" | "MARK" | "TCPMSS" | "NETMAP" | "QUEUE" | "TRACE")) => {
                return Err(Failure::usage(format!(
                    "target {target} is not for netyard's stand-in of iptables"
                )));
            }
            Some(chain) => Action::Jump(chain.to_owned()),
        };
        Ok(Rule { matches, counts: true, action })
    }
}

/// Services that are met in lessons (services(5)).
const SERVICES: [(&str, u16); 8] = [
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("https", 443),
    ("http-alt", 8080),
];

fn prefix(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let address: Ipv4Addr = if address == "0" { Ipv4Addr::UNSPECIFIED } else { address.parse().ok()? };
    let length = match length.parse::<u8>() {
        Ok(length) => length,
        Err(_) => ipnet::ipv4_mask_to_prefix(length.parse().ok()?).ok()?,
    };
    Some(IpNet::new(address.into(), length).ok()?.trunc())
}

fn interface(text: &str) -> Result<IfName, Failure> {
    IfName::new(text).map_err(|error| Failure::usage(format!("interface name `{text}': {error}")))
}

fn protocol(text: &str) -> Result<Option<Protocol>, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "all" | "0" => Ok(None),
        "icmp" | "1" => Ok(Some(Protocol::Icmp)),
        "tcp" | "6" => Ok(Some(Protocol::Tcp)),
        "udp" | "17" => Ok(Some(Protocol::Udp)),
        _ => Err(Failure::usage(format!("unknown protocol \"{text}\" specified"))),
    }
}

fn icmp_type(text: &str) -> Result<Option<u8>, Failure> {
    match text {
        "any" => Ok(None),
        "echo-request" | "ping" => Ok(Some(8)),
        "echo-reply" | "pong" => Ok(Some(0)),
        "destination-unreachable" => Ok(Some(3)),
        "time-exceeded" | "ttl-exceeded" => Ok(Some(11)),
        number => number.parse().map(Some).map_err(|_| Failure::usage(format!("Unknown ICMP type `{text}'"))),
    }
}

fn states(text: &str) -> Result<CtStates, Failure> {
    let mut states = CtStates::default();
    for word in text.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "NEW" => states.new = true,
            "ESTABLISHED" => states.established = true,
            "RELATED" => states.related = true,
            "INVALID" => states.invalid = true,
            "UNTRACKED" => states.untracked = true,
            _ => return Err(Failure::usage(format!("Bad ctstate \"{word}\""))),
        }
    }
    Ok(states)
}

fn destination(text: &str) -> Result<SocketAddr, Failure> {
    let bad = || Failure::usage(format!("Bad IP address \"{text}\""));
    let (address, port) = text.split_once(':').unwrap_or((text, "0"));
    let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
    Ok(SocketAddr::new(address.into(), port.parse().map_err(|_| bad())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Result<Order, Failure> {
        order(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn check(text: &str, expected: &str) {
        let order = typed(text).unwrap_or_else(|failure| panic!("{text}: {}", failure.words));
        let said = match &order.task {
            Task::Append(chain, rule) => format!("{chain} {rule}"),
            Task::Insert(chain, at, rule) => format!("{chain} {at} {rule}"),
            other => format!("{other:?}"),
        };
        assert_eq!(format!("{} {said}", order.table.name()), expected, "{text}");
    }

    #[test]
    fn rules_become_those_of_nf_tables() {
        check(
            "--table nat --append POSTROUTING --source 10.0.0.0/24 --jump MASQUERADE",
            "nat POSTROUTING ip saddr 10.0.0.0/24 counter masquerade",
        );
        check(
            "-t nat -A PREROUTING -i ens4 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.1:80",
            "nat PREROUTING iifname \"ens4\" tcp dport 8080 counter dnat ip to 10.0.0.1:80",
        );
        check(
            "-A FORWARD -m state --state ESTABLISHED,RELATED -j ACCEPT",
            "filter FORWARD ct state established,related counter accept",
        );
        check(
            "-I FORWARD 2 ! -o lan -d 1.1.1.1 -j DROP",
            "filter FORWARD 2 oifname != \"lan\" ip daddr 1.1.1.1 counter drop",
        );
        check("-AFORWARD -picmp -jRETURN", "filter FORWARD meta l4proto icmp counter return");
        check(
            "-A FORWARD -p udp --dport 1000:2000 -j MINE",
            "filter FORWARD udp dport 1000-2000 counter jump MINE",
        );
        check("-t nat -F", "nat Flush(None)");
        check("--table nat --flush", "nat Flush(None)");
        check("-P FORWARD DROP", "filter Policy(\"FORWARD\", Drop)");
        check("-nvL FORWARD --line-numbers", "filter List(Some(\"FORWARD\"))");
        check("-D FORWARD 3", "filter DeleteAt(\"FORWARD\", 3)");
    }

    #[test]
    fn wrong_words_are_told() {
        let says = |text: &str, words: &str| {
            let failure = typed(text).unwrap_err();
            assert!(failure.words.contains(words), "{text}: {}", failure.words);
        };
        says("", "no command specified");
        says("-A", "option \"-A\" requires an argument");
        says("-A FORWARD --dport 80 -j ACCEPT", "unknown option \"--dport\"");
        says("-A FORWARD -p tcp --dport foo", "invalid port/service `foo' specified");
        says("-A FORWARD -s 300.1.1.1", "host/network `300.1.1.1' not found");
        says("-t nat -A POSTROUTING -j SNAT", "option \"--to-source\" must be specified");
        says("-A FORWARD -j MASQUERADE", "nat only");
        says("-P FORWARD RETURN", "Bad policy name");
        says("-t mangle -L", "table 'mangle' does not exist");
        says("-L -A FORWARD", "with another command");
        says("-L foo bar", "Bad argument `bar'");
    }
}
