//! What is wrong, told: the sentence, the state that proves it, and what mends it.

mod link;
mod nobody;
mod policy;
mod route;
mod rule;
mod target;
mod tunnel;

use super::packet::Packet;
use super::walk::Walk;
use crate::fault::{Cause, Confidence, Effect, Evidence, Fault, Fix, Place};
use crate::state::Ns;
use std::net::IpAddr;

impl Walk<'_> {
    /// A fault that stops packets, without evidence and fixes yet.
    pub(super) fn fault(&self, cause: Cause, at: Place, sentence: impl Into<String>) -> Fault {
        Fault {
            cause,
            at,
            way: self.way,
            sentence: sentence.into(),
            effect: Effect::Stops,
            confidence: Confidence::Certain,
            evidence: Vec::new(),
            fixes: Vec::new(),
        }
    }

    /// Who has an address, for sentences: `printer`, else nobody.
    pub(super) fn owner_of(&mut self, address: IpAddr) -> Option<Ns> {
        let mut places = self.near.iter();
        places.find(|ns| self.kernel.outline(ns).is_some_and(|outline| outline.has(address))).cloned()
    }

    /// An address with its owner: `10.0.0.2 (printer)`.
    pub(super) fn named(&mut self, address: IpAddr) -> String {
        match self.owner_of(address) {
            Some(owner) => format!("{address} ({owner})"),
            None => address.to_string(),
        }
    }
}

impl Fault {
    /// Adds a piece of the kernel's state.
    #[must_use]
    pub(super) fn shown(mut self, node: &Ns, command: impl Into<String>, says: impl Into<String>) -> Self {
        self.evidence.push(Evidence { command: command.into(), node: node.clone(), says: says.into() });
        self
    }

    /// Adds what mends it.
    #[must_use]
    pub(super) fn mended(mut self, node: &Ns, does: impl Into<String>, command: impl Into<String>) -> Self {
        let (does, command) = (does.into(), command.into());
        self.fixes.push(Fix { does, node: node.clone(), command, lab_line: None });
        self
    }

    /// Says what the lab file should say instead of the last command.
    #[must_use]
    pub(super) fn in_lab(mut self, line: impl Into<String>) -> Self {
        if let Some(fix) = self.fixes.last_mut() {
            fix.lab_line = Some(line.into());
        }
        self
    }

    #[must_use]
    pub(super) fn with_effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    #[must_use]
    pub(super) fn with_confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }
}

/// `-6 ` for commands about IPv6, nothing for IPv4.
fn version(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "-6 " } else { "" }
}

/// The default route of an address's version.
fn default_of(address: IpAddr) -> &'static str {
    if address.is_ipv6() { "::/0" } else { "default" }
}

/// What the packet is, for sentences: `ICMP echo request to 1.1.1.1`.
fn what(packet: &Packet) -> String {
    format!("{} to {}", packet.title(), packet.destination)
}
