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
    /// When it was read, in nanoseconds since 1970: some time after it happened.
    pub heard_ns: u64,
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
    /// When its first message was read.
    pub heard_ns: u64,
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

/// The passages of packets through the rules of all namespaces, as messages about them come.
#[derive(Debug, Default)]
pub struct Passages {
    next: u64,
    all: BTreeMap<u64, Passage>,
    /// The passage that messages with a number belong to.
    open: HashMap<(Ns, u32), u64>,
}

impl Passages {
    /// Takes a message; those of one namespace must come in order.
    pub fn take(&mut self, event: &RuleEvent, ruleset: &Ruleset) {
        let key = (event.node.clone(), event.id);
        let is_start = event.table.starts_with(OWN_TABLE)
            && matches!(event.kind, RuleEventKind::Rule(_))
            && (event.chain == "prerouting" || event.chain == "output");
        let known = self.open.get(&key).copied().filter(|number| self.all.contains_key(number));
        let number = match (known, &event.packet) {
            (Some(number), Some(traced)) if is_start && !goes_on(&self.all[&number], event, traced) => {
                self.begin(event, traced)
            }
            (Some(number), _) => number,
            (None, Some(traced)) => self.begin(event, traced),
            (None, None) => return,
        };
        self.open.insert(key, number);
        if let Some(passage) = self.all.get_mut(&number) {
            passage.add(event, ruleset);
        }
    }

    fn begin(&mut self, event: &RuleEvent, traced: &Traced) -> u64 {
        let number = self.next;
        self.next += 1;
        let passage = Passage {
            node: event.node.clone(),
            heard_ns: event.heard_ns,
            traced: traced.clone(),
            last: traced.packet.clone(),
            decisions: Vec::new(),
            ct: None,
            hooks: Vec::new(),
            is_own: event.from.is_none(),
            is_delivered: false,
        };
        self.all.insert(number, passage);
        number
    }

    /// Takes out the first passage of a packet through a namespace.
    pub fn claim(&mut self, node: &Ns, brief: u64, is_own: bool) -> Option<Passage> {
        let is_it = |passage: &Passage| {
            passage.node == *node && passage.traced.brief == brief && passage.is_own == is_own
        };
        let number = self.all.iter().find(|(_, passage)| is_it(passage)).map(|(number, _)| *number)?;
        self.all.remove(&number)
    }

    /// Takes out what rules have dropped at the sender and was heard before this time: no link has seen it.
    pub fn claim_unsent(&mut self, before_ns: u64) -> Vec<Passage> {
        let is_unsent = |passage: &Passage| {
            passage.is_own && passage.heard_ns < before_ns && passage.dropped_by().is_some()
        };
        let numbers: Vec<u64> =
            self.all.iter().filter(|(_, passage)| is_unsent(passage)).map(|(number, _)| *number).collect();
        numbers.iter().filter_map(|number| self.all.remove(number)).collect()
    }

    /// Forgets what was heard before this time.
    pub fn forget(&mut self, before_ns: u64) {
        self.all.retain(|_, passage| passage.heard_ns >= before_ns);
        let all = &self.all;
        self.open.retain(|_, number| all.contains_key(number));
    }
}

/// Whether a message that may begin a passage goes on with this one: a table of family bridge has begun the same that
/// one of family inet goes on with.
fn goes_on(passage: &Passage, event: &RuleEvent, traced: &Traced) -> bool {
    let is_same = passage.traced.brief == traced.brief;
    let hook = if event.chain == "output" { Hook::Output } else { Hook::Prerouting };
    let comes_later = event.family != Family::Bridge;
    is_same && comes_later && !passage.hooks.contains(&hook) && passage.is_own == event.from.is_none()
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
            RuleEventKind::Rule(handle) => {
                (Some(handle), known.and_then(|chain| chain.rules.get(&handle)).cloned())
            }
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
        let chain_kind = base
            .map(|base| base.kind)
            .or_else(|| last.map(|last| last.chain_kind))
            .unwrap_or(ChainKind::Filter);
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
