//! Spans of time (systemd.time(7)).

use std::time::Duration;

/// A span such as `90`, `2m`, `1min 30s`, `infinity`; the inner none is for ever, the outer one no span.
///
/// ```
/// use netyard_core::unit::time_span;
/// use std::time::Duration;
/// assert_eq!(time_span("1min 30s"), Some(Some(Duration::from_secs(90))));
/// assert_eq!(time_span("infinity"), Some(None));
/// ```
#[must_use]
pub fn time_span(text: &str) -> Option<Option<Duration>> {
    let text = text.trim();
    if text == "infinity" {
        return Some(None);
    }
    let mut total = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        total += number * seconds(&rest[..letters])?;
        rest = rest[letters..].trim_start();
    }
    (!text.is_empty()).then_some(())?;
    Duration::try_from_secs_f64(total).ok().map(Some)
}

fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "us" | "usec" | "µs" => 1e-6,
        "ms" | "msec" => 1e-3,
        "" | "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        assert_eq!(time_span("5"), Some(Some(Duration::from_secs(5))));
        assert_eq!(time_span("100ms"), Some(Some(Duration::from_millis(100))));
        assert_eq!(time_span("2m1s"), Some(Some(Duration::from_secs(121))));
        for none in ["", "x", "5 parsecs", "1.2.3"] {
            assert_eq!(time_span(none), None, "{none}");
        }
    }
}
