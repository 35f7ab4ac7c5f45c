//! Options as getopt_long(3) reads them: `-nv`, `-c3`, `-c 3`, `--table=nat`, `--table nat`, `--` ends them.

use std::fmt;

/// An option that a program has.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Its letter; `\0` for none.
    pub letter: char,
    /// Its long name, which is also the name that it is told by; a letter as text where it has none.
    pub name: &'static str,
    /// Whether a value follows.
    pub takes_value: bool,
}

/// A word that was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// An option, by its name, and its value.
    Option(&'static str, Option<String>),
    /// Anything else.
    Plain(String),
}

/// Why something that was typed is no option of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// There is none of that letter.
    Letter(char),
    /// The option of that letter lacks its value.
    LetterWithoutValue(char),
    /// There is none of that long name.
    Name(String),
    /// The option of that long name lacks its value.
    NameWithoutValue(String),
    /// Several long names begin so.
    Ambiguous(String),
    /// The option of that long name takes no value.
    NameWithValue(String),
}

/// The words of getopt_long(3).
impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Letter(letter) => write!(f, "invalid option -- '{letter}'"),
            Self::LetterWithoutValue(letter) => write!(f, "option requires an argument -- '{letter}'"),
            Self::Name(name) => write!(f, "unrecognized option '--{name}'"),
            Self::NameWithoutValue(name) => write!(f, "option '--{name}' requires an argument"),
            Self::Ambiguous(name) => write!(f, "option '--{name}' is ambiguous"),
            Self::NameWithValue(name) => write!(f, "option '--{name}' doesn't allow an argument"),
        }
    }
}

impl From<Wrong> for String {
    fn from(wrong: Wrong) -> Self {
        wrong.to_string()
    }
}

/// Reads what was typed, in its order.
///
/// # Errors
/// The first word that is no option of the program.
///
/// ```
/// use netyard_core::stand_in::options::{Known, Word, read};
/// let known = [Known { letter: 'c', name: "count", takes_value: true }, Known { letter: 'n', name: "n", takes_value: false }];
/// let words = read(&["-nc3".into(), "host".into()], &known).unwrap();
/// assert_eq!(words[1..], [Word::Option("count", Some("3".into())), Word::Plain("host".into())]);
/// ```
pub fn read(typed: &[String], known: &[Known]) -> Result<Vec<Word>, Wrong> {
    let mut words = Vec::new();
    let mut rest = typed.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            words.extend(rest.by_ref().cloned().map(Word::Plain));
        } else if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value.to_owned())));
            let option = long_option(name, known)?;
            let value = match (option.takes_value, value) {
                (false, None) => None,
                (false, Some(_)) => {
                    return Err(Wrong::NameWithValue(option.name.to_owned()));
                }
                (true, Some(value)) => Some(value),
                (true, None) => {
                    Some(rest.next().cloned().ok_or_else(|| Wrong::NameWithoutValue(name.to_owned()))?)
                }
            };
            words.push(Word::Option(option.name, value));
        } else if word.len() > 1 && word.starts_with('-') {
            letters(&word[1..], &mut rest, known, &mut words)?;
        } else {
            words.push(Word::Plain(word.clone()));
        }
    }
    Ok(words)
}

/// The option of a long name, or of the beginning of one.
fn long_option(name: &str, known: &[Known]) -> Result<Known, Wrong> {
    let is_long = |option: &&Known| option.name.len() > 1;
    if let Some(option) = known.iter().filter(is_long).find(|option| option.name == name) {
        return Ok(*option);
    }
    let mut fitting = known.iter().filter(is_long).filter(|option| option.name.starts_with(name));
    match (fitting.next(), fitting.next()) {
        (Some(option), None) => Ok(*option),
        (Some(_), Some(_)) => Err(Wrong::Ambiguous(name.to_owned())),
        _ => Err(Wrong::Name(name.to_owned())),
    }
}

/// Letters behind one dash; the value of the last may follow at once or as the next word.
fn letters<'a>(
    text: &str,
    rest: &mut impl Iterator<Item = &'a String>,
    known: &[Known],
    words: &mut Vec<Word>,
) -> Result<(), Wrong> {
    for (at, letter) in text.char_indices() {
        let option = known.iter().find(|option| option.letter == letter);
        let option = option.ok_or(Wrong::Letter(letter))?;
        if !option.takes_value {
            words.push(Word::Option(option.name, None));
            continue;
        }
        let value = &text[at + letter.len_utf8()..];
        let value = if value.is_empty() {
            rest.next().cloned().ok_or(Wrong::LetterWithoutValue(letter))?
        } else {
            value.to_owned()
        };
        words.push(Word::Option(option.name, Some(value)));
        return Ok(());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Known; 3] = [
        Known { letter: 't', name: "table", takes_value: true },
        Known { letter: 'n', name: "numeric", takes_value: false },
        Known { letter: '\0', name: "to-source", takes_value: true },
    ];

    fn check(typed: &str, expected: Result<&str, &str>) {
        let typed: Vec<String> = typed.split_whitespace().map(str::to_owned).collect();
        let words = read(&typed, &KNOWN).map(|words| {
            let one = |word: &Word| match word {
                Word::Option(name, Some(value)) => format!("{name}={value}"),
                Word::Option(name, None) => (*name).to_owned(),
                Word::Plain(text) => format!("'{text}'"),
            };
            words.iter().map(one).collect::<Vec<_>>().join(" ")
        });
        let words = words.map_err(|wrong| wrong.to_string());
        assert_eq!(words.as_deref().map_err(String::as_str), expected);
    }

    #[test]
    fn options_are_read_as_getopt_does() {
        check("-nt nat x", Ok("numeric table=nat 'x'"));
        check("-ntnat - ! --table=nat", Ok("numeric table=nat '-' '!' table=nat"));
        check("--tab nat --to-s 1.2.3.4 -- -n", Ok("table=nat to-source=1.2.3.4 '-n'"));
        check("--t nat", Err("option '--t' is ambiguous"));
        check("-z", Err("invalid option -- 'z'"));
        check("-t", Err("option requires an argument -- 't'"));
        check("--numeric=1", Err("option '--numeric' doesn't allow an argument"));
        check("--none", Err("unrecognized option '--none'"));
    }
}
