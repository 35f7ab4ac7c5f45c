//! ping(8) of iputils: its options, its packets and its words.

mod line;
mod packet;

pub use line::{Tally, answer, error, heading};
pub use packet::{answered, request, sequence_of};

use super::options::{self, Known, Word, Wrong};
use std::time::Duration;

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Name or address.
    pub target: String,
    /// `-c`: echo requests; without end where none is given.
    pub count: Option<u64>,
    /// `-i`: time between two of them.
    pub interval: Duration,
    /// `-W`: how long the last answer is waited for.
    pub wait: Duration,
    /// `-w`: time after which all ends.
    pub deadline: Option<Duration>,
    /// `-s`: payload in bytes.
    pub size: u16,
    /// `-t`: TTL or hop limit.
    pub ttl: Option<u8>,
    /// `-I`: own address, or an interface.
    pub from: Option<String>,
    /// `-4`, `-6`: whether the address must be of IPv6.
    pub is_ipv6: Option<bool>,
    /// `-q`: only the summary.
    pub is_quiet: bool,
    /// `-O`: tells of answers that are missing when the next request is sent.
    pub tells_missing: bool,
    /// `-D`: each line begins with the time.
    pub tells_time: bool,
    /// `-M do`: do not fragment.
    pub df: bool,
}

const USAGE: &str = "usage error: Destination address required";
const OPTIONS: [Known; 15] = [
    Known { letter: 'n', name: "n", takes_value: false },
    Known { letter: 'v', name: "v", takes_value: false },
    Known { letter: 'q', name: "q", takes_value: false },
    Known { letter: '4', name: "4", takes_value: false },
    Known { letter: '6', name: "6", takes_value: false },
    Known { letter: 'O', name: "O", takes_value: false },
    Known { letter: 'D', name: "D", takes_value: false },
    Known { letter: 'c', name: "c", takes_value: true },
    Known { letter: 'i', name: "i", takes_value: true },
    Known { letter: 'W', name: "W", takes_value: true },
    Known { letter: 'w', name: "w", takes_value: true },
    Known { letter: 's', name: "s", takes_value: true },
    Known { letter: 't', name: "t", takes_value: true },
    Known { letter: 'I', name: "I", takes_value: true },
    Known { letter: 'M', name: "M", takes_value: true },
];

/// Why it does not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The exit code: 2 for an option that is none, 1 for a value that is none, and without a destination.
    pub code: u8,
    /// What ping says after `ping: `.
    pub words: String,
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self { code: 2, words: wrong.into() }
    }
}

impl From<String> for Failure {
    fn from(words: String) -> Self {
        Self { code: 1, words }
    }
}

/// Reads what was typed.
///
/// # Errors
/// What ping says, and its exit code.
pub fn order(typed: &[String]) -> Result<Order, Failure> {
    let mut order = Order {
        target: String::new(),
        count: None,
        interval: Duration::from_secs(1),
        wait: Duration::from_secs(10),
        deadline: None,
        size: 56,
        ttl: None,
        from: None,
        is_ipv6: None,
        is_quiet: false,
        tells_missing: false,
        tells_time: false,
        df: false,
    };
    for word in options::read(typed, &OPTIONS)? {
        match word {
            Word::Plain(target) => order.target = target,
            Word::Option(name, value) => set(&mut order, name, value.as_deref().unwrap_or_default())?,
        }
    }
    if order.target.is_empty() { Err(USAGE.to_owned().into()) } else { Ok(order) }
}

fn set(order: &mut Order, name: &str, value: &str) -> Result<(), String> {
    let bad = || format!("invalid argument: '{value}'");
    let seconds = || {
        let seconds: f64 =
            value.parse().ok().filter(|s: &f64| s.is_finite() && *s >= 0.0 && *s < 2e6).ok_or_else(bad)?;
        Ok::<_, String>(Duration::from_secs_f64(seconds))
    };
    let out_of_range = |range: &str| format!("invalid argument: '{value}': out of range: {range}");
    match name {
        "q" => order.is_quiet = true,
        "4" => order.is_ipv6 = Some(false),
        "6" => order.is_ipv6 = Some(true),
        "O" => order.tells_missing = true,
        "D" => order.tells_time = true,
        "c" => {
            let count: u64 = value.parse().map_err(|_| bad())?;
            order.count = Some(count).filter(|count| *count > 0);
            if count == 0 {
                return Err(out_of_range("1 <= value <= 9223372036854775807"));
            }
        }
        "i" => order.interval = seconds()?.max(Duration::from_millis(2)),
        "W" => order.wait = seconds()?,
        "w" => order.deadline = Some(seconds()?),
        "s" => {
            let size: u32 = value.parse().map_err(|_| bad())?;
            order.size = u16::try_from(size)
                .ok()
                .filter(|size| *size <= 65507)
                .ok_or_else(|| out_of_range("0 <= value <= 65507"))?;
        }
        "t" => {
            let ttl: u32 = value.parse().map_err(|_| bad())?;
            order.ttl = Some(
                u8::try_from(ttl)
                    .ok()
                    .filter(|ttl| *ttl > 0)
                    .ok_or_else(|| out_of_range("1 <= value <= 255"))?,
            );
        }
        "I" => order.from = Some(value.to_owned()),
        "M" => match value {
            "do" => order.df = true,
            "dont" | "want" => {}
            _ => return Err(format!("invalid -M argument: {value}")),
        },
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str) -> Result<Order, Failure> {
        order(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_those_of_iputils() {
        let order = typed("-nc3 -i 0.2 -W 1 -s 1472 -t 5 -M do 1.1.1.1").unwrap();
        assert_eq!(
            (order.count, order.interval, order.wait),
            (Some(3), Duration::from_millis(200), Duration::from_secs(1))
        );
        assert_eq!(
            (order.size, order.ttl, order.df, order.target.as_str()),
            (1472, Some(5), true, "1.1.1.1")
        );
        assert_eq!(typed("").unwrap_err().words, "usage error: Destination address required");
        assert_eq!(
            typed("-c 0 x").unwrap_err().words,
            "invalid argument: '0': out of range: 1 <= value <= 9223372036854775807"
        );
        assert_eq!(
            typed("-t 256 x").unwrap_err().words,
            "invalid argument: '256': out of range: 1 <= value <= 255"
        );
        assert_eq!(typed("-c x y").unwrap_err().words, "invalid argument: 'x'");
        assert_eq!(typed("-z x").unwrap_err().words, "invalid option -- 'z'");
    }
}
