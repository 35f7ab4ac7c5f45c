//! Root qdiscs: tc-tbf(8) for a rate alone, tc-netem(8) for all else (linux/pkt_sched.h).

use super::message::{Attributes, Messages};
use super::socket::{Refusal, Socket};
use netyard_core::shaping::{Shaping, Share};

const RTM_NEWQDISC: u16 = 36;
const RTM_DELQDISC: u16 = 37;
const RTM_GETQDISC: u16 = 38;
const NLM_F_CREATE_REPLACE: u16 = 0x400 | 0x100;
const TC_H_ROOT: u32 = u32::MAX;
const HEADER_LEN: usize = 20;

const TCA_KIND: u16 = 1;
const TCA_OPTIONS: u16 = 2;
const TCA_STATS: u16 = 3;

const TCA_TBF_PARMS: u16 = 1;
const TCA_TBF_RATE64: u16 = 4;
const TCA_TBF_BURST: u16 = 6;
const TCA_NETEM_REORDER: u16 = 3;
const TCA_NETEM_CORRUPT: u16 = 4;
const TCA_NETEM_RATE: u16 = 6;
const TCA_NETEM_RATE64: u16 = 8;
const TCA_NETEM_LATENCY64: u16 = 10;
const TCA_NETEM_JITTER64: u16 = 11;
const NETEM_OPTIONS_LEN: usize = 24;
/// Nanoseconds in the kernel's unit of packet times (net/pkt_sched.h `PSCHED_SHIFT` 6).
const NS_PER_TICK: u64 = 64;
const NS_PER_S: u128 = 1_000_000_000;
const US_PER_S: u128 = 1_000_000;

/// What tbf is told for a shaping with a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tbf {
    /// Bytes per second.
    pub rate_byte_per_s: u64,
    /// Bytes that may leave at once.
    pub burst_bytes: u32,
    /// Bytes that may wait, the burst included.
    pub limit_bytes: u32,
}

/// The tbf parameters of a shaping; none without a rate.
#[must_use]
pub fn tbf_parameters(shaping: &Shaping) -> Option<Tbf> {
    let rate_byte_per_s = shaping.rate_bit_per_s? / 8;
    let burst_bytes = shaping.burst_bytes_or_default();
    let waiting = u128::from(rate_byte_per_s) * u128::from(shaping.latency_us_or_default()) / US_PER_S;
    let limit_bytes = narrowed(waiting + u128::from(burst_bytes));
    Some(Tbf { rate_byte_per_s, burst_bytes, limit_bytes })
}

/// Gives a link a new root qdisc in place of the one it has.
///
/// A shaping that lets packets pass as they are asks for nothing here: see [`delete`].
///
/// # Errors
/// `ENOENT` with "Specified qdisc kind is unknown" when the kernel lacks the qdisc ([`is_kind_unknown`]).
///
/// Same as `tc qdisc replace dev NAME root tbf rate R burst B latency L` or
/// `tc qdisc replace dev NAME root netem delay D J loss L duplicate D reorder R corrupt C rate R`.
pub fn replace(messages: &mut Messages, index: u32, shaping: &Shaping) {
    if shaping.needs_netem() {
        put_netem(messages, index, shaping);
    } else if let Some(tbf) = tbf_parameters(shaping) {
        put_tbf(messages, index, tbf);
    }
}

/// Removes the root qdisc that [`replace`] gave; the kernel's default takes its place.
///
/// # Errors
/// `ENOENT` when the link has the default one.
///
/// Same as `tc qdisc delete dev NAME root`.
pub fn delete(messages: &mut Messages, index: u32) {
    messages.begin(RTM_DELQDISC, 0, &header(index));
}

/// Whether an error number and the kernel's words say that it lacks the qdisc that was asked for.
#[must_use]
pub fn is_kind_unknown(errno: i32, message: Option<&str>) -> bool {
    errno == libc::ENOENT && message.is_some_and(|words| words.contains("qdisc kind is unknown"))
}

