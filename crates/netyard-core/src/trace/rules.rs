//! What the rules of nf_tables did with packets, as the kernel traces it, and which packets those were.

use super::packet::Packet;
use crate::journey::{Endpoints, RuleAt};
use crate::nft::{BaseChain, ChainKind, Family, Hook, Rule};
use crate::state::Ns;
use std::collections::{BTreeMap, HashMap};

/// One message of a trace (`NFT_MSG_TRACE`, linux/netfilter/nf_tables.h `NFTA_TRACE_*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleEvent {
    /// The namespace.
    pub node: Ns,
    /// Its place among the messages from there.
    pub order: u64,
    /// The kernel's number for the packet in this namespace; it comes again for later packets.
    pub id: u32,
    /// Family of the table.
    pub family: Family,
    /// The table.
    pub table: String,
    /// The chain.
    pub chain: String,
    /// What it tells.
    pub kind: RuleEventKind,
    /// The verdict.
    pub verdict: RuleVerdict,
    /// Ifindex of the link that the packet came by.
    pub from: Option<u32>,
    /// Ifindex of the link that it leaves by.
    pub to: Option<u32>,
    /// The packet, in the first message of each chain.
    pub packet: Option<Traced>,
    /// The tracked connection, on kernels that tell.
    pub ct: Option<u32>,
}

/// What a trace tells of the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traced {
    /// [`Packet::brief`] of what the headers in the message say.
    pub brief: u64,
    /// The packet as far as the message holds it.
    pub packet: Packet,
}

/// What a message of a trace tells (`enum nft_trace_types`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleEventKind {
    /// A rule matched.
    Rule(u64),
    /// A chain was left at its end.
    Return,
    /// A policy decided.
    Policy,
}

/// What happens to the packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleVerdict {
    /// The next rule.
    Continue,
    /// It passes this hook.
    Accept,
    /// It is gone.
    Drop,
    /// To the rules of another chain.
    Jump(String),
    /// The same, and not back.
    Goto(String),
    /// Back to where the jump was, or to the policy.
    Return,
    /// To a program.
    Queue,
}

/// The rules of a namespace with their numbers.
pub type Ruleset = BTreeMap<(Family, String, String), KnownChain>;

/// A chain as it was when the trace began.
#[derive(Debug, Clone, Default)]
pub struct KnownChain {
    /// Where packets enter it from.
    pub base: Option<BaseChain>,
    /// Its rules by handle.
    pub rules: BTreeMap<u64, Rule>,
}

/// The way of one packet through the rules of one namespace.
#[derive(Debug, Clone)]
pub struct Passage {
    /// The namespace.
    pub node: Ns,
    /// Its first message.
    pub order: u64,
    /// The packet at the start.
    pub traced: Traced,
    /// The packet where a message held it last.
    pub last: Packet,
    /// What decided, in order.
    pub decisions: Vec<Decision>,
    /// The tracked connection.
    pub ct: Option<u32>,
    /// Hooks that it was seen at.
    pub hooks: Vec<Hook>,
    /// Whether it began at a program of this namespace.
    pub is_own: bool,
    /// Whether it has come to the sockets: the end of hook `input`.
    pub is_delivered: bool,
    /// The link that it left by.
    pub to: Option<u32>,
}

/// One rule or policy that matched.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Where it is.
    pub rule: RuleAt,
    /// The hook at which the packet met it.
    pub hook: Option<Hook>,
    /// The type of the chain that the hook has called.
    pub chain_kind: ChainKind,
    /// The rule as data, where it is known.
    pub known: Option<Rule>,
    /// What it said.
    pub verdict: RuleVerdict,
    /// Whether it is a policy.
    pub is_policy: bool,
}

/// The first letters of the tables that tracing itself makes.
pub const OWN_TABLE: &str = "netyard_trace";

/// Puts the messages of all namespaces together to passages, in order.
#[must_use]
pub fn passages(events: &[RuleEvent], rulesets: &BTreeMap<Ns, Ruleset>) -> Vec<Passage> {
    let mut passages: Vec<Passage> = Vec::new();
    let mut open: HashMap<(Ns, u32), usize> = HashMap::new();
    let empty = Ruleset::new();
    for event in events {
        let ruleset = rulesets.get(&event.node).unwrap_or(&empty);
        let key = (event.node.clone(), event.id);
        let is_own_table = event.table.starts_with(OWN_TABLE);
        let is_start = is_own_table
            && matches!(event.kind, RuleEventKind::Rule(_))
            && (event.chain == "prerouting" || event.chain == "output");
        let known = open.get(&key).copied();
        let index = match (known, &event.packet) {
            // A table of family bridge has begun the same passage that one of family inet goes on with.
            (Some(index), Some(traced)) if is_start && !goes_on(&passages[index], event, traced) => {
                begin(&mut passages, event, traced)
            }
            (Some(index), _) => index,
            (None, Some(traced)) => begin(&mut passages, event, traced),
            (None, None) => continue,
        };
        open.insert(key, index);
        passages[index].add(event, ruleset);
    }
    passages
}

