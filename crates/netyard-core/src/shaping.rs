//! What a link does to packets: rate, delay, loss and the like, in the units of tc(8).

use serde::{Deserialize, Serialize};
use std::fmt;

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

    /// Longest wait in the tbf queue where none is given, in microseconds.
    pub const LATENCY_US: u32 = 50_000;

    /// The tbf burst in bytes: as given, else what the rate carries in 10 ms, but two full Ethernet frames at least.
    ///
    /// Ten milliseconds ride out a late timer on a busy machine and add 1 % to a measurement of one second.
    #[must_use]
    pub fn burst_bytes_or_default(&self) -> u32 {
        self.burst_bytes.unwrap_or_else(|| self.burst_bytes_for(1500))
    }

    /// The tbf latency in microseconds: as given, else [`Self::LATENCY_US`].
    #[must_use]
    pub fn latency_us_or_default(&self) -> u32 {
        self.latency_us.unwrap_or(Self::LATENCY_US)
    }

    /// The netem queue limit in packets: 1000, as tc-netem(8), and room for what is under way during the delay at
    /// the rate (1 Gbit/s where none is given) in packets of 1500 bytes. tc's 1000 alone would lose packets there.
    #[must_use]
    pub fn netem_limit_packets(&self) -> u32 {
        let delay_us = u64::from(self.delay_us) + u64::from(self.jitter_us);
        let rate_bit_per_s = self.rate_bit_per_s.unwrap_or(1_000_000_000);
        let bits = u128::from(rate_bit_per_s) * u128::from(delay_us) / 1_000_000;
        u32::try_from(1000 + bits / 12_000).unwrap_or(u32::MAX)
    }

    /// The same with the numbers filled in that the kernel holds for a link of this MTU: burst and latency of a
    /// tbf, neither of them for a netem.
    #[must_use]
    pub fn with_defaults(self, mtu: u32) -> Self {
        if self.needs_netem() || self.rate_bit_per_s.is_none() {
            return Self { burst_bytes: None, latency_us: None, ..self };
        }
        let burst_bytes = self.burst_bytes.unwrap_or_else(|| self.burst_bytes_for(mtu));
        Self { burst_bytes: Some(burst_bytes), latency_us: Some(self.latency_us_or_default()), ..self }
    }

    /// Whether the kernel treats packets alike for both.
    ///
    /// The kernel keeps burst, latency and delays in ticks of 64 ns and of the rate, so that what is read back is
    /// off by a little: 1 % (and 2 bytes or microseconds) of these count as equal.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let of_tbf = |s: &Self| [s.burst_bytes_or_default(), s.latency_us_or_default()];
        let is_tbf = self.rate_bit_per_s.is_some() && !self.needs_netem();
        let times = [self.delay_us, self.jitter_us].into_iter().zip([other.delay_us, other.jitter_us]);
        let shares = |s: &Self| [s.loss, s.duplicate, s.reorder, s.corrupt];
        self.rate_bit_per_s == other.rate_bit_per_s
            && shares(self) == shares(other)
            && times.into_iter().all(|(a, b)| is_near(a, b))
            && (!is_tbf || of_tbf(self).into_iter().zip(of_tbf(other)).all(|(a, b)| is_near(a, b)))
    }

    fn burst_bytes_for(&self, mtu: u32) -> u32 {
        let in_10_ms = self.rate_bit_per_s.unwrap_or(0) / 8 / 100;
        let two_frames = mtu.saturating_add(18).saturating_mul(2);
        u32::try_from(in_10_ms).unwrap_or(u32::MAX).max(two_frames)
    }
}

fn is_near(a: u32, b: u32) -> bool {
    a.abs_diff(b) <= 2 + a.max(b) / 100
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

impl fmt::Display for Share {
    /// In per cent with the fewest decimals that read back as the same share, for example `1.5%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.percent();
        let text = (0..=10)
            .map(|decimals| format!("{percent:.decimals$}"))
            .find(|text| text.parse().is_ok_and(|parsed| Self::from_percent(parsed) == *self));
        write!(f, "{}%", text.unwrap_or_else(|| percent.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_prints_as_it_was_written() {
        for (percent, text) in
            [(0.0, "0%"), (1.5, "1.5%"), (0.001, "0.001%"), (33.3, "33.3%"), (100.0, "100%")]
        {
            assert_eq!(Share::from_percent(percent).to_string(), text);
        }
        for raw in [1, 2, 12_345_678, u32::MAX - 1] {
            let text = Share(raw).to_string();
            let percent = text.trim_end_matches('%').parse().unwrap();
            assert_eq!(Share::from_percent(percent), Share(raw), "{text}");
        }
    }

    #[test]
    fn a_burst_takes_ten_milliseconds_and_two_frames() {
        let rate = |rate| Shaping { rate_bit_per_s: Some(rate), ..Shaping::default() };
        assert_eq!(rate(10_000_000).burst_bytes_or_default(), 12_500);
        assert_eq!(rate(64_000).burst_bytes_or_default(), 3036);
        assert_eq!(rate(64_000).with_defaults(9000).burst_bytes, Some(18_036));
    }

    #[test]
    fn what_is_read_back_is_like_what_was_asked_for() {
        let asked = Shaping { rate_bit_per_s: Some(10_000_000), ..Shaping::default() };
        let read = Shaping { burst_bytes: Some(12_499), latency_us: Some(49_999), ..asked };
        assert!(asked.is_like(&read) && asked.with_defaults(1500).is_like(&read));
        assert!(!asked.is_like(&Shaping { burst_bytes: Some(30_000), ..asked }));
        assert!(!asked.is_like(&Shaping { rate_bit_per_s: Some(9_999_999), ..asked }));
        let late = Shaping { delay_us: 20_000, ..Shaping::default() };
        assert!(late.is_like(&Shaping { burst_bytes: Some(5), ..late }));
        assert!(!late.is_like(&Shaping::default()));
    }
}
