//! Typed values from a tree. Each reader reports what is wrong and returns `None`; the caller goes on.

use super::quantity;
use super::suggest::{nearest, one_of};
use super::syntax::{At, Word};
use super::tree::{Entry, Tree, Value};
use crate::diagnostic::{Code, Diagnostic, Severity, Span};
use crate::mac::Mac;
use crate::name::{IFNAME_LEN_MAX, IfName, NameError};
use ipnet::IpNet;
use std::net::IpAddr;

/// Problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Diagnostic>,
    errors: usize,
}

/// The keys of a map, asked for one by one; what nobody asked for is unknown.
pub(crate) struct Fields<'t> {
    pub span: Span,
    entries: &'t [Entry],
    known: Vec<&'static str>,
    missing: Vec<Diagnostic>,
}

impl<'t> Fields<'t> {
    /// The value of a key.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<&'t Tree> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key with its place and value.
    pub(crate) fn entry(&mut self, key: &'static str) -> Option<&'t Entry> {
        self.known.push(key);
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// A value that has been asked for before.
    pub(crate) fn peek(&self, key: &str) -> Option<&'t Tree> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// The value of whichever key of a pair is given; both is a problem.
    pub(crate) fn either(
        &mut self,
        a: &'static str,
        b: &'static str,
        problems: &mut Problems,
    ) -> Option<&'t Tree> {
        match (self.entry(a), self.entry(b)) {
            (Some(first), Some(second)) => {
                problems.exclude(first, second);
                Some(&first.value)
            }
            (first, second) => first.or(second).map(|entry| &entry.value),
        }
    }

    /// How many values the map holds.
    pub(crate) fn weight(&self) -> usize {
        self.entries.iter().map(|entry| entry.value.weight()).sum::<usize>() + 1
    }

    /// Reports the keys that nobody asked for and that are near one of some words; says whether there was one.
    pub(crate) fn report_misspelt(&self, words: &[&'static str], problems: &mut Problems) -> bool {
        let unknown = self.entries.iter().filter(|entry| !self.known.contains(&entry.key.as_str()));
        let misspelt: Vec<&Entry> =
            unknown.filter(|entry| nearest(&entry.key, words.iter().copied()).is_some()).collect();
        misspelt.iter().for_each(|entry| problems.unknown_key(&entry.key, entry.key_span, words, None));
        !misspelt.is_empty()
    }

    /// Notes that a key is missing. An unknown key in its place is probably it, misspelt: then only that is reported.
    pub(crate) fn missing(&mut self, key: &str, span: Span, help: &str) {
        let problem = Diagnostic::new(Code::MissingKey, span).label(format!("no `{key}`"));
        self.missing.push(problem.help(help));
    }

    /// Reports the keys that nobody asked for.
    pub(crate) fn finish(self, problems: &mut Problems) {
        let mut has_unknown = false;
        // The last key that belongs here, while it has no value: what follows may be meant to.
        let mut empty: Option<&str> = None;
        for entry in self.entries {
            if self.known.contains(&entry.key.as_str()) {
                empty = matches!(entry.value.value, Value::Null).then_some(&entry.key);
            } else {
                has_unknown = true;
                problems.unknown_key(&entry.key, entry.key_span, &self.known, empty);
            }
        }
        if !has_unknown {
            self.missing.into_iter().for_each(|problem| problems.push(problem));
        }
    }
}

/// The items of a list, or a single value as a list of one.
pub(crate) fn one_or_many(tree: &Tree) -> &[Tree] {
    match &tree.value {
        Value::List(items) => items,
        _ => std::slice::from_ref(tree),
    }
}

impl Problems {
    pub(crate) fn push(&mut self, problem: Diagnostic) {
        self.errors += usize::from(problem.severity == Severity::Error);
        self.list.push(problem);
    }

    /// Adds a problem if there is one.
    pub(crate) fn extend(&mut self, problem: Option<Diagnostic>) {
        if let Some(problem) = problem {
            self.push(problem);
        }
    }

    /// How many errors there are so far.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    pub(crate) fn into_list(self) -> Vec<Diagnostic> {
        self.list
    }

    /// Reports a key that nobody knows; `empty` is a key before it that has no value, where there is one.
    pub(crate) fn unknown_key(&mut self, key: &str, span: Span, known: &[&'static str], empty: Option<&str>) {
        let problem = Diagnostic::new(Code::UnknownKey, span).label(format!("no key `{key}` belongs here"));
        self.push(match (nearest(key, known.iter().copied()), empty) {
            (Some(near), _) => problem.help(format!("did you mean `{near}`?")),
            (None, Some(empty)) => {
                problem.help(format!("if it belongs to `{empty}`, indent it further than that"))
            }
            (None, None) => problem.help(format!("known here: {}", known.join(", "))),
        });
    }

    pub(crate) fn exclude(&mut self, first: &Entry, second: &Entry) {
        let label = format!("`{}` and `{}` say the same thing", first.key, second.key);
        let problem = Diagnostic::new(Code::KeysExclude, second.key_span).label(label);
        self.push(problem.related(first.key_span, "given here").help("keep one of them"));
    }

    pub(crate) fn wrong_type(&mut self, tree: &Tree, wanted: &str) {
        let label = format!("this is {}; {wanted} is needed", tree.kind());
        let problem = Diagnostic::new(Code::WrongType, tree.span).label(label);
        let is_map_wanted = wanted.contains("a map");
        self.push(match &tree.value {
            Value::Scalar { text, is_quoted: false } if is_map_wanted && lacks_space(text) => {
                problem.help(SPACE_AFTER_COLON)
            }
            _ => problem,
        });
    }

    /// A map.
    pub(crate) fn fields<'t>(&mut self, tree: &'t Tree, wanted: &str) -> Option<Fields<'t>> {
        match &tree.value {
            Value::Map(entries) => {
                Some(Fields { span: tree.span, entries, known: Vec::new(), missing: Vec::new() })
            }
            _ => {
                self.wrong_type(tree, wanted);
                None
            }
        }
    }

