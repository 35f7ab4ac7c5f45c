//! Rules that choose a routing table (ip-rule(8)).

use crate::command::word;
use crate::name::IfName;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One rule of the routing policy database.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PolicyRule {
    /// Whether it is about IPv6.
    pub is_ipv6: bool,
    /// The lowest is asked first.
    pub priority: u32,
    /// Whether it holds for what does not match.
    pub is_inverted: bool,
    /// Source prefix.
    pub from: Option<IpNet>,
    /// Destination prefix.
    pub to: Option<IpNet>,
    /// Incoming interface.
    pub incoming: Option<IfName>,
    /// Interface that the sending socket is bound to.
    pub out: Option<IfName>,
    /// Mark of the packet and which bits of it are compared.
    pub mark: Option<(u32, u32)>,
    /// What happens then.
    pub action: PolicyAction,
    /// Conditions that are not among the above, by their numbers in linux/fib_rules.h.
    pub others: Vec<u16>,
}

/// What a rule of the routing policy database does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyAction {
    /// Looks into this table.
    Table(u32),
    /// Drops in silence.
    Blackhole,
    /// Answers "network unreachable".
    Unreachable,
    /// Answers "administratively prohibited".
    Prohibit,
    /// Another one, by its number.
    Other(u8),
}

impl PolicyRule {
    /// Whether nothing of it is beyond what is told here.
    #[must_use]
    pub fn is_sayable(&self) -> bool {
        self.others.is_empty() && !matches!(self.action, PolicyAction::Other(_))
    }

    /// Whether every namespace is born with it.
    #[must_use]
    pub fn is_born(&self) -> bool {
        let is_bare = self.from.is_none()
            && self.to.is_none()
            && self.incoming.is_none()
            && self.out.is_none()
            && self.mark.is_none()
            && self.others.is_empty()
            && !self.is_inverted;
        let born = [(0, 255), (32_766, 254), (32_767, 253)];
        is_bare && born.iter().any(|(p, t)| (self.priority, self.action) == (*p, PolicyAction::Table(*t)))
    }
}

/// As `ip rule add` takes it in a shell.
impl fmt::Display for PolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority {}", self.priority)?;
        if self.is_inverted {
            f.write_str(" not")?;
        }
        match self.from {
            Some(from) => write!(f, " from {from}")?,
            None => f.write_str(" from all")?,
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        if let Some((mark, mask)) = self.mark {
            write!(f, " fwmark {mark:#x}")?;
            if mask != u32::MAX {
                write!(f, "/{mask:#x}")?;
            }
        }
        if let Some(incoming) = &self.incoming {
            write!(f, " iif {}", word(incoming.as_str()))?;
        }
        if let Some(out) = &self.out {
            write!(f, " oif {}", word(out.as_str()))?;
        }
        match self.action {
            PolicyAction::Table(254) => f.write_str(" table main"),
            PolicyAction::Table(table) => write!(f, " table {table}"),
            PolicyAction::Blackhole => f.write_str(" blackhole"),
            PolicyAction::Unreachable => f.write_str(" unreachable"),
            PolicyAction::Prohibit => f.write_str(" prohibit"),
            PolicyAction::Other(number) => write!(f, " action {number}"),
        }
    }
}
