//! tcpdump(8): its options, its filters (pcap-filter(7)) and its lines.

mod dns;
mod icmp;
mod line;
mod tcp;

pub use crate::filter::Filter;
pub use crate::packet::Frame;
pub use line::Lines;

use super::options::{self, Known, Word};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// `-i`: the interface, or `any`; the first that is up where none is given.
    pub interface: Option<String>,
    /// `-c`: packets after which it ends.
    pub count: Option<u64>,
    /// `-w`: the file for what is captured.
    pub file: Option<String>,
    /// `-s`: bytes of each packet that are kept.
    pub snapshot: usize,
    /// `-D`: lists interfaces.
    pub lists_interfaces: bool,
    /// How lines look.
    pub style: Style,
    /// The expression.
    pub filter: Filter,
}

/// How lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    /// `-n`: ports as numbers.
    pub is_numeric: bool,
    /// `-v`: the fields of the IP header.
    pub is_verbose: bool,
    /// `-e`: Ethernet addresses.
    pub has_link_header: bool,
    /// `-q`: less of each protocol.
    pub is_quick: bool,
    /// `-S`: sequence numbers as they are.
    pub is_absolute: bool,
    /// `-A`: what is carried, as text.
    pub shows_text: bool,
    /// `-t`: no time.
    pub is_timeless: bool,
}

/// The bytes of a packet that are kept where nothing is said.
pub const SNAPSHOT: usize = 262_144;

const OPTIONS: [Known; 17] = [
    Known { letter: 'n', name: "n", takes_value: false },
    Known { letter: 'v', name: "v", takes_value: false },
    Known { letter: 'e', name: "e", takes_value: false },
    Known { letter: 'q', name: "q", takes_value: false },
    Known { letter: 'S', name: "S", takes_value: false },
    Known { letter: 'A', name: "A", takes_value: false },
    Known { letter: 't', name: "t", takes_value: false },
    Known { letter: 'l', name: "l", takes_value: false },
    Known { letter: 'U', name: "U", takes_value: false },
    Known { letter: 'p', name: "p", takes_value: false },
    Known { letter: 'K', name: "K", takes_value: false },
    Known { letter: 'D', name: "D", takes_value: false },
    Known { letter: 'i', name: "interface", takes_value: true },
    Known { letter: 'c', name: "c", takes_value: true },
    Known { letter: 'w', name: "w", takes_value: true },
    Known { letter: 's', name: "snapshot-length", takes_value: true },
    Known { letter: 'Z', name: "Z", takes_value: true },
];

/// Reads what was typed. Options may stand among the words of the expression.
///
/// # Errors
/// What tcpdump says after its name.
pub fn order(typed: &[String]) -> Result<Order, String> {
    let mut order = Order {
        interface: None,
        count: None,
        file: None,
        snapshot: SNAPSHOT,
        lists_interfaces: false,
        style: Style::default(),
        filter: Filter::All,
    };
    let mut expression = Vec::new();
    for word in options::read(typed, &OPTIONS)? {
        let (name, value) = match word {
            Word::Plain(word) => {
                expression.push(word);
                continue;
            }
            Word::Option(name, value) => (name, value.unwrap_or_default()),
        };
        let style = &mut order.style;
        match name {
            "n" => style.is_numeric = true,
            "v" => style.is_verbose = true,
            "e" => style.has_link_header = true,
            "q" => style.is_quick = true,
            "S" => style.is_absolute = true,
            "A" => style.shows_text = true,
            "t" => style.is_timeless = true,
            "D" => order.lists_interfaces = true,
            "interface" => order.interface = Some(value),
            "w" => order.file = Some(value),
            "c" => {
                let count = value.parse().ok().filter(|count: &u64| *count > 0);
                order.count = Some(count.ok_or_else(|| format!("invalid packet count {value}"))?);
            }
            "snapshot-length" => {
                let length = value.parse().ok().filter(|length: &usize| *length <= SNAPSHOT);
                let length = length.ok_or_else(|| format!("invalid snaplen {value}"))?;
                order.snapshot = if length == 0 { SNAPSHOT } else { length };
            }
            _ => {}
        }
    }
    order.filter = Filter::parse(&expression.join(" "))?;
    Ok(order)
}

/// The start of a capture file (pcap-savefile(5)): magic number for microseconds, version 2.4, zone, accuracy, bytes
/// kept, link type Ethernet.
#[must_use]
pub fn file_header(snapshot: usize) -> Vec<u8> {
    let snapshot = u32::try_from(snapshot).unwrap_or(u32::MAX);
    let words = [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, snapshot, 1];
    words.iter().flat_map(|word: &u32| word.to_le_bytes()).collect()
}

/// The start of one packet in a capture file: seconds, microseconds, bytes kept, bytes on the wire.
#[must_use]
pub fn file_record(seconds: u64, micros: u32, kept: usize, len: usize) -> Vec<u8> {
    let word = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
    [seconds, micros, word(kept), word(len)].iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_anywhere() {
        let typed = |text: &str| order(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let order = typed("-nn -i ens4 src or dst 1.1.1.1 -c3").unwrap();
        assert_eq!(
            (order.interface.as_deref(), order.count, order.style.is_numeric),
            (Some("ens4"), Some(3), true)
        );
        assert_ne!(order.filter, Filter::All);
        assert_eq!(typed("-c 0").unwrap_err(), "invalid packet count 0");
        assert_eq!(typed("-y").unwrap_err(), "invalid option -- 'y'");
        assert_eq!(file_header(SNAPSHOT).len(), 24);
        assert_eq!(file_record(1, 2, 3, 4), [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0]);
    }
}
