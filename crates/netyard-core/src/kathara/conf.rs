//! `lab.conf`: devices, their interfaces and options.

use super::setting::{self, Setting, integer, is_word};
use crate::diagnostic::{Code, Diagnostic, Severity, Source, Span};
use crate::mac::Mac;
use std::collections::BTreeMap;

/// Something with the place where it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// What it is.
    pub value: T,
    /// Where it is.
    pub span: Span,
}

/// What `lab.conf` says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Conf {
    /// `LAB_NAME`, `LAB_AUTHOR` and their like.
    pub metadata: BTreeMap<String, At<String>>,
    /// Devices in the order in which they are mentioned first.
    pub devices: Vec<Device>,
}

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Where it is mentioned first.
    pub span: Span,
    /// Interfaces by number, from 0 without gaps.
    pub interfaces: Vec<Interface>,
    /// Options in the order of the file; of those that do not add up the last one only.
    pub settings: Vec<At<Setting>>,
}

/// An interface of a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Interface {
    /// N of `ethN`.
    pub number: i64,
    /// The collision domain that it is on.
    pub domain: String,
    /// Its Ethernet address, where one is given.
    pub mac: Option<Mac>,
    /// Where it is written.
    pub span: Span,
}

/// The words of `lab.conf` about the lab itself.
pub const METADATA: [&str; 6] =
    ["LAB_NAME", "LAB_DESCRIPTION", "LAB_VERSION", "LAB_AUTHOR", "LAB_EMAIL", "LAB_WEB"];
/// Names that no device may have.
const RESERVED: [&str; 2] = ["shared", "_test"];
/// Most bytes of a device's name.
const NAME_LEN_MAX: usize = 30;

impl Device {
    pub(super) fn new(name: &str, span: Span) -> Self {
        Self { name: name.to_owned(), span, interfaces: Vec::new(), settings: Vec::new() }
    }

    /// The last setting that `pick` takes.
    pub fn last<T>(&self, pick: impl Fn(&Setting) -> Option<T>) -> Option<At<T>> {
        self.settings.iter().rev().find_map(|at| Some(At { value: pick(&at.value)?, span: at.span }))
    }

    /// Whether it reaches out of the lab.
    #[must_use]
    pub fn is_bridged(&self) -> bool {
        self.last(|s| if let Setting::Bridged(is_so) = s { Some(*is_so) } else { None })
            .is_some_and(|at| at.value)
    }

    /// Its image, where one is given.
    #[must_use]
    pub fn image(&self) -> Option<At<&str>> {
        let at = self.settings.iter().rev().find(|at| matches!(at.value, Setting::Image(_)))?;
        let Setting::Image(image) = &at.value else { return None };
        Some(At { value: image, span: at.span })
    }
}

/// Reads `lab.conf` as Kathara 3.8.3 does.
///
/// ```
/// use netyard_core::{diagnostic::Source, kathara::conf};
/// let text = "pc1[0]=\"A\"\npc1[image]=\"kathara/base\"  # any\nr1[0]=A/02:00:00:00:00:01\n";
/// let (conf, warnings) = conf::parse(&Source::new("lab.conf", text)).unwrap();
/// assert_eq!(conf.devices[1].interfaces[0].domain, "A");
/// assert!(warnings.is_empty());
/// assert!(conf::parse(&Source::new("lab.conf", "PC1[0]=A\n")).is_err());
/// ```
///
/// # Errors
/// Every problem of the text, warnings included, if one of them is an error: then Kathara takes it no more than we do.
pub fn parse(source: &Source) -> Result<(Conf, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut reader = Reader { conf: Conf::default(), problems: Vec::new(), late: BTreeMap::new() };
    if source.text.is_empty() {
        let help = "a line such as `pc1[0]=\"A\"` for each interface";
        return Err(vec![Diagnostic::new(Code::EmptyFile, Span::new(0, 0)).help(help)]);
    }
    let mut start = 0;
    for line in source.text.split_inclusive('\n') {
        reader.line(line, start);
        start += line.len();
    }
    reader.end();
    let Reader { conf, mut problems, .. } = reader;
    problems.sort_by_key(|problem| problem.span);
    match problems.iter().any(|problem| problem.severity == Severity::Error) {
        true => Err(problems),
        false => Ok((conf, problems)),
    }
}