/// `struct tcmsg`: family (1 byte), padding (3), ifindex (4), handle (4), parent (4), info (4).
fn header(index: u32) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[12..16].copy_from_slice(&TC_H_ROOT.to_ne_bytes());
    header
}

fn put_tbf(messages: &mut Messages, index: u32, tbf: Tbf) {
    let mut message = messages.begin(RTM_NEWQDISC, NLM_F_CREATE_REPLACE, &header(index));
    message.put_str(TCA_KIND, "tbf");
    let mut options = message.nest(TCA_OPTIONS);
    // struct tc_tbf_qopt: rate and peak rate (struct tc_ratespec, 12 bytes each), limit, buffer, mtu (4 each).
    // struct tc_ratespec: cell_log, linklayer (1 each), overhead, cell_align, mpu (2 each), rate (4).
    // With the link layer named (1 is Ethernet) the kernel computes times itself and wants no rate table.
    const LINKLAYER_ETHERNET: u8 = 1;
    let mut parameters = [0; 36];
    parameters[1] = LINKLAYER_ETHERNET;
    parameters[8..12].copy_from_slice(&saturated(tbf.rate_byte_per_s).to_ne_bytes());
    parameters[24..28].copy_from_slice(&tbf.limit_bytes.to_ne_bytes());
    parameters[28..32].copy_from_slice(
        &saturated(burst_ns(tbf.rate_byte_per_s, tbf.burst_bytes) / NS_PER_TICK).to_ne_bytes(),
    );
    options.put(TCA_TBF_PARMS, &parameters);
    if tbf.rate_byte_per_s > u64::from(u32::MAX) {
        options.put_u64(TCA_TBF_RATE64, tbf.rate_byte_per_s);
    }
    options.put_u32(TCA_TBF_BURST, tbf.burst_bytes);
}

fn burst_ns(rate_byte_per_s: u64, burst_bytes: u32) -> u64 {
    let ns = u128::from(burst_bytes) * NS_PER_S / u128::from(rate_byte_per_s.max(1));
    u64::try_from(ns).unwrap_or(u64::MAX)
}

fn saturated(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn put_netem(messages: &mut Messages, index: u32, shaping: &Shaping) {
    let mut message = messages.begin(RTM_NEWQDISC, NLM_F_CREATE_REPLACE, &header(index));
    message.put_str(TCA_KIND, "netem");
    let delay_ns = u64::from(shaping.delay_us) * 1000;
    let jitter_ns = u64::from(shaping.jitter_us) * 1000;
    let mut options = message.nest_plain(TCA_OPTIONS);
    // struct tc_netem_qopt: latency in ticks, limit in packets, loss, gap, duplicate, jitter in ticks (4 bytes each).
    let gap = u32::from(shaping.reorder != Share::default());
    let words = [
        saturated(delay_ns / NS_PER_TICK),
        shaping.netem_limit_packets(),
        shaping.loss.0,
        gap,
        shaping.duplicate.0,
        saturated(jitter_ns / NS_PER_TICK),
    ];
    options.put_raw(words.map(u32::to_ne_bytes).as_flattened());
    // What is left out stays as it was when netem takes the place of netem, so nothing is. Each of the first two has
    // the share, then the correlation between one packet and the next (4 bytes each).
    for (kind, share) in [(TCA_NETEM_REORDER, shaping.reorder), (TCA_NETEM_CORRUPT, shaping.corrupt)] {
        options.put(kind, [share.0, 0].map(u32::to_ne_bytes).as_flattened());
    }
    let rate_byte_per_s = shaping.rate_bit_per_s.unwrap_or_default() / 8;
    if rate_byte_per_s > u64::from(u32::MAX) {
        options.put_u64(TCA_NETEM_RATE64, rate_byte_per_s);
    }
    // struct tc_netem_rate: rate, packet overhead, cell size, cell overhead (4 bytes each).
    let words = [saturated(rate_byte_per_s), 0, 0, 0];
    options.put(TCA_NETEM_RATE, words.map(u32::to_ne_bytes).as_flattened());
    // Ticks of 64 ns in 32 bits end at 274 s; beyond that the 64-bit attributes rule.
    for (kind, ns) in [(TCA_NETEM_LATENCY64, delay_ns), (TCA_NETEM_JITTER64, jitter_ns)] {
        if ns / NS_PER_TICK > u64::from(u32::MAX) {
            options.put_u64(kind, ns);
        }
    }
}

/// A root qdisc as the kernel tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// ifindex.
    pub index: u32,
    /// Kind, for example `noqueue`, `tbf`.
    pub kind: String,
    /// What it does, as far as tbf and netem tell; the default for all other kinds.
    pub shaping: Shaping,
}

