//! Rules that choose a table, and refuse instead (ip-rule(8)).

use super::version;
use crate::fault::{Cause, Place};
use crate::state::{Ns, PolicyAction, PolicyRule};
use crate::why::packet::Packet;
use crate::why::sight::errno;
use crate::why::walk::Walk;

impl Walk<'_> {
    /// Blames the rule that refuses a packet with this errno, if there is one. `iif` is the link that it came in by;
    /// none for a packet of the node's own.
    pub(super) fn blame_policy_rule(
        &mut self,
        ns: &Ns,
        iif: Option<u32>,
        packet: &Packet,
        errno: i32,
    ) -> bool {
        let incoming = iif.and_then(|iif| self.link(ns, iif)).map(|link| link.name);
        let incoming = incoming.as_ref().map_or("lo", |name| name.as_str());
        let refuses = |rule: &&PolicyRule| refusal(rule.action) == Some(errno);
        let inside = self.inside(ns);
        let mut rules: Vec<_> =
            inside.policy.iter().filter(refuses).filter(|rule| is_for(rule, packet, incoming)).collect();
        rules.sort_by_key(|rule| rule.priority);
        let Some(rule) = rules.first().map(|rule| (*rule).clone()) else { return false };
        let (cause, does) = match rule.action {
            PolicyAction::Blackhole => (Cause::Blackhole, "silently drops"),
            PolicyAction::Prohibit => (Cause::Prohibit, "refuses"),
            _ => (Cause::UnreachableRoute, "refuses"),
        };
        let version = version(packet.destination);
        // A packet of the node's own has no source yet when its route is looked up.
        let from =
            if packet.source.is_unspecified() { String::new() } else { format!("from {} ", packet.source) };
        let sentence = format!("a routing rule of {ns} {does} packets {from}to {}", packet.destination);
        let fault = self
            .fault(cause, Place::node(ns.clone()), sentence)
            .shown(ns, format!("ip {version}rule show"), rule.to_string())
            .mended(ns, "removes the rule", format!("ip {version}rule delete {rule}"));
        self.blame(fault, packet);
        true
    }
}

/// What a look-up says when a rule of this action is met (`fib4_rule_action` in the kernel).
fn refusal(action: PolicyAction) -> Option<i32> {
    match action {
        PolicyAction::Blackhole => Some(errno::EINVAL),
        PolicyAction::Unreachable => Some(errno::ENETUNREACH),
        PolicyAction::Prohibit => Some(errno::EACCES),
        PolicyAction::Table(_) | PolicyAction::Other(_) => None,
    }
}

/// Whether a rule holds for a packet, as far as is known: one that asks for what is not read holds for none.
fn is_for(rule: &PolicyRule, packet: &Packet, incoming: &str) -> bool {
    if rule.is_ipv6 != packet.destination.is_ipv6() || rule.out.is_some() {
        return false;
    }
    let is_marked =
        |(mark, mask): (u32, u32)| packet.marks.packet.is_some_and(|own| own & mask == mark & mask);
    let holds = rule.from.is_none_or(|from| from.contains(&packet.source))
        && rule.mark.is_none_or(is_marked)
        && rule.to.is_none_or(|to| to.contains(&packet.destination))
        && rule.incoming.as_ref().is_none_or(|name| name.as_str() == incoming);
    rule.others.is_empty() && holds != rule.is_inverted
}