struct Reader {
    conf: Conf,
    problems: Vec<Diagnostic>,
    /// Faults of options that count only if nothing overwrites them, by device and option.
    late: BTreeMap<(String, String), Diagnostic>,
}

/// A line of the form `KEY[ARG]=VALUE`.
struct Assignment<'a> {
    key: &'a str,
    arg: &'a str,
    value: &'a str,
    /// Bytes of the line before the value.
    value_start: usize,
}

/// Takes a line apart: `^KEY\[ARG\]=(["']?)VALUE\3(\s+#.*)?$`, the longest value first.
fn assignment(line: &str) -> Option<Assignment<'_>> {
    let (key, rest) = line.split_once('[')?;
    let is_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if key.is_empty() || key.len() > NAME_LEN_MAX || !key.chars().all(is_key) {
        return None;
    }
    let (arg, rest) = rest.split_once(']')?;
    let rest = rest.strip_prefix('=')?;
    if !is_word(arg) {
        return None;
    }
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let text = &rest[quote.map_or(0, char::len_utf8)..];
    let longest = text.find(['"', '\'']).unwrap_or(text.len());
    let ends = (1..=longest).rev().filter(|end| text.is_char_boundary(*end));
    let fits = |end: &usize| match quote {
        Some(quote) => text[*end..].strip_prefix(quote).is_some_and(ends_line),
        None => ends_line(&text[*end..]),
    };
    let end = ends.into_iter().find(fits)?;
    Some(Assignment { key, arg, value: &text[..end], value_start: line.len() - text.len() })
}

/// Whether nothing follows, or blanks and a comment.
fn ends_line(rest: &str) -> bool {
    let after = rest.trim_start();
    rest.is_empty() || (after.len() < rest.len() && after.starts_with('#'))
}

