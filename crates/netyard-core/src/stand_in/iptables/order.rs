//! What was typed after `iptables` or `ip6tables`.

use super::draft::Draft;
use super::{Program, Table};
use crate::nft::{Policy, Rule};

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
    /// The exit code: 2 for wrong words, 3 for an unknown table, 1 and 4 for what does not go.
    pub code: u8,
    /// Why.
    pub words: String,
}

impl Failure {
    /// Wrong words.
    #[must_use]
    pub fn usage(words: impl Into<String>) -> Self {
        Self { code: 2, words: words.into() }
    }

    /// Something that does not go.
    #[must_use]
    pub fn refused(words: impl Into<String>) -> Self {
        Self { code: 1, words: words.into() }
    }

    /// All that the program says then.
    #[must_use]
    pub fn text(&self, program: Program) -> String {
        let (name, version, words) = (program.name(), program.version(), &self.words);
        match self.code {
            2 => format!("{version}: {words}\nTry `{name} -h' or '{name} --help' for more information."),
            3 => format!("{version}: {words}"),
            _ => format!("{name}: {words}"),
        }
    }
}

/// Words that were typed, and the next one.
pub(super) struct Words<'a> {
    rest: std::iter::Peekable<std::slice::Iter<'a, String>>,
}

impl Words<'_> {
    pub(super) fn value(&mut self, option: &str) -> Result<String, Failure> {
        let value = self.rest.next().cloned();
        value.ok_or_else(|| Failure::usage(format!("option \"{option}\" requires an argument")))
    }

    /// The next word, unless it begins with a dash or is `!`.
    fn optional(&mut self) -> Option<String> {
        self.rest.next_if(|word| !word.starts_with('-') && *word != "!").cloned()
    }
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
/// What the program says.
pub fn order(program: Program, typed: &[String]) -> Result<Order, Failure> {
    let typed = split_letters(typed);
    let mut words = Words { rest: typed.iter().peekable() };
    let (mut table, mut verb, mut draft) = (Table::Filter, None, Draft::new(program));
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
                            "table '{other}' does not exist\n\
                             netyard's stand-in for {} has the tables filter and nat.",
                            program.name()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Result<Order, Failure> {
        order(Program::Iptables, &text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
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