/// The root qdiscs of the namespace of the socket.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `tc qdisc show root`.
pub fn dump(socket: &mut Socket) -> Result<Vec<Qdisc>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETQDISC, 0, &[0; HEADER_LEN]);
    let mut qdiscs = Vec::new();
    socket.dump(&mut messages, |kind, payload| qdiscs.extend(decode(kind, payload)))?;
    Ok(qdiscs)
}

/// How many packets the root qdiscs of the socket's namespace have dropped, by ifindex; those that have dropped none are
/// left out.
///
/// # Errors
/// The kernel's [`Refusal`].
///
/// Same as `tc -s qdisc show root`.
pub fn drops(socket: &mut Socket) -> Result<Vec<(u32, u64)>, Refusal> {
    let mut messages = Messages::new();
    messages.begin(RTM_GETQDISC, 0, &[0; HEADER_LEN]);
    let mut drops = Vec::new();
    socket.dump(&mut messages, |kind, payload| drops.extend(decode_drops(kind, payload)))?;
    Ok(drops)
}

/// `struct tc_stats` (linux/pkt_sched.h) begins with bytes (8), packets (4), drops (4).
fn decode_drops(kind: u16, payload: &[u8]) -> Option<(u32, u64)> {
    let word = |bytes: &[u8], at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if kind != RTM_NEWQDISC || word(payload, 12)? != TC_H_ROOT {
        return None;
    }
    let statistics = Attributes(payload.get(HEADER_LEN..)?).get(TCA_STATS)?;
    let dropped = word(statistics, 12)?;
    (dropped > 0).then_some((word(payload, 4)?, dropped.into()))
}

fn decode(kind: u16, payload: &[u8]) -> Option<Qdisc> {
    let word = |at: usize| Some(u32::from_ne_bytes(payload.get(at..at + 4)?.try_into().ok()?));
    if kind != RTM_NEWQDISC || word(12)? != TC_H_ROOT {
        return None;
    }
    let attributes = Attributes(payload.get(HEADER_LEN..)?);
    let kind = attributes.str(TCA_KIND)?;
    let options = attributes.get(TCA_OPTIONS).unwrap_or_default();
    let shaping = match kind {
        "tbf" => decode_tbf(Attributes(options)),
        "netem" => decode_netem(options),
        _ => None,
    };
    Some(Qdisc { index: word(4)?, kind: kind.to_owned(), shaping: shaping.unwrap_or_default() })
}

