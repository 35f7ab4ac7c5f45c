//! Shaping keys of networks and links: `rate`, `delay`, `loss` and the like.

use super::read::{Fields, Problems};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::shaping::{Shaping, Share};

/// Shaping as written: what is absent comes from the network, then from `defaults`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct ShapingDecl {
    rate_bit_per_s: Option<u64>,
    burst_bytes: Option<u32>,
    latency_us: Option<u32>,
    delay_us: Option<u32>,
    jitter_us: Option<u32>,
    loss: Option<f64>,
    duplicate: Option<f64>,
    reorder: Option<f64>,
    corrupt: Option<f64>,
}

impl ShapingDecl {
    /// Takes the shaping keys out of a map.
    pub(crate) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        let decl = Self {
            rate_bit_per_s: fields.get("rate").and_then(|tree| problems.rate(tree)),
            burst_bytes: fields.get("burst").and_then(|tree| problems.bytes(tree)),
            latency_us: fields.get("latency").and_then(|tree| problems.time_us(tree)),
            delay_us: fields.get("delay").and_then(|tree| problems.time_us(tree)),
            jitter_us: fields.get("jitter").and_then(|tree| problems.time_us(tree)),
            loss: fields.get("loss").and_then(|tree| problems.percent(tree)),
            duplicate: fields.get("duplicate").and_then(|tree| problems.percent(tree)),
            reorder: fields.get("reorder").and_then(|tree| problems.percent(tree)),
            corrupt: fields.get("corrupt").and_then(|tree| problems.percent(tree)),
        };
        // What a key needs may come from the network, but where both are here they can be judged here.
        if let (Some(delay), Some(jitter), Some(entry)) =
            (decl.delay_us, decl.jitter_us, fields.peek("jitter"))
            && jitter > delay
        {
            let problem = Diagnostic::new(Code::ShapingIncomplete, entry.span);
            problems.push(problem.label("more than the delay").help("the jitter is at most the delay"));
        }
        decl
    }

    /// This, and what is absent here from `base`.
    pub(crate) fn or(&self, base: &Self) -> Self {
        Self {
            rate_bit_per_s: self.rate_bit_per_s.or(base.rate_bit_per_s),
            burst_bytes: self.burst_bytes.or(base.burst_bytes),
            latency_us: self.latency_us.or(base.latency_us),
            delay_us: self.delay_us.or(base.delay_us),
            jitter_us: self.jitter_us.or(base.jitter_us),
            loss: self.loss.or(base.loss),
            duplicate: self.duplicate.or(base.duplicate),
            reorder: self.reorder.or(base.reorder),
            corrupt: self.corrupt.or(base.corrupt),
        }
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The shaping that the kernel gets; `span` is where a contradiction is shown.
    pub(crate) fn resolve(&self, span: Span, problems: &mut Problems) -> Shaping {
        let needs_rate = self.rate_bit_per_s.is_none();
        let missing = if needs_rate && self.burst_bytes.is_some() {
            Some("`burst` needs a `rate`")
        } else if needs_rate && self.latency_us.is_some() {
            Some("`latency` is how long a packet may wait for the `rate`; a constant time is `delay`")
        } else if self.delay_us.is_none() && self.jitter_us.is_some_and(|jitter| jitter > 0) {
            Some("`jitter` varies a `delay`")
        } else if self.delay_us.is_none() && self.reorder.is_some_and(|share| share > 0.0) {
            Some("`reorder` lets packets overtake those that a `delay` holds")
        } else {
            None
        };
        if let Some(missing) = missing {
            problems.push(Diagnostic::new(Code::ShapingIncomplete, span).label(missing));
        }
        let share = |percent: Option<f64>| percent.map(Share::from_percent).unwrap_or_default();
        Shaping {
            rate_bit_per_s: self.rate_bit_per_s,
            burst_bytes: self.burst_bytes,
            latency_us: self.latency_us,
            delay_us: self.delay_us.unwrap_or(0),
            jitter_us: self.jitter_us.unwrap_or(0),
            loss: share(self.loss),
            duplicate: share(self.duplicate),
            reorder: share(self.reorder),
            corrupt: share(self.corrupt),
        }
    }
}
