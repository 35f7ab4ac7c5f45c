//! Numbers with units, as they are typed.

use std::time::Duration;

/// `10s`, `500ms`, `2m`, `1h`; seconds where there is no unit.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let milliseconds = match unit {
        "ms" => 1.0,
        "" | "s" => 1000.0,
        "m" => 60_000.0,
        "h" => 3_600_000.0,
        _ => return Err(format!("`{unit}` is no unit of time: ms, s, m, h are")),
    };
    let number: f64 = number.parse().map_err(|_| format!("`{text}` is no time: write 10s or 500ms"))?;
    Duration::try_from_secs_f64(number * milliseconds / 1000.0)
        .ok()
        .filter(|time| !time.is_zero() && *time < Duration::from_secs(366 * 24 * 3600))
        .ok_or_else(|| format!("`{text}` is too short or too long"))
}

/// `512K`, `8M`; bytes where there is no unit. 64K to 1G.
pub fn size(text: &str) -> Result<usize, String> {
    let (number, unit) = split(text);
    let shift = match unit {
        "" => 0,
        "K" | "k" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return Err(format!("`{unit}` is no unit of size: K, M, G are")),
    };
    let number: usize = number.parse().map_err(|_| format!("`{text}` is no size: write 512K or 8M"))?;
    let size = number.checked_mul(1 << shift).filter(|size| (64 << 10..=1 << 30).contains(size));
    size.ok_or_else(|| format!("`{text}` is not between 64K and 1G"))
}

/// The number and what follows it.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes() {
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("3"), Ok(Duration::from_secs(3)));
        assert_eq!(size("512K"), Ok(512 << 10));
        assert_eq!(size("65536"), Ok(65536));
        for wrong in ["", "s", "0", "-1s", "1x", "1e9h", "9999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "K", "1", "2G", "1.5M", "8MB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
