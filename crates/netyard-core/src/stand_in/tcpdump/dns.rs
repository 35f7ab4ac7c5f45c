//! DNS messages in a few words (RFC 1035 4.1).

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The words of a message, with its length.
pub(super) fn words(bytes: &[u8], len: usize) -> Option<String> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (id, flags) = (word(0)?, word(2)?);
    let counts = [word(4)?, word(6)?, word(8)?, word(10)?];
    let is_answer = flags & 0x8000 != 0;
    let mut text = id.to_string();
    let (question, mut at) = match counts[0] {
        0 => (None, 12),
        _ => {
            let (name, at) = name(bytes, 12)?;
            (Some((name, word(at)?)), at + 4)
        }
    };
    if !is_answer {
        text.push_str(if flags & 0x0100 != 0 { "+" } else { "" });
        if counts[3] > 0 {
            let _ = write!(text, " [{}au]", counts[3]);
        }
        if let Some((name, kind)) = question {
            let _ = write!(text, " {}? {name}", kind_word(kind));
        }
        return Some(format!("{text} ({len})"));
    }
    text.push_str(if flags & 0x0400 != 0 { "*" } else { "" });
    text.push_str(if flags & 0x0080 == 0 { "-" } else { "" });
    match flags & 15 {
        0 => {}
        1 => text.push_str(" FormErr"),
        2 => text.push_str(" ServFail"),
        3 => text.push_str(" NXDomain"),
        4 => text.push_str(" NotImp"),
        5 => text.push_str(" Refused"),
        other => {
            let _ = write!(text, " Resp{other}");
        }
    }
    let _ = write!(text, " {}/{}/{}", counts[1], counts[2], counts[3]);
    for index in 0..counts[1] {
        let (_, after) = name(bytes, at)?;
        let (kind, data_len) = (word(after)?, usize::from(word(after + 8)?));
        let data = bytes.get(after + 10..after + 10 + data_len)?;
        let value = match (kind, data.len()) {
            (1, 4) => Ipv4Addr::new(data[0], data[1], data[2], data[3]).to_string(),
            (28, 16) => Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).to_string(),
            (2 | 5 | 12, _) => name(bytes, after + 10)?.0,
            _ => String::new(),
        };
        let comma = if index > 0 { "," } else { "" };
        let _ = write!(text, "{comma} {} {value}", kind_word(kind));
        at = after + 10 + data_len;
    }
    Some(format!("{} ({len})", text.trim_end()))
}

fn kind_word(kind: u16) -> String {
    let words = [
        (1, "A"),
        (2, "NS"),
        (5, "CNAME"),
        (6, "SOA"),
        (12, "PTR"),
        (15, "MX"),
        (16, "TXT"),
        (28, "AAAA"),
        (255, "ANY"),
    ];
    let known = words.iter().find(|(number, _)| *number == kind);
    known.map_or_else(|| format!("Type{kind}"), |(_, word)| (*word).to_owned())
}

/// A name and where it ends; pointers are followed a few times.
fn name(bytes: &[u8], mut at: usize) -> Option<(String, usize)> {
    const JUMPS_MAX: usize = 8;
    let (mut text, mut end, mut jumps) = (String::new(), None, 0);
    loop {
        let len = *bytes.get(at)?;
        match len {
            0 => {
                if text.is_empty() {
                    text.push('.');
                }
                return Some((text, end.unwrap_or(at + 1)));
            }
            0xc0.. => {
                end = end.or(Some(at + 2));
                at = usize::from(u16::from_be_bytes([len & 0x3f, *bytes.get(at + 1)?]));
                jumps += 1;
                if jumps > JUMPS_MAX {
                    return None;
                }
            }
            len => {
                let label = bytes.get(at + 1..at + 1 + usize::from(len))?;
                text += &String::from_utf8_lossy(label).replace(|c: char| c.is_control(), "?");
                text.push('.');
                at += 1 + usize::from(len);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_answers_are_told() {
        let question =
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03com\x00\x00\x01\x00\x01";
        assert_eq!(words(question, question.len()).unwrap(), "4660+ A? example.com. (29)");
        let mut answer = question.to_vec();
        answer[2..4].copy_from_slice(&[0x81, 0x80]);
        answer[7] = 1;
        answer.extend(b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04\x01\x01\x01\x01");
        assert_eq!(words(&answer, answer.len()).unwrap(), "4660 1/0/0 A 1.1.1.1 (45)");
        for len in 0..answer.len() {
            let _ = words(&answer[..len], len);
        }
        let endless = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
        assert_eq!(words(endless, endless.len()), None);
    }
}
