//! `lab.dep`: which devices start after which, and `lab.ext`: which networks reach the machine's own.

use super::setting::is_word;
use crate::diagnostic::{Code, Diagnostic, Source, Span};
use std::collections::{BTreeMap, BTreeSet};

/// Reads `lab.dep` as Kathara does: the devices that it names, each after those that it waits for.
///
/// ```
/// use netyard_core::{diagnostic::Source, kathara::dep};
/// let order = dep::order(&Source::new("lab.dep", "r2: r1\npc: r1 r2\n")).unwrap();
/// assert_eq!(order, ["r1", "r2", "pc"]);
/// assert!(dep::order(&Source::new("lab.dep", "a: b\nb: a\n")).is_err());
/// ```
///
/// # Errors
/// Lines that are not understood; devices that wait for each other.
pub fn order(source: &Source) -> Result<Vec<String>, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let mut all: BTreeMap<String, (Vec<String>, Span)> = BTreeMap::new();
    let mut keys = Vec::new();
    for (line, span) in lines(source) {
        match dependencies(line) {
            Some((key, names)) => {
                if all.insert(key.to_owned(), (names, span)).is_none() {
                    keys.push(key.to_owned());
                }
            }
            None => {
                let problem = Diagnostic::new(Code::LabConfSyntax, span).label("not a line of `lab.dep`");
                problems.push(problem.help("`DEVICE: DEVICE DEVICE ...`, names with one blank between them"));
            }
        }
    }
    let mut order = Order { all: &all, done: BTreeSet::new(), on_way: Vec::new(), order: Vec::new() };
    for key in &keys {
        if let Err(circle) = order.visit(key) {
            let span = all.get(key).map_or(Span::default(), |(_, span)| *span);
            let problem =
                Diagnostic::new(Code::DevicesWaitForEachOther, span).label(circle.join(" waits for "));
            problems.push(problem.help("leave one of them out"));
            break;
        }
    }
    if problems.is_empty() { Ok(order.order) } else { Err(problems) }
}

/// Lines that say something, without blanks around them.
fn lines(source: &Source) -> impl Iterator<Item = (&str, Span)> {
    let mut start = 0;
    source.text.split_inclusive('\n').filter_map(move |raw| {
        let begin = start + (raw.len() - raw.trim_start().len());
        start += raw.len();
        let line = raw.trim();
        (!line.is_empty() && !line.starts_with('#')).then(|| (line, Span::new(begin, begin + line.len())))
    })
}

/// `^\w+:\s?(\w+ ?)+$`
fn dependencies(line: &str) -> Option<(&str, Vec<String>)> {
    let (key, rest) = line.split_once(':')?;
    let mut chars = rest.chars();
    let rest = if chars.next().is_some_and(char::is_whitespace) { chars.as_str() } else { rest };
    let rest = rest.strip_suffix(' ').unwrap_or(rest);
    let names: Vec<String> = rest.split(' ').map(str::to_owned).collect();
    (is_word(key) && names.iter().all(|name| is_word(name))).then_some((key, names))
}

struct Order<'a> {
    all: &'a BTreeMap<String, (Vec<String>, Span)>,
    done: BTreeSet<String>,
    on_way: Vec<String>,
    order: Vec<String>,
}

impl Order<'_> {
    /// Puts a device behind those that it waits for.
    ///
    /// # Errors
    /// The devices of a circle.
    fn visit(&mut self, root: &str) -> Result<(), Vec<String>> {
        // With a stack of its own: a file may chain as many devices as it has lines.
        let mut stack = vec![(root.to_owned(), 0)];
        if self.done.contains(root) {
            return Ok(());
        }
        self.on_way.push(root.to_owned());
        while let Some((name, next)) = stack.last_mut() {
            let before = self.all.get(name.as_str()).and_then(|(names, _)| names.get(*next));
            *next += 1;
            match before {
                Some(before) if self.on_way.contains(before) => {
                    let from = self.on_way.iter().position(|name| name == before).unwrap_or(0);
                    let circle = self.on_way[from..].iter().chain([before]).cloned();
                    return Err(circle.collect());
                }
                Some(before) if self.done.contains(before) => {}
                Some(before) => {
                    self.on_way.push(before.clone());
                    stack.push((before.clone(), 0));
                }
                None => {
                    let name = std::mem::take(name);
                    stack.pop();
                    self.on_way.pop();
                    self.done.insert(name.clone());
                    self.order.push(name);
                }
            }
        }
        Ok(())
    }
}

/// Each connection to the machine's network that `lab.ext` asks for, as the problem that it is here: a lab has none.
#[must_use]
pub fn external(source: &Source) -> Vec<Diagnostic> {
    let problem = |(line, span): (&str, Span)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (label, help) = match words.as_slice() {
            [domain, nic] if is_external(domain, nic) => (
                format!("`{domain}` is to be on the machine's interface `{nic}`"),
                "a lab here has no part in the machine's own network: remove `lab.ext`, or use a lab file with a node of kind \
                 `host`",
            ),
            _ => (
                "not a line of `lab.ext`".to_owned(),
                "`CD INTERFACE[.VLAN]`; and a lab here has no part in the machine's own network: remove `lab.ext`",
            ),
        };
        Diagnostic::new(Code::ExternalDomain, span).label(label).help(help)
    };
    lines(source).map(problem).collect()
}

/// `^(\w+)\s+(\w+)(\.\d+)?$` with a VLAN from 1 to 4094.
fn is_external(domain: &str, nic: &str) -> bool {
    let (name, vlan) = nic.split_once('.').map_or((nic, None), |(name, vlan)| (name, Some(vlan)));
    let is_vlan = |text: &str| text.parse::<u16>().is_ok_and(|id| (1..=4094).contains(&id));
    is_word(domain) && is_word(name) && vlan.is_none_or(is_vlan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_taken_and_refused_as_kathara_does() {
        let is_taken = |text: &str| order(&Source::new("lab.dep", text)).is_ok();
        for text in ["a: b", "a:b c", "a: b c ", "# x\n\n  a: b\r\n", "", "a: b\na: c", "a: b\nb: c"] {
            assert!(is_taken(text), "{text:?}");
        }
        for text in ["a:", "a:  b", "a: b  c", "a b", "a-b: c", "a: a", "a: b\nb: c\nc: a", "a: b,c"] {
            assert!(!is_taken(text), "{text:?}");
        }
    }

    #[test]
    fn a_circle_is_named() {
        let problems = order(&Source::new("lab.dep", "x: a\na: b\nb: c\nc: a\n")).unwrap_err();
        assert_eq!(problems[0].label, "a waits for b waits for c waits for a");
    }

    #[test]
    fn each_line_of_lab_ext_is_a_problem_with_its_place() {
        let source = Source::new("lab.ext", "# to the world\nA eth0\nB enp9s0.20\nC <NIC>\n");
        let problems = external(&source);
        let lines: Vec<u32> =
            problems.iter().map(|p| source.line_and_column(p.span.unwrap().start).0).collect();
        assert_eq!(lines, [2, 3, 4]);
        assert!(problems[0].label.contains("`eth0`"));
        assert!(problems[2].label.contains("not a line"));
    }
}
