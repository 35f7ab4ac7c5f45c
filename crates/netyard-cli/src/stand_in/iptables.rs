//! iptables(8) and ip6tables(8): rules in the nf_tables tables that iptables-nft would put them in.

use crate::output;
use netyard_core::nft::{BaseChain, Chain, Rule};
use netyard_core::stand_in::iptables::{
    self, Columns, Failure, ListedChain, ListedRule, Order, Program, Table, Task, is_same, specification,
};
use netyard_kernel::netlink::nft::{Edit, PlacedChain, edit, read};
use netyard_kernel::netlink::{Protocol, Refusal, Socket};
use std::io;

const BAD_RULE: &str = "Bad rule (does a matching rule exist in that chain?).";
const NO_CHAIN: &str = "No chain/target/match by that name.";

pub fn run(program: Program, typed: &[String]) -> u8 {
    match iptables::order(program, typed).and_then(|order| carry_out(program, &order)) {
        Ok(()) => 0,
        Err(failure) => {
            output::say(&failure.text(program));
            failure.code
        }
    }
}

/// One table of the network namespace that this process is in.
struct Rules {
    program: Program,
    socket: Socket,
    table: Table,
    chains: Vec<PlacedChain>,
}

fn carry_out(program: Program, order: &Order) -> Result<(), Failure> {
    if order.task == Task::Version {
        output::print(&(program.version() + "\n"));
        return Ok(());
    }
    let cannot_open = |e: io::Error| {
        Failure::refused(format!("can't initialize {} table: {}", program.name(), super::words(&e)))
    };
    let mut socket = Socket::open(Protocol::Netfilter).map_err(cannot_open)?;
    let chains = read(&mut socket, program.family(), order.table.name()).map_err(|e| refused(&e))?;
    let mut rules = Rules { program, socket, table: order.table, chains };
    match &order.task {
        Task::Append(chain, rule) => rules.put(chain, rule, None),
        Task::Insert(chain, at, rule) => rules.put(chain, rule, Some(*at)),
        Task::Replace(chain, at, rule) => {
            let handle = rules.handle(chain, *at, "replacement")?;
            rules.refuse_unknown_target(rule)?;
            rules.edit(&[Edit::Insert(chain, Some(handle), rule), Edit::Delete(chain, handle)])
        }
        Task::DeleteAt(chain, at) => {
            let handle = rules.handle(chain, *at, "deletion")?;
            rules.edit(&[Edit::Delete(chain, handle)])
        }
        Task::Delete(chain, rule) => {
            let handle = rules.find(chain, rule)?;
            rules.edit(&[Edit::Delete(chain, handle)])
        }
        Task::Check(chain, rule) => rules.find(chain, rule).map(drop),
        Task::List(chain) => {
            let columns = Columns {
                is_numeric: order.is_numeric,
                is_verbose: order.is_verbose,
                has_line_numbers: order.has_line_numbers,
            };
            output::print(&iptables::listing(program, &rules.listed(chain.as_deref())?, columns));
            Ok(())
        }
        Task::Specify(chain) => rules.specify(chain.as_deref()),
        Task::Flush(chain) => rules.flush(chain.as_deref()),
        Task::Policy(chain, policy) => {
            let built_in = rules.table.built_in().into_iter().find(|own| own.name == *chain);
            let mut built_in = built_in.ok_or_else(|| Failure::refused("Bad built-in chain name."))?;
            if let Some(BaseChain { policy: own, .. }) = &mut built_in.base {
                *own = *policy;
            }
            rules.edit(&[Edit::AddTable, Edit::AddChain(&built_in)])
        }
        Task::New(chain) => {
            if rules.is_known(chain) {
                return Err(Failure::refused("Chain already exists."));
            }
            let new = Chain { name: chain.clone(), base: None, rules: Vec::new() };
            rules.edit(&[Edit::AddTable, Edit::AddChain(&new)])
        }
        Task::Remove(chain) => rules.remove(chain.as_deref()),
        Task::Version => Ok(()),
    }
}

