//! What a code means: why it is a problem, with an example wrong and right (`netyard explain CODE`).

use crate::diagnostic::Code;

/// The explanation of a code in Markdown; its letters may be small. `None` for a text that is no code.
///
/// ```
/// let text = netyard_core::explain::explain("n014").unwrap();
/// assert!(text.starts_with("# N014: interface name is too long"));
/// ```
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    let code: Code = code.trim().parse().ok()?;
    let name = code.as_str();
    let book = match name.as_bytes().first()? {
        b'Y' => include_str!("explain/y.md"),
        b'N' => include_str!("explain/n.md"),
        b'A' => include_str!("explain/a.md"),
        b'L' => include_str!("explain/l.md"),
        b'R' => include_str!("explain/r.md"),
        b'F' => include_str!("explain/f.md"),
        b'E' => include_str!("explain/e.md"),
        b'I' => include_str!("explain/i.md"),
        b'U' => include_str!("explain/u.md"),
        _ => include_str!("explain/k.md"),
    };
    let start = book.find(&format!("# {name}: "))?;
    let section = &book[start..];
    let end = section.find("\n# ").map_or(section.len(), |at| at + 1);
    Some(section[..end].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Source, Style};
    use crate::labfile::parse;

    /// The indented lines after a line such as `Wrong:`.
    fn example(text: &str, heading: &str) -> Option<String> {
        let (_, after) = text.split_once(&format!("\n{heading}:\n\n"))?;
        let lines = after.lines().map_while(|line| line.strip_prefix("    "));
        Some(lines.collect::<Vec<_>>().join("\n"))
    }

    fn codes(text: &str) -> Vec<Code> {
        let problems = match parse(&Source::new("example.yaml", text)) {
            Ok(parsed) => parsed.warnings,
            Err(problems) => problems,
        };
        problems.into_iter().map(|problem| problem.code).collect()
    }

    #[test]
    fn every_code_is_explained() {
        for code in Code::ALL {
            let text = explain(code.as_str()).unwrap_or_else(|| panic!("{code}"));
            assert_eq!(text.lines().next(), Some(&*format!("# {code}: {}", code.title())));
            assert!(text.lines().count() > 2, "{code}");
        }
        assert_eq!(explain("X99"), None);
        assert_eq!(explain("# "), None);
    }

    #[test]
    fn wrong_examples_have_their_fault_and_right_ones_have_none() {
        for code in Code::ALL {
            let text = explain(code.as_str()).unwrap();
            let Some(wrong) = example(text, "Wrong") else { continue };
            assert_eq!(codes(&wrong), [*code], "{code} wrong:\n{wrong}");
            let right = example(text, "Right").unwrap();
            let source = Source::new("example.yaml", right.as_str());
            let report = match parse(&source) {
                Ok(parsed) => parsed.warnings,
                Err(problems) => problems,
            };
            let report: String = report.iter().map(|p| p.render(&source, Style::Plain)).collect();
            assert!(report.is_empty(), "{code} right:\n{right}\n{report}");
        }
    }
}
