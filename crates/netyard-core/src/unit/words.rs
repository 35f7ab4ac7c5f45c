//! Words of a value: blanks divide, quotes hold together, a backslash begins an escape (systemd.service(5),
//! COMMAND LINES).

/// The words of a value. A quote that is never closed ends with the text.
///
/// ```
/// use netyard_core::unit::words;
/// assert_eq!(words(r#"A=1 "B=two words" 'C=a\tb'"#), ["A=1", "B=two words", "C=a\tb"]);
/// ```
#[must_use]
pub fn words(text: &str) -> Vec<String> {
    commands(text, false).pop().unwrap_or_default()
}

/// The words of each command of a value, where a bare `;` ends one if wanted.
pub(super) fn commands(text: &str, semicolon_divides: bool) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = word(rest);
        let as_written = rest[..rest.len() - after.len()].trim_end();
        match found.last_mut() {
            Some(command) if !(semicolon_divides && as_written == ";") => command.push(word),
            _ => found.push(Vec::new()),
        }
        rest = after.trim_start();
    }
    found
}

/// The first word, and what follows it.
fn word(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut quote = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match (c, quote) {
            ('\\', _) => rest = escape(rest, &mut word),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            (c, None) if c.is_whitespace() => return (word, rest),
            (c, _) => word.push(c),
        }
    }
    (word, "")
}

/// Puts the character that an escape stands for, and returns what follows. An unknown one stays as it is written.
fn escape<'a>(rest: &'a str, word: &mut String) -> &'a str {
    let Some(c) = rest.chars().next() else { return rest };
    let coded = |digits: std::ops::Range<usize>, radix| {
        let code = u32::from_str_radix(rest.get(digits.clone())?, radix).ok()?;
        Some((char::from_u32(code)?, digits.end))
    };
    let simple = |stands_for| Some((stands_for, 1));
    let found = match c {
        'a' => simple('\x07'),
        'b' => simple('\x08'),
        'f' => simple('\x0c'),
        'n' => simple('\n'),
        'r' => simple('\r'),
        't' => simple('\t'),
        'v' => simple('\x0b'),
        's' => simple(' '),
        '\\' | '"' | '\'' | ';' => simple(c),
        'x' => coded(1..3, 16),
        'u' => coded(1..5, 16),
        '0'..='7' => coded(0..3, 8),
        _ => None,
    };
    match found {
        Some((c, length)) => {
            word.push(c);
            &rest[length..]
        }
        None => {
            word.push('\\');
            rest
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_escapes() {
        assert_eq!(words(r#"  a "b c"d '"' "#), ["a", "b cd", "\""]);
        assert_eq!(words(r"\x41\u00e9\101\s\q"), ["AéA \\q"]);
        assert_eq!(words("'' open\"a b"), ["", "opena b"]);
    }
}
