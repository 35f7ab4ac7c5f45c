//! Whether checks hold and what comes of predictions, probes included.

use super::eyes::{Eyes, node_name};
use crate::expect::{self, Options};
use netyard_core::diagnostic::Source;
use netyard_core::expect::{Expectation, Outcome};
use netyard_core::lab::{Interface, Lab, Node, Role};
use netyard_core::labfile;
use netyard_core::lesson::{Check, Link, Predict, ProbeFact, Seen, Sight};
use netyard_core::name::IfName;
use std::time::Duration;

/// Silence after which a probe ends: everything is on one machine.
const SILENCE: Duration = Duration::from_millis(300);

/// What is judged.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) eyes: &'a Eyes,
    pub(super) now: &'a Sight,
    /// What was seen when the step began.
    pub(super) start: &'a Sight,
}

impl Judge<'_> {
    /// Whether a check holds; a probe is made.
    pub(super) fn holds(&self, check: &Check) -> bool {
        match (check.holds(self.now, self.start), check.probe()) {
            (Some(holds), _) => holds,
            (None, Some(probe)) => self.comes_true(probe) != check.is_negated,
            (None, None) => false,
        }
    }

    /// Whether all hold; probes are made once all else does.
    pub(super) fn hold(&self, checks: &[Check]) -> bool {
        let (probes, states): (Vec<&Check>, Vec<&Check>) = checks.iter().partition(|c| c.probe().is_some());
        states.into_iter().chain(probes).all(|check| self.holds(check))
    }

    fn comes_true(&self, probe: &ProbeFact) -> bool {
        // Where an answer is expected, why there is none is no matter: a verdict of ARP, which takes seconds, is not
        // waited for (`expect::attempt`).
        self.tried(probe, probe.within_ms.max(u32::from(probe.outcome == Outcome::Ok))).0
    }

    /// The choice that is right, and the outcome in a word.
    pub(super) fn observe(&self, predict: &Predict) -> (Option<usize>, String) {
        if let Some(check) = &predict.observe {
            let word = match check.probe() {
                Some(probe) => {
                    self.tried(probe, 0).1.map_or_else(|| "impossible".to_owned(), |o| o.to_string())
                }
                None if self.holds(check) => "yes".to_owned(),
                None => "no".to_owned(),
            };
            return (predict.choice_of(&word), word);
        }
        let right =
            predict.choices.iter().position(|choice| !choice.when.is_empty() && self.hold(&choice.when));
        (right, String::new())
    }

    /// Whether a probe came out as expected, and how it came out.
    fn tried(&self, probe: &ProbeFact, within_ms: u32) -> (bool, Option<Outcome>) {
        let expectation = Expectation {
            line: 0,
            from: node_name(&probe.from),
            probe: probe.probe.clone(),
            outcome: probe.outcome,
            seen_as: probe.seen_as,
            within_ms,
            dropped: None,
        };
        let lab = lab_of(self.now);
        let options = Options { silence: SILENCE, ..Options::default() };
        let results = expect::run(&lab, self.eyes, &options, &[expectation], |_| {});
        results.first().map_or((false, None), |result| (result.passed, result.outcome))
    }
}

/// A lab of one node, from which those of a sandbox are made.
const TEMPLATE: &str = "networks: { any: 10.0.0.0/24 }\nnodes: { any: { links: [any] } }";

/// The sandbox as probes want to know it: who has which address.
fn lab_of(sight: &Sight) -> Lab {
    let parsed = labfile::parse(&Source::new("sandbox", TEMPLATE)).expect("the template is right");
    let mut lab = parsed.lab;
    let template = lab.nodes.remove(0);
    lab.nodes = sight.namespaces.iter().map(|(name, seen)| node(&template, name, seen)).collect();
    lab
}

fn node(template: &Node, name: &str, seen: &Seen) -> Node {
    let interface = |link: &Link| {
        let interface = template.interfaces.first()?.clone();
        let name = IfName::new(&link.name).ok()?;
        Some(Interface { name, mtu: link.mtu, addresses: link.addresses.clone(), ..interface })
    };
    Node {
        name: node_name(name),
        role: if name == "internet" { Role::Internet } else { Role::Host },
        interfaces: seen.links.iter().filter_map(interface).collect(),
        routes: Vec::new(),
        ..template.clone()
    }
}
