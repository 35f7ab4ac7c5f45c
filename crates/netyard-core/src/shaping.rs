//! What a link does to packets: rate, delay, loss and the like, in the units of tc(8).

use serde::{Deserialize, Serialize};

/// How one direction of a link treats packets. The default lets them pass as they are.
///
/// `rate` alone is tc-tbf(8); anything else is tc-netem(8), which then also does the rate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shaping {
    /// Bits per second, 8 and more.
    pub rate_bit_per_s: Option<u64>,
    /// Bytes that may leave at once (tbf `burst`); computed from the rate where absent.
    pub burst_bytes: Option<u32>,
    /// Longest time that a packet waits in the tbf queue, in microseconds (tbf `latency`).
    pub latency_us: Option<u32>,
    /// Constant delay in microseconds.
    pub delay_us: u32,
    /// Random variation of the delay in microseconds; at most the delay.
    pub jitter_us: u32,
    /// Share of packets lost.
    pub loss: Share,
    /// Share of packets sent twice.
    pub duplicate: Share,
    /// Share of packets sent at once, before delayed ones; needs a delay.
    pub reorder: Share,
    /// Share of packets with one flipped bit.
    pub corrupt: Share,
}

impl Shaping {
    /// Whether packets pass as they are.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it takes the netem qdisc, which not every kernel has.
    #[must_use]
    pub fn needs_netem(&self) -> bool {
        let Self { delay_us, jitter_us, loss, duplicate, reorder, corrupt, .. } = *self;
        delay_us > 0 || jitter_us > 0 || [loss, duplicate, reorder, corrupt].iter().any(|s| s.0 > 0)
    }
}

/// A share of packets in parts of the kernel's 32-bit scale: 0 is none, `u32::MAX` is all (tc-netem(8)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share(pub u32);

impl Share {
    /// From per cent, 0 to 100; values outside are clamped.
    #[must_use]
    pub fn from_percent(percent: f64) -> Self {
        // The cast saturates, so 100 % is exactly `u32::MAX`.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        Self((percent / 100.0 * f64::from(u32::MAX)).round() as u32)
    }

    /// In per cent.
    #[must_use]
    pub fn percent(self) -> f64 {
        f64::from(self.0) / f64::from(u32::MAX) * 100.0
    }
}