impl Reader {
    fn problem(&mut self, code: Code, span: Span, label: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Diagnostic::new(code, span).label(label).help(help));
    }

    fn line(&mut self, raw: &str, start: usize) {
        let line = raw.trim();
        let start_of_text = start + (raw.len() - raw.trim_start().len());
        let span = Span::new(start_of_text, start_of_text + line.len());
        match assignment(line) {
            Some(found) => self.assign(&found, span),
            None if raw.starts_with('#') || line.is_empty() => {}
            None => match METADATA
                .iter()
                .find(|word| raw.strip_prefix(**word).is_some_and(|r| r.starts_with('=')))
            {
                Some(word) => self.metadata(word, line, span),
                None => self.not_understood(line, span),
            },
        }
    }

    fn metadata(&mut self, word: &str, line: &str, span: Span) {
        let value = &line[word.len() + 1..];
        if let Some(at) = value.find('=') {
            let place = Span::new(span.start + word.len() + 1 + at, span.start + word.len() + 2 + at);
            let help = "Kathara splits the line at every `=`, and ends with an error where there are two";
            self.problem(Code::LabConfSyntax, place, "a second `=`", help);
            return;
        }
        let value = value.replace(['"', '\''], "").trim().to_owned();
        self.conf.metadata.insert(word.to_owned(), At { value, span });
    }

    fn assign(&mut self, found: &Assignment<'_>, span: Span) {
        let key = Span::new(span.start, span.start + found.key.len());
        if RESERVED.contains(&found.key) {
            let label = format!("`{}` is a reserved name", found.key);
            self.problem(Code::BadDeviceName, key, label, "take another name for the device");
            return;
        }
        let start = span.start + found.value_start;
        let value = Span::new(start, start + found.value.len());
        match integer(found.arg) {
            Some(number) => self.interface(found, number, span, value),
            None => self.setting(found, span, value),
        }
    }

    fn device(&mut self, name: &str, span: Span) -> &mut Device {
        let at = self.conf.devices.iter().position(|device| device.name == name).unwrap_or_else(|| {
            self.conf.devices.push(Device::new(name, Span::new(span.start, span.start + name.len())));
            self.conf.devices.len() - 1
        });
        &mut self.conf.devices[at]
    }

    fn interface(&mut self, found: &Assignment<'_>, number: i64, span: Span, value: Span) {
        let (domain, mac) = match domain_and_mac(found.value) {
            Ok(found) => found,
            Err((reason, help)) => {
                let is_mac = reason.contains("Ethernet address");
                let code = if is_mac { Code::BadMac } else { Code::BadCollisionDomain };
                self.problem(code, value, reason, help);
                self.device(found.key, span);
                return;
            }
        };
        let name = found.key;
        let device = self.device(name, span);
        let taken = |other: &&Interface| other.number == number || other.domain == domain;
        let problem = device.interfaces.iter().find(taken).map(|other| {
            let (label, help) = match other.number == number {
                true => (
                    format!("interface {number} of `{name}` again"),
                    "each interface of a device has a number of its own",
                ),
                false => {
                    (format!("`{name}` is on `{domain}` already"), "a device is on a collision domain once")
                }
            };
            Diagnostic::new(Code::BadDeviceInterfaces, span)
                .label(label)
                .related(other.span, "first here")
                .help(help)
        });
        match problem {
            Some(problem) => self.problems.push(problem),
            None => device.interfaces.push(Interface { number, domain, mac, span }),
        }
    }

    fn setting(&mut self, found: &Assignment<'_>, span: Span, value: Span) {
        let (name, option) = (found.key, found.arg);
        let read = setting::read(option, found.value);
        if !setting::NAMES.contains(&option) {
            let known = setting::NAMES.join(", ");
            let label = format!("Kathara keeps `{option}` and does nothing with it");
            self.problem(Code::UnknownDeviceOption, span, label, format!("it knows {known}"));
        }
        let key = (name.to_owned(), option.to_owned());
        let is_late = setting::is_read_late(option);
        if is_late {
            self.late.remove(&key);
        }
        let device = self.device(name, span);
        let same = |at: &At<Setting>| read.as_ref().is_ok_and(|new| overwrites(option, new, &at.value));
        let before = device.settings.iter().position(same).map(|at| device.settings.remove(at));
        match read {
            Ok(setting) => device.settings.push(At { value: setting, span }),
            Err(fault) => {
                let problem =
                    Diagnostic::new(Code::BadDeviceOption, value).label(fault.reason).help(fault.help);
                match is_late {
                    true => drop(self.late.insert(key, problem)),
                    false => self.problems.push(problem),
                }
            }
        }
        if let Some(before) = before {
            let problem =
                Diagnostic::new(Code::OptionTwice, span).label(format!("`{option}` of `{name}` again"));
            self.problems
                .push(problem.related(before.span, "this does not count").help("the last one counts"));
        }
    }

    fn end(&mut self) {
        self.problems.extend(std::mem::take(&mut self.late).into_values());
        for device in &mut self.conf.devices {
            device.interfaces.sort_by_key(|interface| interface.number);
            let numbers = device.interfaces.iter().zip(0..);
            if let Some((interface, missing)) =
                numbers.into_iter().find(|(i, expected)| i.number != *expected)
            {
                let label = format!("interface {missing} of `{}` is missing", device.name);
                let problem = Diagnostic::new(Code::BadDeviceInterfaces, interface.span).label(label);
                self.problems.push(problem.help("interfaces are numbered from 0 without gaps"));
            }
        }
    }

    /// Says what is wrong with a line that is neither an assignment nor a comment.
    fn not_understood(&mut self, line: &str, span: Span) {
        let (label, help) = reason(line);
        let code = if label.contains("name") { Code::BadDeviceName } else { Code::LabConfSyntax };
        self.problem(code, span, label, help);
    }
}

