//! Ranges in names: `h[1-100]`, `h[01-10]`, `r[1,3,5-7]p[1-2]`.

use super::read::Problems;
use super::suggest::nearest;
use super::syntax::Word;
use crate::diagnostic::{Code, Diagnostic, Span};

/// Most nodes of a lab, and most names that one range makes.
pub(crate) const NODES_MAX: usize = 10_000;

/// The names that a text stands for: one, or those of its ranges in order. A bad range is reported and stands for none.
pub(crate) fn names(word: &Word, problems: &mut Problems) -> Vec<String> {
    if !word.value.contains('[') {
        return vec![word.value.clone()];
    }
    match expand(&word.value) {
        Ok(names) => names,
        Err(flaw) => {
            problems.push(flaw.problem(word.span));
            Vec::new()
        }
    }
}

/// Why a text with brackets is not a range.
#[derive(Debug, PartialEq, Eq)]
enum Flaw {
    NotARange(String),
    TooMany,
}

impl Flaw {
    fn problem(self, span: Span) -> Diagnostic {
        match self {
            Self::NotARange(label) => {
                let help = "a range looks like `h[1-10]`, `h[01-10]` or `h[1,3,5-7]`";
                Diagnostic::new(Code::BadRange, span).label(label).help(help)
            }
            Self::TooMany => {
                let label = format!("more than {NODES_MAX} names");
                Diagnostic::new(Code::TooManyNodes, span).label(label)
            }
        }
    }
}

fn expand(text: &str) -> Result<Vec<String>, Flaw> {
    let mut names = vec![String::new()];
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let unclosed = || Flaw::NotARange("a `[` without `]`".to_owned());
        let (inside, after) = after.split_once(']').ok_or_else(unclosed)?;
        let numbers = numbers(inside)?;
        if names.len() * numbers.len() > NODES_MAX {
            return Err(Flaw::TooMany);
        }
        let with = |name: &String| {
            let name = format!("{name}{before}");
            numbers.iter().map(move |number| format!("{name}{number}")).collect::<Vec<_>>()
        };
        names = names.iter().flat_map(with).collect();
        rest = after;
    }
    if rest.contains(']') {
        return Err(Flaw::NotARange("a `]` without `[`".to_owned()));
    }
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// `1-3`, `01-10`, or several with commas; leading zeros set the width.
fn numbers(inside: &str) -> Result<Vec<String>, Flaw> {
    let mut numbers = Vec::new();
    for part in inside.split(',') {
        let part = part.trim();
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| {
            let is_plain = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
            let flaw = || Flaw::NotARange(format!("`{part}` is neither a number nor two with `-`"));
            if is_plain { text.parse::<usize>().map_err(|_| flaw()) } else { Err(flaw()) }
        };
        let (from, to) = (number(first)?, number(last)?);
        if from > to {
            return Err(Flaw::NotARange(format!("{first} is more than {last}")));
        }
        if numbers.len() + (to - from) >= NODES_MAX {
            return Err(Flaw::TooMany);
        }
        let width = if first.starts_with('0') { first.len() } else { 0 };
        numbers.extend((from..=to).map(|n| format!("{n:0width$}")));
    }
    Ok(numbers)
}

/// After so many errors nothing is suggested any more: searching for near names would take longer than the rest.
const SUGGESTIONS_MAX: usize = 200;

impl Problems {
    /// Reports a name that nobody has, with the nearest that somebody has.
    pub(crate) fn unknown<'a>(
        &mut self,
        code: Code,
        name: &str,
        span: Span,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        self.unknown_as(&format!("`{name}` is not defined"), code, name, span, known);
    }

    /// Reports a name that nobody has in words of its own.
    pub(crate) fn unknown_as<'a>(
        &mut self,
        label: &str,
        code: Code,
        name: &str,
        span: Span,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let problem = Diagnostic::new(code, span).label(label);
        if self.errors() >= SUGGESTIONS_MAX {
            return self.push(problem);
        }
        let known: Vec<&str> = known.into_iter().collect();
        self.push(match nearest(name, known.iter().copied()) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None if known.is_empty() => problem,
            None => {
                let shown = known.iter().take(8).copied().collect::<Vec<_>>().join(", ");
                let more = if known.len() > 8 { ", …" } else { "" };
                problem.help(format!("defined: {shown}{more}"))
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_expand_in_order() {
        assert_eq!(expand("h[1-3]").unwrap(), ["h1", "h2", "h3"]);
        assert_eq!(expand("h[08-10]").unwrap(), ["h08", "h09", "h10"]);
        assert_eq!(expand("r[1,3]p[1-2]x").unwrap(), ["r1p1x", "r1p2x", "r3p1x", "r3p2x"]);
        assert_eq!(expand("h[1-10000]").unwrap().len(), 10_000);
    }

    #[test]
    fn what_is_no_range_is_refused() {
        assert_eq!(expand("h[1-10001]"), Err(Flaw::TooMany));
        assert_eq!(expand("h[1-200]x[1-200]"), Err(Flaw::TooMany));
        for text in ["h[1-", "h[]", "h[a-b]", "h[3-1]", "h]1[", "h[1-2-3]", "h[99999999999]"] {
            assert!(matches!(expand(text), Err(Flaw::NotARange(_))), "{text}");
        }
    }
}