/// The shaping that [`tbf_parameters`] turns into what the kernel holds, burst and latency always told.
///
/// The kernel keeps the burst as a time in ticks of 64 ns and the latency as a number of bytes, so that several
/// values fit: taken is the roundest. A burst of more than 274 s at its rate (2^32 ticks) cannot be told, as the
/// kernel says only its remainder, nor a latency of more than 4 GiB.
fn decode_tbf(options: Attributes<'_>) -> Option<Shaping> {
    let parameters = options.get(TCA_TBF_PARMS)?;
    let word = |at: usize| Some(u32::from_ne_bytes(parameters.get(at..at + 4)?.try_into().ok()?));
    let rate_byte_per_s = options.u64(TCA_TBF_RATE64).unwrap_or(u64::from(word(8)?));
    let (limit, ticks) = (word(24)?, u64::from(word(28)?));
    let rate = u128::from(rate_byte_per_s.max(1));
    // A time is its size rounded down to a tick, and by the kernel's own arithmetic by up to one more.
    let byte_ns_in = |ticks: u64| u128::from(ticks) * u128::from(NS_PER_TICK) * rate;
    let burst_bytes = roundest(
        narrowed(byte_ns_in(ticks).div_ceil(NS_PER_S)),
        narrowed(byte_ns_in(ticks + 2) / NS_PER_S),
        &BYTE_STEPS,
    );
    let waiting = u128::from(limit.saturating_sub(burst_bytes));
    let latency_us = roundest(
        narrowed((waiting * US_PER_S).div_ceil(rate)),
        narrowed(((waiting + 1) * US_PER_S - 1) / rate),
        &US_STEPS,
    );
    Some(Shaping {
        rate_bit_per_s: Some(rate_byte_per_s * 8),
        burst_bytes: Some(burst_bytes),
        latency_us: Some(latency_us),
        ..Shaping::default()
    })
}

/// Sizes that people write, the roundest first.
const BYTE_STEPS: [u32; 8] = [1 << 20, 1_000_000, 100_000, 10_000, 1 << 10, 1000, 100, 10];
/// Times that people write, in microseconds.
const US_STEPS: [u32; 6] = [1_000_000, 100_000, 10_000, 1000, 100, 10];

/// The multiple of the first step that has one from `first` to `last`; else `first`.
fn roundest(first: u32, last: u32, steps: &[u32]) -> u32 {
    let multiple = |step: &u32| first.checked_next_multiple_of(*step).filter(|n| (first..=last).contains(n));
    steps.iter().find_map(multiple).unwrap_or(first)
}