impl Rules {
    fn edit(&mut self, edits: &[Edit<'_>]) -> Result<(), Failure> {
        edit(&mut self.socket, self.program.family(), self.table.name(), edits).map_err(|e| refused(&e))
    }

    fn placed(&self, chain: &str) -> Option<&PlacedChain> {
        self.chains.iter().find(|placed| placed.chain.name == chain)
    }

    fn built_in(&self, chain: &str) -> Option<Chain> {
        self.table.built_in().into_iter().find(|own| own.name == chain)
    }

    fn is_known(&self, chain: &str) -> bool {
        self.placed(chain).is_some() || self.built_in(chain).is_some()
    }

    /// Puts a rule at the end of a chain, or before the one with that number.
    fn put(&mut self, chain: &str, rule: &Rule, at: Option<usize>) -> Result<(), Failure> {
        self.refuse_unknown_target(rule)?;
        let placed = self.placed(chain);
        let count = placed.map_or(0, |placed| placed.rules.len());
        let place = match at {
            None => Edit::Append(chain, rule),
            Some(at) if at > count + 1 => return Err(Failure::refused("Index of insertion too big.")),
            Some(at) if at == count + 1 => Edit::Append(chain, rule),
            Some(at) => Edit::Insert(chain, placed.map(|placed| placed.rules[at - 1].handle), rule),
        };
        match (placed.is_some(), self.built_in(chain)) {
            (true, _) => self.edit(&[place]),
            // Built-in chains are made when they are used first.
            (false, Some(built_in)) => self.edit(&[Edit::AddTable, Edit::AddChain(&built_in), place]),
            (false, None) => Err(Failure::refused(NO_CHAIN)),
        }
    }

    fn refuse_unknown_target(&self, rule: &Rule) -> Result<(), Failure> {
        match &rule.action {
            netyard_core::nft::Action::Jump(chain) if self.placed(chain).is_none() => {
                Err(Failure::usage(format!("Chain '{chain}' does not exist")))
            }
            _ => Ok(()),
        }
    }

    fn handle(&self, chain: &str, at: usize, what: &str) -> Result<u64, Failure> {
        if !self.is_known(chain) {
            return Err(Failure::refused(NO_CHAIN));
        }
        let rule = self.placed(chain).and_then(|placed| placed.rules.get(at - 1));
        rule.map(|rule| rule.handle).ok_or_else(|| Failure::refused(format!("Index of {what} too big.")))
    }

    fn find(&self, chain: &str, rule: &Rule) -> Result<u64, Failure> {
        if !self.is_known(chain) {
            return Err(Failure::refused(NO_CHAIN));
        }
        let placed = self.placed(chain).map_or(&[][..], |placed| &placed.rules);
        let found = placed.iter().find(|placed| is_same(&placed.rule, rule));
        found.map(|placed| placed.handle).ok_or_else(|| Failure::refused(BAD_RULE))
    }

    /// The built-in chains, made or not, then all others.
    fn listed(&self, only: Option<&str>) -> Result<Vec<ListedChain>, Failure> {
        let built_in = self.table.built_in();
        let own = self.chains.iter().map(|placed| &placed.chain);
        let others = own.filter(|chain| built_in.iter().all(|known| known.name != chain.name));
        let names = built_in.iter().chain(others).filter(|chain| only.is_none_or(|only| chain.name == only));
        let listed: Vec<ListedChain> = names.map(|chain| self.listed_chain(chain)).collect();
        if listed.is_empty() { Err(Failure::refused(NO_CHAIN)) } else { Ok(listed) }
    }

    fn listed_chain(&self, chain: &Chain) -> ListedChain {
        let placed = self.placed(&chain.name);
        let base = placed.and_then(|placed| placed.chain.base.as_ref()).or(chain.base.as_ref());
        let (packets, bytes) = placed.map_or((0, 0), |placed| (placed.packets, placed.bytes));
        let rules = placed.map_or(&[][..], |placed| &placed.rules).iter();
        let listed = |rule: &netyard_kernel::netlink::nft::PlacedRule| ListedRule {
            rule: rule.rule.clone(),
            packets: rule.packets,
            bytes: rule.bytes,
        };
        let rules: Vec<ListedRule> = rules.map(listed).collect();
        let uses = placed.map_or(0, |placed| placed.uses as usize);
        ListedChain {
            name: chain.name.clone(),
            policy: base.map(|base| (base.policy, packets, bytes)),
            references: u32::try_from(uses.saturating_sub(rules.len())).unwrap_or(u32::MAX),
            rules,
        }
    }

    fn specify(&self, only: Option<&str>) -> Result<(), Failure> {
        let listed = self.listed(only)?;
        let mut text = String::new();
        for chain in listed.iter().filter(|chain| chain.policy.is_some()) {
            let word = match chain.policy {
                Some((netyard_core::nft::Policy::Drop, ..)) => "DROP",
                _ => "ACCEPT",
            };
            text += &format!("-P {} {word}\n", chain.name);
        }
        for chain in listed.iter().filter(|chain| chain.policy.is_none()) {
            text += &format!("-N {}\n", chain.name);
        }
        for chain in &listed {
            for listed in &chain.rules {
                text += &(specification(self.program, &chain.name, &listed.rule) + "\n");
            }
        }
        output::print(&text);
        Ok(())
    }

    fn flush(&mut self, only: Option<&str>) -> Result<(), Failure> {
        match only {
            Some(chain) if !self.is_known(chain) => Err(Failure::refused(NO_CHAIN)),
            // A chain that is not made has no rules.
            Some(chain) if self.placed(chain).is_none() => Ok(()),
            None if self.chains.is_empty() => Ok(()),
            only => self.edit(&[Edit::Flush(only)]),
        }
    }

    fn remove(&mut self, only: Option<&str>) -> Result<(), Failure> {
        let names: Vec<String> = match only {
            Some(chain) if self.built_in(chain).is_some() || self.placed(chain).is_none() => {
                return Err(Failure::refused(NO_CHAIN));
            }
            Some(chain) => vec![chain.to_owned()],
            None => {
                let own = self.chains.iter().filter(|placed| self.built_in(&placed.chain.name).is_none());
                own.map(|placed| placed.chain.name.clone()).collect()
            }
        };
        for name in &names {
            if self.placed(name).is_some_and(|placed| placed.uses > 0) {
                let why = "Device or resource busy: it has rules, or rules jump to it";
                return Err(Failure { code: 4, words: format!("CHAIN_DEL failed ({why}): chain {name}") });
            }
        }
        let edits: Vec<Edit<'_>> = names.iter().map(|name| Edit::DeleteChain(name)).collect();
        self.edit(&edits)
    }
}

/// What the kernel said.
fn refused(refusal: &Refusal) -> Failure {
    let words = super::words(&io::Error::from_raw_os_error(refusal.errno));
    Failure::refused(match &refusal.message {
        Some(message) => format!("{words}: {message}"),
        None if refusal.errno == rustix::io::Errno::PERM.raw_os_error() => {
            format!("{words} (you must be root)")
        }
        None => words,
    })
}
