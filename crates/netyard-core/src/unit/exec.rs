//! Command lines of services (systemd.service(5), COMMAND LINES).

use super::words::commands;
use super::{UnitName, words};
use std::collections::BTreeMap;

/// One command of `ExecStart=` and its kin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecLine {
    /// The program, a path or a name to be searched for.
    pub program: String,
    /// Its words as written, the first one being what it is told to be called.
    pub argv: Vec<String>,
    /// `-`: its failure is none.
    pub ignores_failure: bool,
    /// `+`, `!`: started as root, whatever `User=` says.
    pub is_privileged: bool,
    /// Not `:`: variables are replaced.
    pub expands: bool,
}

impl ExecLine {
    /// The commands of a value: usually one, several where a `;` stands alone.
    #[must_use]
    pub fn parse(value: &str, unit: &UnitName) -> Vec<Self> {
        let all = commands(value, true);
        all.iter().filter_map(|command| Self::of_words(command, unit)).collect()
    }

    fn of_words(command: &[String], unit: &UnitName) -> Option<Self> {
        let mut argv: Vec<String> = command.iter().map(|word| unit.expand(word)).collect();
        let first = argv.first()?.clone();
        let program = first.trim_start_matches(['-', '@', '+', '!', ':']);
        let marks = &first[..first.len() - program.len()];
        argv[0] = program.to_owned();
        if marks.contains('@') && argv.len() > 1 {
            argv.remove(0);
        }
        (!program.is_empty()).then(|| Self {
            program: program.to_owned(),
            argv,
            ignores_failure: marks.contains('-'),
            is_privileged: marks.contains(['+', '!']),
            expands: !marks.contains(':'),
        })
    }

    /// The words with variables in place: `${NAME}` anywhere, `$NAME` alone as a word, split at blanks. What is not set is
    /// empty; `$$` is a dollar sign.
    #[must_use]
    pub fn expanded(&self, env: &BTreeMap<String, String>) -> Vec<String> {
        let Some((name, arguments)) = self.argv.split_first() else { return Vec::new() };
        let mut expanded = vec![name.clone()];
        for word in arguments {
            match word.strip_prefix('$') {
                _ if !self.expands => expanded.push(word.clone()),
                Some(variable) if is_variable(variable) => {
                    expanded.extend(env.get(variable).map(|value| words(value)).unwrap_or_default());
                }
                _ => expanded.push(substituted(word, env)),
            }
        }
        expanded
    }

    /// The command as a person would type it.
    #[must_use]
    pub fn text(&self) -> String {
        std::iter::once(&self.program).chain(self.argv.iter().skip(1)).cloned().collect::<Vec<_>>().join(" ")
    }
}

fn is_variable(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn substituted(word: &str, env: &BTreeMap<String, String>) -> String {
    let mut done = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find('$') {
        done += &rest[..at];
        rest = &rest[at + 1..];
        let braced = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        if let Some((name, after)) = braced.filter(|(name, _)| is_variable(name)) {
            done += env.get(name).map_or("", String::as_str);
            rest = after;
        } else {
            done.push('$');
            rest = rest.strip_prefix('$').unwrap_or(rest);
        }
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Vec<ExecLine> {
        ExecLine::parse(value, &UnitName::new("x@1").unwrap())
    }

    #[test]
    fn variables_are_words_or_parts_of_words() {
        let env = [("OPTIONS", "-u bind  -4"), ("MAINPID", "7")];
        let env = env.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let line = &parse("/usr/sbin/named -f $OPTIONS $NONE ${NONE} p=${MAINPID}$$x a$MAINPID %i")[0];
        let expected = ["/usr/sbin/named", "-f", "-u", "bind", "-4", "", "p=7$x", "a$MAINPID", "1"];
        assert_eq!(line.expanded(&env), expected);
        assert_eq!(parse(":/bin/x $OPTIONS")[0].expanded(&env), ["/bin/x", "$OPTIONS"]);
    }

    #[test]
    fn marks_before_the_program() {
        let lines = parse(r"-@/bin/sh called -c 'a ; b' \; ; +/bin/true");
        let [line, other] = &lines[..] else { panic!("{lines:?}") };
        assert_eq!((line.program.as_str(), line.argv.join(" ").as_str()), ("/bin/sh", "called -c a ; b ;"));
        assert!(line.ignores_failure && !line.is_privileged);
        assert!(other.is_privileged && other.argv == ["/bin/true"]);
        assert_eq!(parse("").len(), 0);
    }
}
