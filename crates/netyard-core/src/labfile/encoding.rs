//! What a file holds that is not UTF-8 text.

/// The encoding or kind of bytes that are not UTF-8, as far as their beginning tells.
///
/// ```
/// use netyard_core::labfile::foreign_encoding;
/// assert_eq!(foreign_encoding(b"\xff\xfel\0a\0b\0"), "UTF-16");
/// assert_eq!(foreign_encoding(b"\x7fELF\x02\x01\x01\0\0\0\0\0\xf8"), "a binary file");
/// ```
#[must_use]
pub fn foreign_encoding(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(4096)];
    if head.starts_with(&[0xff, 0xfe, 0, 0]) || head.starts_with(&[0, 0, 0xfe, 0xff]) {
        return "UTF-32";
    }
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) || is_utf16_without_mark(head) {
        return "UTF-16";
    }
    if head.iter().any(|byte| matches!(byte, 0..=8 | 14..=31)) {
        return "a binary file";
    }
    // These encode katakana, hiragana and common kanji with lead bytes that Latin-1 texts hardly hold in a row.
    if head.windows(2).any(|pair| pair[0] == 0x82 && matches!(pair[1], 0x9f..=0xf1) || pair[0] == 0x83) {
        return "Shift_JIS";
    }
    "Latin-1 or another encoding with one byte for a letter"
}

/// Whether every second byte of a text in Latin letters is zero.
fn is_utf16_without_mark(head: &[u8]) -> bool {
    let zeros = |first: usize| head.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    let half = head.len() / 2;
    half > 1 && (even == 0 && odd > half * 3 / 4 || odd == 0 && even > half * 3 / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_told_apart() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        assert_eq!(foreign_encoding(&utf16("lab: home\n")), "UTF-16");
        assert_eq!(foreign_encoding(&utf16("\u{feff}lab: ラボ\n")), "UTF-16");
        assert_eq!(foreign_encoding(b"description: caf\xe9\n")[..7], *"Latin-1");
        assert_eq!(foreign_encoding(b"description: \x83\x89\x83{\n"), "Shift_JIS");
        assert_eq!(foreign_encoding(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), "a binary file");
        assert_eq!(foreign_encoding(&[0xff]), "Latin-1 or another encoding with one byte for a letter");
    }
}
