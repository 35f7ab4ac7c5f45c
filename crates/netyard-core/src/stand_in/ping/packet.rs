//! Echo requests and their answers.

/// An echo request (RFC 792, RFC 4443 4.1): type, code, checksum, identifier, sequence, payload.
///
/// The checksum of ICMPv6 is filled by the kernel.
#[must_use]
pub fn request(is_ipv6: bool, id: u16, sequence: u16, size: u16) -> Vec<u8> {
    let mut bytes = vec![0; 8 + usize::from(size)];
    bytes[0] = if is_ipv6 { 128 } else { 8 };
    bytes[4..6].copy_from_slice(&id.to_be_bytes());
    bytes[6..8].copy_from_slice(&sequence.to_be_bytes());
    for (at, byte) in bytes[8..].iter_mut().enumerate() {
        *byte = at.to_le_bytes()[0];
    }
    if !is_ipv6 {
        let sum = checksum(&bytes);
        bytes[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    bytes
}

/// The Internet checksum (RFC 1071).
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = bytes
        .chunks(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [low, high, ..] = sum.to_le_bytes();
    !u16::from_le_bytes([low, high])
}

/// What a packet of a raw socket answers: the sequence number, and bytes from the ICMP header on. IPv4 packets come with
/// their IP header.
#[must_use]
pub fn answered(is_ipv6: bool, id: u16, packet: &[u8]) -> Option<(u16, usize)> {
    let at = if is_ipv6 { 0 } else { usize::from(packet.first()? & 0x0f) * 4 };
    let message = packet.get(at..)?;
    let is_reply = *message.first()? == if is_ipv6 { 129 } else { 0 };
    let sequence = sequence_of(id, message).filter(|_| is_reply)?;
    Some((sequence, message.len()))
}

/// The sequence number of an echo message with this identifier.
#[must_use]
pub fn sequence_of(id: u16, message: &[u8]) -> Option<u16> {
    let word = |at: usize| Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?));
    (word(4)? == id).then(|| word(6)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_a_right_checksum_and_is_recognised() {
        let bytes = request(false, 0x1234, 7, 56);
        assert_eq!(checksum(&bytes), 0);
        assert_eq!(sequence_of(0x1234, &bytes), Some(7));
        let mut reply = [vec![0x45; 20], bytes].concat();
        assert_eq!(answered(false, 0x1234, &reply), None, "it is a request");
        reply[20] = 0;
        assert_eq!(answered(false, 0x1234, &reply), Some((7, 64)));
        assert_eq!(answered(false, 1, &reply), None);
        (0..reply.len()).for_each(|len| assert_eq!(answered(false, 0x1234, &reply[..len.min(24)]), None));
    }
}
