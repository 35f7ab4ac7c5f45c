//! Ethernet addresses, and the deterministic ones that a lab gives to its interfaces.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address (IEEE 802 EUI-48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

/// The text is not six pairs of hexadecimal digits with colons, or names a group address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MacError;

impl Mac {
    /// The address of an interface that names none: `02:` (locally administered, unicast) and 40 bits of a hash of
    /// lab, node and interface, so that two builds of one lab, and the script of its plan, agree.
    #[must_use]
    pub fn of_interface(lab: &str, node: &str, interface: &str) -> Self {
        let mut hash = fnv1a(0xcbf2_9ce4_8422_2325, lab.as_bytes());
        hash = fnv1a(hash, &[0]);
        hash = fnv1a(hash, node.as_bytes());
        hash = fnv1a(hash, &[0]);
        hash = fnv1a(hash, interface.as_bytes());
        let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
        Self([0x02, a ^ f, b ^ g, c ^ h, d, e])
    }

    /// Whether the address names a group (bit 0 of the first byte, IEEE 802): no interface may carry one.
    #[must_use]
    pub fn is_group(self) -> bool {
        self.0[0] & 1 == 1
    }
}

/// FNV-1a with 64 bits: well spread for short names, needs no dependency, and is the same on every machine.
pub(crate) fn fnv1a(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = MacError;
    fn from_str(text: &str) -> Result<Self, MacError> {
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or(MacError)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| MacError)?;
        }
        if parts.next().is_some() { Err(MacError) } else { Ok(Self(bytes)) }
    }
}

impl fmt::Display for MacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an Ethernet address such as 02:00:00:00:00:01")
    }
}

impl std::error::Error for MacError {}

impl TryFrom<String> for Mac {
    type Error = MacError;
    fn try_from(text: String) -> Result<Self, MacError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_reads_as_it_prints() {
        let mac: Mac = "02:00:5e:10:00:ff".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:5e:10:00:ff");
        assert_eq!("02:00:5e:10:00".parse::<Mac>(), Err(MacError));
        assert_eq!("02:00:5e:10:00:ff:01".parse::<Mac>(), Err(MacError));
    }

    #[test]
    fn interfaces_get_different_addresses_that_stay() {
        let of = |node: &str| Mac::of_interface("home", node, "eth0");
        assert_eq!(of("pc"), of("pc"));
        let all: std::collections::BTreeSet<Mac> = (0..5000).map(|n| of(&format!("h{n}"))).collect();
        assert_eq!(all.len(), 5000);
        assert!(all.iter().all(|mac| !mac.is_group()));
    }
}
