//! Rates, times, sizes and shares in the units of tc(8).

/// A rate in bits per second: `10mbit`, `1.5gbit`, `500kbit`, and tc's bytes per second `1mbps`.
pub(crate) fn rate_bit_per_s(text: &str) -> Option<u64> {
    whole(any_rate(text)?, RATE_BIT_PER_S_MIN, RATE_BIT_PER_S_MAX)
}

/// Why a rate with its unit is none that a link can have.
pub(crate) fn flaw_of_rate(text: &str) -> Option<&'static str> {
    let rate = any_rate(text)?;
    match rate_bit_per_s(text) {
        Some(_) => None,
        None if rate < 8.0 => Some("too small: the least is `8bit`"),
        None => Some("too large: the most is `1000tbit`"),
    }
}

/// The slowest link: the kernel counts whole bytes per second (linux/pkt_sched.h `tc_ratespec`).
const RATE_BIT_PER_S_MIN: u64 = 8;
const RATE_BIT_PER_S_MAX: u64 = 1_000_000_000_000_000;

/// A rate of any size.
fn any_rate(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    let unit = unit.to_ascii_lowercase();
    let unit = unit.strip_suffix("/s").unwrap_or(&unit);
    let factor = match unit {
        "" | "bit" => 1.0,
        "kbit" => 1e3,
        "mbit" => 1e6,
        "gbit" => 1e9,
        "tbit" => 1e12,
        "kibit" => 1024.0,
        "mibit" => 1024.0 * 1024.0,
        "gibit" => 1024.0 * 1024.0 * 1024.0,
        "bps" => 8.0,
        "kbps" => 8e3,
        "mbps" => 8e6,
        "gbps" => 8e9,
        _ => return None,
    };
    Some(number * factor)
}

/// A time in microseconds: `10ms`, `200us`, `1s`; `0` needs no unit.
pub(crate) fn time_us(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" if number == 0.0 => 1.0,
        "us" | "usec" | "usecs" | "µs" => 1.0,
        "ms" | "msec" | "msecs" => 1e3,
        "s" | "sec" | "secs" => 1e6,
        "min" => 60e6,
        _ => return None,
    };
    whole(number * factor, 0, u64::from(u32::MAX))
}

/// A size in bytes: `1500`, `32kb`, `1mb`; k and m are 1024 and 1024 x 1024, as in tc.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "k" | "kb" => 1024.0,
        "m" | "mb" => 1024.0 * 1024.0,
        "kbit" => 1000.0 / 8.0,
        "mbit" => 1e6 / 8.0,
        _ => return None,
    };
    whole(number * factor, 1, u64::from(u32::MAX))
}

/// A share in per cent, 0 to 100: `1%`, `0.5%`, `0.5`.
pub(crate) fn percent(text: &str) -> Option<f64> {
    let (number, unit) = split(text)?;
    (matches!(unit, "" | "%") && number <= 100.0).then_some(number)
}

/// A number and what follows it.
fn split(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    Some((number, text[end..].trim_start()))
}

fn whole(value: f64, min: u64, max: u64) -> Option<u64> {
    let value = value.round();
    // Values up to 2^50 are exact in an f64, so the comparison decides before the cast could lose anything.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    (value >= min as f64 && value <= max as f64).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_tc() {
        assert_eq!(rate_bit_per_s("10mbit"), Some(10_000_000));
        assert_eq!(rate_bit_per_s("1.5Gbit"), Some(1_500_000_000));
        assert_eq!(rate_bit_per_s("500 kbit/s"), Some(500_000));
        assert_eq!(rate_bit_per_s("10MBps"), Some(80_000_000));
        assert_eq!(rate_bit_per_s("ten"), None);
        assert_eq!(rate_bit_per_s("0mbit"), None);
        assert!(flaw_of_rate("1bit").is_some_and(|flaw| flaw.starts_with("too small")));
        assert!(flaw_of_rate("9999tbit").is_some_and(|flaw| flaw.starts_with("too large")));
        assert_eq!((flaw_of_rate("8bit"), flaw_of_rate("ten")), (None, None));
        assert_eq!(time_us("10ms"), Some(10_000));
        assert_eq!(time_us("0"), Some(0));
        assert_eq!(time_us("10"), None);
        assert_eq!(time_us("1.5s"), Some(1_500_000));
        assert_eq!(bytes("32kb"), Some(32_768));
        assert_eq!(bytes("1540"), Some(1540));
        assert_eq!(percent("0.5%"), Some(0.5));
        assert_eq!(percent("101"), None);
        assert_eq!(percent("-1"), None);
    }
}
