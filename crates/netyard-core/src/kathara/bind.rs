//! Options of BIND that newer versions refuse, taken out of a configuration.

use crate::diagnostic::Span;

/// Options that BIND 9.18 refuses to start with, because it has lost what they were about.
const GONE: [&str; 14] = [
    "additional-from-auth",
    "additional-from-cache",
    "cleaning-interval",
    "dnssec-enable",
    "dnssec-lookaside",
    "filter-aaaa",
    "filter-aaaa-on-v4",
    "filter-aaaa-on-v6",
    "geoip-use-ecs",
    "lwres",
    "nosit-udp-size",
    "request-sit",
    "sit-secret",
    "use-queryport-pool",
];

/// An option that was taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Its name.
    pub option: String,
    /// Where it was.
    pub span: Span,
}

/// A configuration without options that are gone: each becomes a comment. None where it has none of them.
///
/// ```
/// use netyard_core::kathara::bind::without_old_options;
/// let text = "options {\n  dnssec-enable no;\n  recursion yes;\n};\n";
/// let (new, removed) = without_old_options(text).unwrap();
/// assert_eq!(new, "options {\n  /* dnssec-enable no; */\n  recursion yes;\n};\n");
/// assert_eq!(removed[0].option, "dnssec-enable");
/// ```
#[must_use]
pub fn without_old_options(text: &str) -> Option<(String, Vec<Removed>)> {
    let mut new = String::new();
    let mut removed = Vec::new();
    let mut copied = 0;
    for statement in statements(text) {
        let words = &text[statement.clone()];
        let option = words.split(|c: char| c.is_whitespace() || c == ';').next().unwrap_or_default();
        // A block is more than can be made a comment in one piece.
        if !GONE.contains(&option) || words.contains(['{', '}']) || words.contains("*/") {
            continue;
        }
        new.push_str(&text[copied..statement.start]);
        new.push_str(&format!("/* {words} */"));
        copied = statement.end;
        removed.push(Removed { option: option.to_owned(), span: Span::new(statement.start, statement.end) });
    }
    new.push_str(&text[copied..]);
    (!removed.is_empty()).then_some((new, removed))
}

/// Each statement from its first word to its `;`, without comments before it. What stands in quotes is one word.
fn statements(text: &str) -> Vec<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text.as_bytes()[at..];
        let comment = if rest.starts_with(b"/*") {
            Some(find(rest, b"*/").map_or(rest.len(), |end| end + 2))
        } else if rest.starts_with(b"//") || rest.starts_with(b"#") {
            Some(find(rest, b"\n").unwrap_or(rest.len()))
        } else {
            None
        };
        if let Some(len) = comment {
            at += len;
            continue;
        }
        match bytes[at] {
            b'"' => {
                start.get_or_insert(at);
                at += find(&rest[1..], b"\"").map_or(rest.len() - 1, |end| end + 1);
            }
            b';' => found.extend(start.take().map(|start| start..at + 1)),
            // Statements inside of a block are looked at one by one.
            b'{' | b'}' => start = None,
            byte if byte.is_ascii_whitespace() => {}
            _ => drop(start.get_or_insert(at)),
        }
        at += 1;
    }
    found
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_statements_are_options() {
        for text in [
            "// dnssec-enable no;\n",
            "# dnssec-enable no;\n",
            "/* dnssec-enable no; */",
            "zone \"dnssec-enable\" { };",
            "file \"x; dnssec-enable no;\";",
            "allow { 10.0.0.0/8; };",
            "",
            "\"",
            "/*",
            "dnssec-enable no",
            "send-cookie no;",
        ] {
            assert_eq!(without_old_options(text), None, "{text:?}");
        }
    }

    #[test]
    fn each_is_taken_out_with_its_place() {
        let text = "options {\n\tdnssec-enable no;\n    filter-aaaa-on-v4 yes; recursion no;\n};\n";
        let (new, removed) = without_old_options(text).unwrap();
        assert_eq!(
            new,
            "options {\n\t/* dnssec-enable no; */\n    /* filter-aaaa-on-v4 yes; */ recursion no;\n};\n"
        );
        assert_eq!(&text[removed[1].span.start..removed[1].span.end], "filter-aaaa-on-v4 yes;");
    }
}
