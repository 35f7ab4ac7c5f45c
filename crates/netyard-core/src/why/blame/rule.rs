//! Faults of packet filters.

use super::route::told_with_count;
use super::what;
use crate::fault::{Cause, Confidence, Effect, Place};
use crate::journey::RuleAt;
use crate::nft::Hook;
use crate::state::Ns;
use crate::why::ethernet::Step;
use crate::why::packet::Packet;
use crate::why::path::At;
use crate::why::rules::Spot;
use crate::why::sight::{Chain, Ruleset};
use crate::why::walk::Walk;

/// The command that lists a chain.
fn list(ruleset: &Ruleset, chain: &str) -> String {
    if ruleset.is_legacy {
        format!("{} -t {} -S {chain}", legacy_program(ruleset), ruleset.name)
    } else {
        format!("nft -a list chain {} {} {chain}", ruleset.family, ruleset.name)
    }
}

fn legacy_program(ruleset: &Ruleset) -> &'static str {
    if ruleset.family == crate::nft::Family::Ip6 { "ip6tables-legacy" } else { "iptables-legacy" }
}

/// The chain with its table: `inet filter forward`, `iptables-legacy filter FORWARD`.
fn chain_words(ruleset: &Ruleset, chain: &str) -> String {
    if ruleset.is_legacy {
        format!("{} {} {chain}", legacy_program(ruleset), ruleset.name)
    } else {
        format!("{} {} {chain}", ruleset.family, ruleset.name)
    }
}

