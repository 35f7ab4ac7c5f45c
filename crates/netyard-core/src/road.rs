//! How a command is typed so that it runs in a namespace, from where it is told.

use crate::command::word;

/// What has to be typed besides a command.
///
/// ```
/// use netyard_core::road::Road;
/// let road = Road::Before("netyard exec -l home pc --".into());
/// assert_eq!(road.typed("ip link set eth0 up"), "netyard exec -l home pc -- ip link set eth0 up");
/// assert_eq!(road.typed("true && echo 1"), "netyard exec -l home pc -- sh -c 'true && echo 1'");
/// assert_eq!(Road::Here.typed("true && echo 1"), "true && echo 1");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Road {
    /// Nothing: it is the namespace of who types.
    Here,
    /// These words, before it: they run one program.
    Before(String),
    /// A shell, by these words, that reads it.
    Into(String),
}

impl Road {
    /// The command as it is typed.
    #[must_use]
    pub fn typed(&self, command: &str) -> String {
        match self {
            Self::Here => command.to_owned(),
            Self::Before(words) if is_for_shell(command) => format!("{words} sh -c {}", word(command)),
            Self::Before(words) => format!("{words} {command}"),
            Self::Into(shell) => format!("echo {} | {shell}", word(command)),
        }
    }
}

/// Whether a command is more than one program with its words: the shell that reads it would run the rest elsewhere.
fn is_for_shell(command: &str) -> bool {
    let mut quote = None;
    command.chars().any(|c| match (quote, c) {
        (None, '\'' | '"') => {
            quote = Some(c);
            false
        }
        (Some(open), _) => {
            if c == open {
                quote = None;
            }
            false
        }
        (None, _) => "&|;<>".contains(c),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_runs_where_it_is_meant_to() {
        let named = Road::Before("ip netns exec pc".to_owned());
        for (command, typed) in [
            ("sysctl -w a=\"0 0\"", "ip netns exec pc sysctl -w a=\"0 0\""),
            (
                "nft 'add table ip t; flush table ip t'",
                "ip netns exec pc nft 'add table ip t; flush table ip t'",
            ),
            (
                "ip route flush cache; nft 'a'",
                "ip netns exec pc sh -c 'ip route flush cache; nft '\\''a'\\'''",
            ),
        ] {
            assert_eq!(named.typed(command), typed);
        }
        let fabric = Road::Into("netyard shell".to_owned());
        assert_eq!(fabric.typed("ip link set a up"), "echo 'ip link set a up' | netyard shell");
    }
}
