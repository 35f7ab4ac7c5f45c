//! What must be read for some checks: what nobody asks for is not read.

use super::check::{Check, Fact};
use super::{Lesson, Step};
use std::collections::BTreeSet;

/// What to read besides links, addresses, routes, neighbours and rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wants {
    /// Values below `/proc/sys`.
    pub sysctls: BTreeSet<String>,
    /// Counters of protocols and links.
    pub counters: bool,
    /// Namespaces whose tracked connections are wanted: to read them takes 10 ms.
    pub flows: BTreeSet<String>,
    /// Listening sockets.
    pub listening: bool,
    /// What bridges have learned.
    pub learned: bool,
}

impl Wants {
    /// What the checks of a step ask for.
    #[must_use]
    pub fn of_step(step: &Step) -> Self {
        let mut wants = Self::default();
        // Pictures show which machine forwards.
        wants.sysctls.extend(["net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"].map(str::to_owned));
        let foretold = step.predict.iter().flat_map(|predict| {
            predict.observe.iter().chain(predict.choices.iter().flat_map(|choice| &choice.when))
        });
        step.checks.iter().chain(foretold).for_each(|check| wants.add(check));
        wants
    }

    /// What any step of a lesson asks for.
    #[must_use]
    pub fn of_lesson(lesson: &Lesson) -> Self {
        let mut all = Self::default();
        for step in &lesson.steps {
            let one = Self::of_step(step);
            all.sysctls.extend(one.sysctls);
            all.counters |= one.counters;
            all.flows.extend(one.flows);
            all.listening |= one.listening;
            all.learned |= one.learned;
        }
        all
    }

    fn add(&mut self, check: &Check) {
        match &check.fact {
            Fact::Sysctl { key, .. } => drop(self.sysctls.insert(key.clone())),
            Fact::Counter { .. } => self.counters = true,
            Fact::Flows { namespace, .. } => drop(self.flows.insert(namespace.clone())),
            Fact::Listening { .. } => self.listening = true,
            Fact::Learned { .. } => self.learned = true,
            _ => {}
        }
    }

    /// Whether the kernel tells nobody when these change, so that one has to look again and again.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.counters || !self.flows.is_empty() || self.listening || self.learned
    }
}