fn narrowed(value: u128) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn decode_netem(options: &[u8]) -> Option<Shaping> {
    let word = |at: usize| Some(u32::from_ne_bytes(options.get(at..at + 4)?.try_into().ok()?));
    let attributes = Attributes(options.get(NETEM_OPTIONS_LEN..)?);
    let us = |kind, ticks: u32| {
        let ns = attributes.u64(kind).unwrap_or(u64::from(ticks) * NS_PER_TICK);
        // Rounded down to a tick on its way in, it is nearest to the microsecond that was asked for.
        saturated((ns + 500) / 1000)
    };
    let share = |kind| attributes.u32(kind).map(Share).unwrap_or_default();
    let rate = attributes.u32(TCA_NETEM_RATE).map(u64::from);
    Some(Shaping {
        rate_bit_per_s: attributes
            .u64(TCA_NETEM_RATE64)
            .or(rate)
            .filter(|rate| *rate > 0)
            .map(|rate| rate * 8),
        burst_bytes: None,
        latency_us: None,
        delay_us: us(TCA_NETEM_LATENCY64, word(0)?),
        jitter_us: us(TCA_NETEM_JITTER64, word(20)?),
        loss: Share(word(8)?),
        duplicate: Share(word(16)?),
        reorder: share(TCA_NETEM_REORDER),
        corrupt: share(TCA_NETEM_CORRUPT),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload of `TCA_OPTIONS` in the request for a shaping.
    fn options(shaping: &Shaping) -> Vec<u8> {
        let mut messages = Messages::new();
        replace(&mut messages, 7, shaping);
        Attributes(&messages.attributes()[HEADER_LEN..]).get(TCA_OPTIONS).unwrap().to_vec()
    }

    fn bytes(hex: &str) -> Vec<u8> {
        hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
    }

    fn everything() -> Shaping {
        Shaping {
            rate_bit_per_s: Some(1_000_000),
            delay_us: 20_000,
            jitter_us: 5_000,
            loss: Share::from_percent(1.0),
            duplicate: Share::from_percent(2.0),
            reorder: Share::from_percent(25.0),
            corrupt: Share::from_percent(0.1),
            ..Shaping::default()
        }
    }

    /// `strace -e sendmsg tc qdisc add dev v0 root netem limit 1002 delay 20ms 5ms loss 1% duplicate 2% reorder 25%
    /// corrupt 0.1% rate 1mbit` of iproute2 6.1.
    #[test]
    fn netem_is_asked_for_as_tc_does() {
        let of_tc = "b4 c4 04 00  ea 03 00 00  29 5c 8f 02  01 00 00 00  52 b8 1e 05  2d 31 01 00 \
                     0c 00 03 00  00 00 00 40  00 00 00 00 \
                     0c 00 04 00  37 89 41 00  00 00 00 00 \
                     14 00 06 00  48 e8 01 00  00 00 00 00  00 00 00 00  00 00 00 00";
        assert_eq!(options(&everything()), bytes(of_tc));
        // The same with `limit 7667666 delay 2s 300ms rate 40gbit`: the rate in 64 bits comes first.
        let fast = Shaping {
            rate_bit_per_s: Some(40_000_000_000),
            delay_us: 2_000_000,
            jitter_us: 300_000,
            ..everything()
        };
        let of_tc = "50 d6 dc 01  d2 ff 74 00  29 5c 8f 02  01 00 00 00  52 b8 1e 05  8c 86 47 00 \
                     0c 00 03 00  00 00 00 40  00 00 00 00 \
                     0c 00 04 00  37 89 41 00  00 00 00 00 \
                     0c 00 08 00  00 f2 05 2a 01 00 00 00 \
                     14 00 06 00  ff ff ff ff  00 00 00 00  00 00 00 00  00 00 00 00";
        assert_eq!(options(&fast), bytes(of_tc));
    }

    /// `tc qdisc add dev v0 root tbf rate 10mbit burst 5000 latency 50ms` sends the same numbers, and besides them a
    /// rate table and the shape of its cells, of which the kernel makes nothing.
    #[test]
    fn tbf_is_asked_for_with_the_numbers_of_tc() {
        let shaping = Shaping {
            rate_bit_per_s: Some(10_000_000),
            burst_bytes: Some(5_000),
            latency_us: Some(50_000),
            ..Shaping::default()
        };
        let ours = "28 00 01 00  00 01 00 00 00 00 00 00 d0 12 13 00  00 00 00 00 00 00 00 00 00 00 00 00 \
                    ac 07 01 00  24 f4 00 00  00 00 00 00  08 00 06 00  88 13 00 00";
        assert_eq!(options(&shaping), bytes(ours));
    }

    #[test]
    fn netem_reads_back_as_it_was_asked_for() {
        for delay_us in [0, 1, 33, 20_001, 274_000_000, 274_877_908, u32::MAX] {
            let asked = Shaping { delay_us, jitter_us: delay_us / 3, ..everything() };
            assert_eq!(decode_netem(&options(&asked)), Some(asked));
        }
        let slow = Shaping { rate_bit_per_s: None, reorder: Share::default(), ..everything() };
        assert_eq!(decode_netem(&options(&slow)), Some(slow));
    }

    #[test]
    fn tbf_reads_back_as_it_was_asked_for() {
        for (rate, burst_bytes, latency_us) in [
            (8_000, 3_036, 50_000),
            (1_544_000, 12_345, 1_000),
            (10_000_000_000, 12_500_000, 50_000),
            (100_000_000_000, 125_000_000, 200_000),
        ] {
            let asked = Shaping {
                rate_bit_per_s: Some(rate),
                burst_bytes: Some(burst_bytes),
                latency_us: Some(latency_us),
                ..Shaping::default()
            };
            assert_eq!(decode_tbf(Attributes(&options(&asked))), Some(asked));
        }
    }

    #[test]
    fn what_is_too_short_is_no_qdisc() {
        let whole = options(&everything());
        assert!((0..NETEM_OPTIONS_LEN).all(|len| decode_netem(&whole[..len]).is_none()));
        assert_eq!(decode_tbf(Attributes(&[])), None);
        assert!((0..40).all(|len| decode(RTM_NEWQDISC, &vec![255; len]).is_none()));
    }
}