/// Reads `CD` or `CD/MAC`.
///
/// # Errors
/// What is wrong, and what would be right.
pub(super) fn domain_and_mac(text: &str) -> Result<(String, Option<Mac>), (&'static str, &'static str)> {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let (domain, mac) = match (text.contains('/'), parts.as_slice()) {
        (false, _) => (text, None),
        (true, [domain, mac]) => (*domain, Some(*mac)),
        (true, _) => {
            let help = "`CD` or `CD/MAC`, for example `A/02:00:00:00:00:01`";
            return Err(("neither a collision domain nor one with an address", help));
        }
    };
    if !is_word(domain) {
        let help = "letters, digits and `_`; behind an unquoted value no comment may stand";
        return Err(("not the name of a collision domain", help));
    }
    let Some(mac) = mac else { return Ok((domain.to_owned(), None)) };
    match mac.parse::<Mac>() {
        Ok(mac) if mac.is_group() => {
            Err(("an Ethernet address of a group", "make the second digit even: `02:00:00:00:00:01`"))
        }
        Ok(mac) => Ok((domain.to_owned(), Some(mac))),
        Err(_) => Err(("not an Ethernet address", "six pairs of hexadecimal digits with `:`")),
    }
}

/// Whether a setting takes the place of one before it.
fn overwrites(option: &str, new: &Setting, old: &Setting) -> bool {
    match (new, old) {
        (Setting::Sysctl(new, _), Setting::Sysctl(old, _)) | (Setting::Env(new, _), Setting::Env(old, _)) => {
            new == old
        }
        (Setting::Port(new), Setting::Port(old)) => (new.host, &new.protocol) == (old.host, &old.protocol),
        (Setting::Ulimit(new, ..), Setting::Ulimit(old, ..)) => new == old,
        (Setting::Volume(new), Setting::Volume(old)) => new.host == old.host,
        (Setting::Unknown(new), Setting::Unknown(old)) => new == old,
        _ => !setting::adds_up(option) && std::mem::discriminant(new) == std::mem::discriminant(old),
    }
}

/// What is wrong with a line, and what to do.
fn reason(line: &str) -> (&'static str, &'static str) {
    let form = "`DEVICE[N]=\"CD\"`, `DEVICE[OPTION]=\"VALUE\"`, a comment, or LAB_NAME, LAB_DESCRIPTION, LAB_VERSION, \
                LAB_AUTHOR, LAB_EMAIL, LAB_WEB with `=`";
    if line.starts_with('\u{feff}') {
        return ("a byte order mark", "save the file as UTF-8 without byte order mark");
    }
    if line.starts_with('#') {
        return ("blanks before `#`", "a comment begins in the first column");
    }
    let (Some((key, rest)), true) = (line.split_once('['), line.contains("]")) else {
        return ("not a line of `lab.conf`", form);
    };
    if key.len() > NAME_LEN_MAX {
        return ("the device's name is longer than 30 letters", "shorten it");
    }
    if key.contains(|c: char| c.is_ascii_uppercase()) {
        return ("a device's name has no capital letters", "small letters, digits and `_`");
    }
    if key.trim_end() != key {
        return ("a blank before `[`", "no blanks stand before `=`");
    }
    if !key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        return ("not a device's name", "small letters, digits and `_`");
    }
    let (arg, rest) = rest.split_once(']').unwrap_or(("", rest));
    if !is_word(arg) {
        return ("neither a number nor the word of an option between `[` and `]`", form);
    }
    if rest.trim_start().starts_with('=') && !rest.starts_with('=')
        || rest.starts_with("= ") && rest.contains(['"', '\''])
    {
        return ("blanks beside `=`", "no blanks stand beside `=`");
    }
    match rest.strip_prefix('=') {
        None => ("`=` is missing", form),
        Some("" | "\"\"" | "''") => ("the value is missing", form),
        Some(value) if value.contains(['"', '\'']) => (
            "quotes inside of the value, or not the same at both ends",
            "a value has no quotes in it, and one kind around it",
        ),
        Some(_) => ("the value is not understood", form),
    }
}

#[cfg(test)]
mod tests;
