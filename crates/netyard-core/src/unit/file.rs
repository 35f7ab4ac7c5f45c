//! The syntax of unit files (systemd.syntax(7)) and of files of environment variables (systemd.exec(5)).

/// One assignment of a unit file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The section that it is in, without brackets.
    pub section: String,
    /// What is left of `=`.
    pub key: String,
    /// What is right of `=`, lines joined, blanks around it taken off.
    pub value: String,
}

/// The assignments of a unit file in their order. Lines that are none are passed over.
#[must_use]
pub fn entries(text: &str) -> Vec<Entry> {
    let mut section = String::new();
    let mut found = Vec::new();
    for line in joined(text) {
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once('=') {
            let (key, value) = (key.trim_end().to_owned(), value.trim_start().to_owned());
            found.push(Entry { section: section.clone(), key, value });
        }
    }
    found
}

/// Lines without comments; those that end with a backslash are joined with what follows, by a blank.
fn joined(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun: Option<String> = None;
    for line in text.lines() {
        if line.trim_start().starts_with(['#', ';']) {
            continue;
        }
        let mut whole = begun.take().unwrap_or_default();
        match line.strip_suffix('\\') {
            Some(part) => {
                whole += part;
                whole.push(' ');
                begun = Some(whole);
            }
            None => lines.push(whole + line),
        }
    }
    lines.extend(begun);
    lines
}

/// The variables of an environment file: `NAME=VALUE`, values in quotes or bare, in the order of the file.
#[must_use]
pub fn environment_file(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    while rest.peek().is_some() {
        let name = take_while(&mut rest, |c| c != '=' && c != '\n');
        let is_comment = name.trim_start().starts_with(['#', ';']);
        if is_comment || rest.peek() != Some(&'=') {
            take_while(&mut rest, |c| c != '\n');
            rest.next();
            continue;
        }
        rest.next();
        let value = value(&mut rest);
        let name = name.trim();
        let name = name.strip_prefix("export ").unwrap_or(name).trim_start();
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            found.push((name.to_owned(), value));
        }
    }
    found
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn take_while(rest: &mut Rest<'_>, is_part: impl Fn(char) -> bool) -> String {
    std::iter::from_fn(|| rest.next_if(|c| is_part(*c))).collect()
}

/// A value up to the end of its line; quotes may hold several lines.
fn value(rest: &mut Rest<'_>) -> String {
    take_while(rest, |c| c == ' ' || c == '\t');
    let mut value = String::new();
    // Blanks at the end count only when they are quoted.
    let mut kept = 0;
    while let Some(c) = rest.next() {
        match c {
            '\n' => break,
            '\'' => {
                value += &take_while(rest, |c| c != '\'');
                rest.next();
                kept = value.len();
            }
            '"' => {
                while let Some(c) = rest.next().filter(|c| *c != '"') {
                    match (c, rest.peek()) {
                        ('\\', Some('\n')) => drop(rest.next()),
                        ('\\', Some('"' | '\\' | '`' | '$')) => value.extend(rest.next()),
                        _ => value.push(c),
                    }
                }
                kept = value.len();
            }
            '\\' => match rest.next() {
                Some('\n') | None => {}
                Some(c) => {
                    value.push(c);
                    kept = value.len();
                }
            },
            '\r' => {}
            _ => {
                value.push(c);
                if !c.is_whitespace() {
                    kept = value.len();
                }
            }
        }
    }
    value.truncate(kept);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Vec<String> {
        entries(text).into_iter().map(|e| format!("{}/{}={}", e.section, e.key, e.value)).collect()
    }

    #[test]
    fn lines_are_joined_and_comments_left_out() {
        let text =
            "# c\n[Service]\nExecStart=/bin/a \\\n  ; comment\n  b\\\n c\nX = 1 \n[Install]\nnothing\nA=\n";
        assert_eq!(said(text), ["Service/ExecStart=/bin/a    b  c", "Service/X=1", "Install/A="]);
    }

    #[test]
    fn a_file_of_variables() {
        let text = "#\n# what?\n# OPTIONS=no\n\nOPTIONS=\"-u bind  \"\nexport A='x y'z  \nB=one two \n;C=1\nD=a\\\nb\nbad name=1\nE=\"q\\\"q\"\nF=";
        let found: Vec<String> =
            environment_file(text).into_iter().map(|(name, value)| format!("{name}=<{value}>")).collect();
        assert_eq!(found, ["OPTIONS=<-u bind  >", "A=<x yz>", "B=<one two>", "D=<ab>", "E=<q\"q>", "F=<>"]);
    }
}