    /// The entries of a map whose keys are free; nothing is an empty map.
    pub(crate) fn entries<'t>(&mut self, tree: &'t Tree, wanted: &str) -> &'t [Entry] {
        match &tree.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            _ => {
                self.wrong_type(tree, wanted);
                &[]
            }
        }
    }

    /// Any scalar as it was written.
    pub(crate) fn text<'t>(&mut self, tree: &'t Tree, wanted: &str) -> Option<&'t str> {
        match &tree.value {
            Value::Scalar { text, .. } => Some(text),
            _ => {
                self.wrong_type(tree, wanted);
                None
            }
        }
    }

    /// A scalar with its place.
    pub(crate) fn word(&mut self, tree: &Tree, wanted: &str) -> Option<Word> {
        self.text(tree, wanted).map(|text| At::new(text.to_owned(), tree.span))
    }

    /// One scalar or a list of them.
    pub(crate) fn words(&mut self, tree: &Tree, wanted: &str) -> Vec<Word> {
        one_or_many(tree).iter().filter_map(|item| self.word(item, wanted)).collect()
    }

    /// One scalar or a list of them, but not an empty one: that would not mean nobody, but everybody.
    pub(crate) fn some_words(&mut self, tree: &Tree, wanted: &str) -> Vec<Word> {
        if matches!(&tree.value, Value::List(items) if items.is_empty()) {
            let label = format!("this list is empty; {wanted} is needed");
            self.push(Diagnostic::new(Code::WrongType, tree.span).label(label));
        }
        self.words(tree, wanted)
    }

    /// One of some words.
    pub(crate) fn choice<T: Copy>(&mut self, tree: &Tree, choices: &[(&str, T)]) -> Option<T> {
        let names = || choices.iter().map(|(name, _)| *name);
        let text = self.text(tree, &one_of(names()))?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let problem = Diagnostic::new(Code::UnknownWord, tree.span).label(format!("not {}", one_of(names())));
        self.push(match nearest(text, names()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
        None
    }

    /// A switch: true, yes, on or false, no, off.
    pub(crate) fn switch(&mut self, tree: &Tree) -> Option<bool> {
        let text = self.text(tree, "`true` or `false`")?;
        let is_on = as_switch(text);
        if is_on.is_none() {
            let label = "neither `true`, `yes`, `on` nor `false`, `no`, `off`";
            self.push(Diagnostic::new(Code::UnknownWord, tree.span).label(label));
        }
        is_on
    }

    /// A whole number.
    pub(crate) fn number<T: TryFrom<u64>>(&mut self, tree: &Tree, min: u64, max: u64) -> Option<T> {
        let wanted = format!("a number from {min} to {max}");
        let text = self.text(tree, &wanted)?;
        let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = if is_plain { text.parse().ok().filter(|n| (min..=max).contains(n)) } else { None };
        let number = number.and_then(|n: u64| T::try_from(n).ok());
        if number.is_none() {
            self.push(Diagnostic::new(Code::BadNumber, tree.span).label(format!("not {wanted}")));
        }
        number
    }

    fn quantity<T>(&mut self, tree: &Tree, read: impl Fn(&str) -> Option<T>, example: &str) -> Option<T> {
        let text = self.text(tree, example)?;
        let value = read(text);
        if value.is_none() {
            let problem = Diagnostic::new(Code::BadQuantity, tree.span).label(format!("not {example}"));
            let is_bare = text.parse::<f64>().is_ok();
            self.push(if is_bare { problem.help("write the unit behind the number") } else { problem });
        }
        value
    }

    /// Reports a quantity that is one, but not in range.
    fn out_of_range(&mut self, tree: &Tree, label: &str) {
        self.push(Diagnostic::new(Code::BadQuantity, tree.span).label(label));
    }

    pub(crate) fn rate(&mut self, tree: &Tree) -> Option<u64> {
        if let Value::Scalar { text, .. } = &tree.value
            && let Some(flaw) = quantity::flaw_of_rate(text)
        {
            self.out_of_range(tree, flaw);
            return None;
        }
        self.quantity(tree, quantity::rate_bit_per_s, "a rate such as `10mbit`, `500kbit` or `1gbit`")
    }

    pub(crate) fn bytes(&mut self, tree: &Tree) -> Option<u32> {
        let read = |text: &str| quantity::bytes(text).and_then(|n| u32::try_from(n).ok());
        self.quantity(tree, read, "a size such as `1540` or `32kb`")
    }

    pub(crate) fn time_us(&mut self, tree: &Tree) -> Option<u32> {
        let read = |text: &str| quantity::time_us(text).and_then(|n| u32::try_from(n).ok());
        self.quantity(tree, read, "a time such as `10ms`, `200us` or `1s`, up to 4000 s")
    }

    pub(crate) fn percent(&mut self, tree: &Tree) -> Option<f64> {
        self.quantity(tree, quantity::percent, "a share from `0%` to `100%`")
    }

    pub(crate) fn address(&mut self, tree: &Tree) -> Option<IpAddr> {
        let text = self.text(tree, "an address such as `10.0.0.1`")?;
        let address = text.parse().ok();
        if address.is_none() {
            self.push(bad_address(text, tree.span));
        }
        address
    }

    /// A prefix as written, host bits kept; an address alone has its full length.
    pub(crate) fn prefix_or_address(&mut self, text: &str, span: Span) -> Option<IpNet> {
        let net = as_prefix(text);
        if net.is_none() {
            self.push(bad_prefix(text, span));
        }
        net
    }

    /// A prefix without host bits.
    pub(crate) fn prefix(&mut self, tree: &Tree) -> Option<IpNet> {
        let text = self.text(tree, "a prefix such as `10.0.0.0/24`")?;
        let Some(net) = text.parse::<IpNet>().ok() else {
            self.push(bad_prefix(text, tree.span));
            return None;
        };
        self.without_host_bits(net, tree.span)
    }

    pub(crate) fn without_host_bits(&mut self, net: IpNet, span: Span) -> Option<IpNet> {
        if net == net.trunc() {
            return Some(net);
        }
        let label = format!("bits behind the first {} are set", net.prefix_len());
        let help = format!("the prefix is `{}`", net.trunc());
        self.push(Diagnostic::new(Code::HostBits, span).label(label).help(help));
        None
    }

    pub(crate) fn mac(&mut self, tree: &Tree) -> Option<Mac> {
        let text = self.text(tree, "an Ethernet address")?;
        let mac: Option<Mac> = text.parse().ok();
        let label = match mac {
            None => "not six pairs of hexadecimal digits with colons",
            Some(mac) if mac.is_group() => "the lowest bit of the first byte is set: this names a group",
            Some(mac) if mac.0 == [0; 6] => "all zero",
            Some(_) => return mac,
        };
        let help = "for example `02:00:00:00:00:01`";
        self.push(Diagnostic::new(Code::BadMac, tree.span).label(label).help(help));
        None
    }

    pub(crate) fn ifname(&mut self, tree: &Tree) -> Option<At<IfName>> {
        let text = self.text(tree, "an interface name")?;
        self.ifname_of(text, tree.span)
    }

    pub(crate) fn ifname_of(&mut self, text: &str, span: Span) -> Option<At<IfName>> {
        let error = match IfName::new(text) {
            Ok(_) if text == "lo" => NameError::Reserved,
            Ok(name) => return Some(At::new(name, span)),
            Err(error) => error,
        };
        self.push(match error {
            NameError::TooLong { len, max } => {
                let help = match short_ifname(text) {
                    Some(short) => format!("use a shorter name, for example `{short}`"),
                    None => "use a shorter name".to_owned(),
                };
                Diagnostic::new(Code::InterfaceNameTooLong, span)
                    .label(format!("{len} bytes; the kernel allows {max} (IFNAMSIZ)"))
                    .help(help)
            }
            error => Diagnostic::new(Code::BadInterfaceName, span).label(error.to_string()),
        });
        None
    }
}

/// The beginning of a text as an interface name: its ASCII characters, else as many characters as fit.
fn short_ifname(text: &str) -> Option<IfName> {
    let ascii: String = text.chars().filter(char::is_ascii_graphic).take(10).collect();
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.take_while(|end| *end <= IFNAME_LEN_MAX).last().unwrap_or(0);
    IfName::new(&ascii).or_else(|_| IfName::new(&text[..end])).ok()
}

/// What to do about `lab:x`, which is one word in YAML.
pub(crate) const SPACE_AFTER_COLON: &str = "a space is needed after the colon of a key";

/// Whether a text begins as `key:value` does.
pub(crate) fn lacks_space(text: &str) -> bool {
    let Some((key, rest)) = text.trim_start().split_once(':') else { return false };
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    is_key && rest.starts_with(|c: char| !c.is_whitespace() && c != '/' && c != ':')
}

/// A switch in any of the spellings of YAML.
pub(crate) fn as_switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => Some(true),
        "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A prefix, or an address with its full length.
pub(crate) fn as_prefix(text: &str) -> Option<IpNet> {
    text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

pub(crate) fn bad_address(text: &str, span: Span) -> Diagnostic {
    let problem = Diagnostic::new(Code::BadAddress, span).label(flaw_of_address(text));
    match text.split_once('/') {
        Some((address, _)) if address.parse::<IpAddr>().is_ok() => problem.help(format!("write `{address}`")),
        _ => problem,
    }
}

pub(crate) fn bad_prefix(text: &str, span: Span) -> Diagnostic {
    let problem = Diagnostic::new(Code::BadPrefix, span);
    let Some((address, len)) = text.split_once('/') else {
        return match text.parse::<IpAddr>() {
            Ok(_) => problem.label("no length").help(format!("write the length, for example `{text}/24`")),
            Err(_) => problem.label(flaw_of_address(text)).help("a prefix looks like `10.0.0.0/24`"),
        };
    };
    match address.parse::<IpAddr>() {
        Err(_) => problem.label(flaw_of_address(address)),
        Ok(address) => {
            let max = if address.is_ipv4() { 32 } else { 128 };
            problem.label(format!("the length `{len}` is not a number from 0 to {max}"))
        }
    }
}

/// What keeps a text from being an address.
fn flaw_of_address(text: &str) -> String {
    let parts: Vec<&str> = text.split('.').collect();
    let is_numeric = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    if text.contains('/') {
        return "an address alone is needed here, without a length".to_owned();
    }
    if !is_numeric || parts.len() < 2 {
        return "neither an IPv4 nor an IPv6 address".to_owned();
    }
    if let Some(part) = parts.iter().find(|part| part.parse::<u16>().is_ok_and(|n| n > 255)) {
        return format!("`{part}` is more than 255");
    }
    if let Some(part) = parts.iter().find(|part| part.len() > 1 && part.starts_with('0')) {
        return format!("`{part}` has a leading zero, which some programs read as octal");
    }
    format!("{} of 4 numbers", parts.len())
}