impl Walk<'_> {
    /// Where a packet meets a rule.
    fn place_of(&mut self, at: At<'_>) -> Place {
        let index = match at.hook {
            Hook::Ingress | Hook::Egress => at.iif.or(at.oif),
            _ => None,
        };
        match index {
            Some(index) => self.place(at.ns, index),
            None => Place::node(at.ns.clone()),
        }
    }

    pub(in crate::why) fn blame_rule(
        &mut self,
        at: At<'_>,
        spot: Spot<'_>,
        ruleset: &Ruleset,
        packet: &Packet,
        rejects: bool,
    ) {
        let does = if rejects { "rejects" } else { "drops" };
        let chain = chain_words(ruleset, &spot.chain.name);
        let text = spot.rule.rule.to_string();
        let sentence =
            format!("{} {does} the {}: rule {} of {chain}, `{text}`", at.ns, what(packet), spot.rule.handle);
        let fix = if ruleset.is_legacy {
            format!(
                "{} -t {} -D {} {}",
                legacy_program(ruleset),
                ruleset.name,
                spot.chain.name,
                spot.rule.handle
            )
        } else {
            format!(
                "nft delete rule {} {} {} handle {}",
                ruleset.family, ruleset.name, spot.chain.name, spot.rule.handle
            )
        };
        let place = self.place_of(at);
        let fault = self
            .fault(Cause::Rule, place, sentence)
            .shown(at.ns, list(ruleset, &spot.chain.name), told_with_count(&text, spot.rule.packets))
            .mended(at.ns, "deletes the rule", fix);
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_policy(
        &mut self,
        at: At<'_>,
        chain: &Chain,
        ruleset: &Ruleset,
        packet: &Packet,
    ) {
        let words = chain_words(ruleset, &chain.name);
        let sentence = format!(
            "{} drops the {}: no rule of {words} lets it pass, and its policy is drop",
            at.ns,
            what(packet)
        );
        let hook = chain.base.as_ref().map(|base| base.hook.to_string()).unwrap_or_default();
        let fix = if ruleset.is_legacy {
            format!("{} -t {} -P {} ACCEPT", legacy_program(ruleset), ruleset.name, chain.name)
        } else {
            format!("nft 'add chain {} {} {} {{ policy accept; }}'", ruleset.family, ruleset.name, chain.name)
        };
        let place = self.place_of(at);
        let fault = self
            .fault(Cause::Policy, place, sentence)
            .shown(at.ns, list(ruleset, &chain.name), format!("hook {hook}, policy drop"))
            .mended(at.ns, "lets pass what no rule forbids", fix);
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_unknown_rule(
        &mut self,
        at: At<'_>,
        spot: Spot<'_>,
        ruleset: &Ruleset,
        packet: &Packet,
    ) {
        self.blame_unknown_rule_at(at, spot, &spot.told(ruleset), packet);
    }

    pub(in crate::why) fn blame_unknown_rule_at(
        &mut self,
        at: At<'_>,
        _: Spot<'_>,
        rule: &RuleAt,
        packet: &Packet,
    ) {
        let sentence = format!(
            "whether {} lets the {} pass depends on a rule that netyard does not understand: `{}`",
            at.ns,
            what(packet),
            rule.text
        );
        let command = if rule.is_legacy {
            format!("iptables-legacy -t {} -S {}", rule.table, rule.chain)
        } else {
            format!("nft -a list chain {} {} {}", rule.family, rule.table, rule.chain)
        };
        let place = self.place_of(at);
        let fault = self
            .fault(Cause::NotUnderstood, place, sentence)
            .with_confidence(Confidence::Unknown)
            .shown(at.ns, command, rule.text.clone());
        self.blame(fault, packet);
    }

    /// Rules whose conditions are not understood mark packets, and routes are chosen by marks.
    pub(in crate::why) fn blame_unknown_mark(&mut self, ns: &Ns, packet: &Packet) {
        let sentence = format!(
            "which route of {ns} the {} takes depends on its mark, which a rule sets that netyard does not understand",
            what(packet)
        );
        let fault = self
            .fault(Cause::NotUnderstood, Place::node(ns.clone()), sentence)
            .with_confidence(Confidence::Unknown)
            .shown(ns, "ip rule show", "fwmark")
            .shown(ns, "nft list ruleset", "mark set");
        self.blame(fault, packet);
    }

    pub(in crate::why) fn blame_unread(&mut self, ns: &Ns, why: &str, packet: &Packet) {
        let sentence = format!("the rules of {ns} could not be read: {why}");
        let fault = self
            .fault(Cause::NotUnderstood, Place::node(ns.clone()), sentence)
            .with_confidence(Confidence::Unknown)
            .shown(ns, "nft list ruleset", why);
        self.blame(fault, packet);
    }

    /// A bridged frame meets rules that are meant for routed packets.
    #[allow(clippy::too_many_arguments, reason = "they are one finding")]
    pub(in crate::why) fn blame_bridge_filter(
        &mut self,
        step: &Step,
        key: &str,
        ruleset: &Ruleset,
        chain: &Chain,
        rule: Option<RuleAt>,
        stops: Option<bool>,
        packet: &Packet,
    ) {
        let text = rule.as_ref().map_or_else(|| "policy drop".to_owned(), |rule| rule.text.clone());
        let words = chain_words(ruleset, &chain.name);
        let does = match stops {
            Some(true) => format!("are dropped by {words}, `{text}`"),
            Some(false) => format!("are rewritten by {words}, `{text}`"),
            None => format!("pass a rule that netyard does not understand, `{text}`"),
        };
        let place = self.place(&step.ns, step.link);
        let sentence =
            format!("frames that {place} bridges pass the rules for routed packets ({key} = 1), and {does}");
        let fault = self
            .fault(Cause::BridgedFramesFiltered, place, sentence)
            .with_effect(if stops == Some(false) { Effect::Sometimes } else { Effect::Stops })
            .with_confidence(if stops.is_none() { Confidence::Unknown } else { Confidence::Certain })
            .shown(&step.ns, format!("sysctl {key}"), format!("{key} = 1"))
            .shown(&step.ns, list(ruleset, &chain.name), text)
            .mended(&step.ns, "keeps bridged frames away from them", format!("sysctl -w {key}=0"));
        self.blame(fault, packet);
    }
}