fn begin(passages: &mut Vec<Passage>, event: &RuleEvent, traced: &Traced) -> usize {
    passages.push(Passage {
        node: event.node.clone(),
        order: event.order,
        traced: traced.clone(),
        last: traced.packet.clone(),
        decisions: Vec::new(),
        ct: None,
        hooks: Vec::new(),
        is_own: event.from.is_none(),
        is_delivered: false,
        to: None,
    });
    passages.len() - 1
}

/// Whether a message that may begin a passage goes on with this one.
fn goes_on(passage: &Passage, event: &RuleEvent, traced: &Traced) -> bool {
    let is_same = passage.traced.brief == traced.brief;
    let hook = if event.chain == "output" { Hook::Output } else { Hook::Prerouting };
    let family_comes_later = event.family != Family::Bridge;
    is_same && family_comes_later && !passage.hooks.contains(&hook)
        && passage.is_own == event.from.is_none()
}

impl Passage {
    fn add(&mut self, event: &RuleEvent, ruleset: &Ruleset) {
        let own_hook = match event.chain.as_str() {
            "prerouting" => Some(Hook::Prerouting),
            "output" => Some(Hook::Output),
            "input" => Some(Hook::Input),
            "forward" => Some(Hook::Forward),
            "postrouting" => Some(Hook::Postrouting),
            _ => None,
        };
        self.ct = self.ct.or(event.ct);
        self.to = event.to.or(self.to);
        if let Some(traced) = &event.packet {
            self.last = traced.packet.clone();
        }
        if event.table.starts_with(OWN_TABLE) {
            let is_ip = event.family != Family::Bridge;
            self.hooks.extend(own_hook.filter(|hook| is_ip && self.hooks.last() != Some(hook)));
            let is_end = matches!(event.kind, RuleEventKind::Policy);
            self.is_delivered |= is_end && is_ip && own_hook == Some(Hook::Input);
            return;
        }
        let known = ruleset.get(&(event.family, event.table.clone(), event.chain.clone()));
        let base = known.and_then(|chain| chain.base.as_ref());
        let is_policy = matches!(event.kind, RuleEventKind::Policy);
        let (handle, rule) = match event.kind {
            RuleEventKind::Rule(handle) => (Some(handle), known.and_then(|chain| chain.rules.get(&handle)).cloned()),
            RuleEventKind::Policy => (None, None),
            // The end of a chain decides nothing.
            RuleEventKind::Return => return,
        };
        let text = match (&rule, is_policy) {
            (_, true) => format!("policy {}", event.verdict.word()),
            (Some(rule), _) => rule.to_string(),
            (None, _) => format!("handle {}", handle.unwrap_or_default()),
        };
        let last = self.decisions.last();
        let hook = base.map(|base| base.hook).or_else(|| last.and_then(|last| last.hook));
        let chain_kind =
            base.map(|base| base.kind).or_else(|| last.map(|last| last.chain_kind)).unwrap_or(ChainKind::Filter);
        self.decisions.push(Decision {
            rule: RuleAt {
                is_legacy: false,
                family: event.family,
                table: event.table.clone(),
                chain: event.chain.clone(),
                hook: base.map(|base| base.hook),
                handle,
                text,
            },
            hook,
            chain_kind,
            known: rule,
            verdict: event.verdict.clone(),
            is_policy,
        });
    }

    /// What dropped the packet.
    #[must_use]
    pub fn dropped_by(&self) -> Option<&Decision> {
        self.decisions.iter().find(|decision| decision.ends())
    }

    /// The addresses at its start.
    #[must_use]
    pub fn endpoints(&self) -> Option<Endpoints> {
        self.traced.packet.headers.endpoints
    }
}

impl Decision {
    /// Whether the packet ends here.
    #[must_use]
    pub fn ends(&self) -> bool {
        self.verdict == RuleVerdict::Drop
    }

    /// Whether it is worth telling: policies that accept decide nothing that would not be so anyway.
    #[must_use]
    pub fn is_told(&self) -> bool {
        !self.is_policy || self.ends()
    }
}

impl RuleVerdict {
    /// As nft(8) writes it.
    #[must_use]
    pub fn word(&self) -> String {
        match self {
            Self::Continue => "continue".to_owned(),
            Self::Accept => "accept".to_owned(),
            Self::Drop => "drop".to_owned(),
            Self::Jump(chain) => format!("jump {chain}"),
            Self::Goto(chain) => format!("goto {chain}"),
            Self::Return => "return".to_owned(),
            Self::Queue => "queue".to_owned(),
        }
    }
}

