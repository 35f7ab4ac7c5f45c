//! Rules that choose a routing table: names to prefixes and interfaces, one rule for each family that is meant.

use super::read::Problems;
use super::resolve_view::View;
use super::syntax::{At, Destination, RuleDecl, Word};
use crate::diagnostic::{Code, Diagnostic};
use crate::lab::NodeKind;
use crate::name::IfName;
use crate::state::PolicyRule;
use ipnet::IpNet;

/// The priority of the first rule that names none; each next one comes after the one before it.
const PRIORITY_FIRST: u32 = 1000;

impl View<'_> {
    pub(super) fn rules<'d>(
        &self,
        decls: impl Iterator<Item = &'d RuleDecl>,
        problems: &mut Problems,
    ) -> Vec<PolicyRule> {
        let mut rules = Vec::new();
        let mut decls = decls.peekable();
        if let (NodeKind::Host, Some(first)) = (self.owner().node.kind, decls.peek()) {
            let problem = Diagnostic::new(Code::RulesOfMachine, first.span);
            let label = "this would hold for all packets of the machine";
            problems.push(problem.label(label).help("put them into another node, or add them by hand"));
            return rules;
        }
        let mut next = PRIORITY_FIRST;
        for decl in decls {
            let priority = decl.priority.unwrap_or(next);
            next = priority.saturating_add(1);
            self.rule(decl, priority, &mut rules, problems);
        }
        rules
    }

    fn rule(&self, decl: &RuleDecl, priority: u32, rules: &mut Vec<PolicyRule>, problems: &mut Problems) {
        let errors_before = problems.errors();
        let [from, to] = [&decl.from, &decl.to].map(|end| match end {
            Some(end) => self.end(end, problems),
            None => Ends::Any,
        });
        let [incoming, out] = [&decl.incoming, &decl.out].map(|word| self.interface(word.as_ref(), problems));
        if problems.errors() > errors_before {
            return;
        }
        let rules_before = rules.len();
        for is_ipv6 in [false, true] {
            for from in from.of_family(is_ipv6) {
                for to in to.of_family(is_ipv6) {
                    let is_meant = from.is_some() || to.is_some() || self.speaks(is_ipv6);
                    // A prefix of all addresses only says the family.
                    let [from, to] = [*from, *to].map(|end| end.filter(|net| net.prefix_len() > 0));
                    if is_meant {
                        rules.push(PolicyRule {
                            is_ipv6,
                            priority,
                            is_inverted: decl.is_inverted,
                            from,
                            to,
                            incoming: incoming.clone(),
                            out: out.clone(),
                            mark: decl.mark,
                            action: decl.action,
                            others: Vec::new(),
                        });
                    }
                }
            }
        }
        if rules.len() == rules_before && !self.owner().is_partial {
            let problem = Diagnostic::new(Code::FamiliesMixed, decl.span);
            problems.push(problem.label("`from` and `to` have no address family in common"));
        }
    }

    fn end(&self, end: &At<Destination>, problems: &mut Problems) -> Ends {
        match &end.value {
            Destination::Default => Ends::Any,
            Destination::Prefix(net) => Ends::These(vec![Some(*net)]),
            Destination::Named(name) => {
                let prefixes = self.prefixes_of(name, end.span, problems).unwrap_or_default();
                Ends::These(prefixes.into_iter().map(Some).collect())
            }
        }
    }

    fn interface(&self, word: Option<&Word>, problems: &mut Problems) -> Option<IfName> {
        self.draft.find_devs(self.at, word?, problems).into_iter().next()
    }

    /// Whether a rule without prefixes is for this family: IPv4 always is, IPv6 where the node has such an address.
    fn speaks(&self, is_ipv6: bool) -> bool {
        let mut addresses = self.owner().endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
        !is_ipv6 || addresses.any(|net| net.addr().is_ipv6())
    }
}

/// What a packet's source or destination may be.
enum Ends {
    Any,
    These(Vec<Option<IpNet>>),
}

impl Ends {
    fn of_family(&self, is_ipv6: bool) -> impl Iterator<Item = &Option<IpNet>> + Clone {
        let ends = match self {
            Self::Any => &[None][..],
            Self::These(nets) => nets,
        };
        ends.iter().filter(move |net| net.is_none_or(|net| net.addr().is_ipv6() == is_ipv6))
    }
}
