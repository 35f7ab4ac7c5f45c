//! Messages that are read as they were written, and broken ones that are refused.

use super::*;

fn query(name: &str, kind: Type, edns_len: Option<u16>) -> Query {
    let question = Question { name: name.into(), kind, class: CLASS_IN };
    Query { id: 7, opcode: 0, wants_recursion: true, question, edns_len }
}

#[test]
fn a_query_is_read_as_it_was_written() {
    let bytes = encode_query(7, "Printer.home.", Type::A).unwrap();
    assert_eq!(&bytes[..12], [0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    assert_eq!(decode_query(&bytes), Ok(query("Printer.home", Type::A, Some(EDNS_LEN))));
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    let records = vec![
        ("pc.home".to_owned(), Data::Name(Type::CNAME, "PC".into())),
        ("pc".to_owned(), Data::Address("10.0.0.1".parse().unwrap())),
        ("pc".to_owned(), Data::Address("fd00::1".parse().unwrap())),
        ("t".to_owned(), Data::Text("hello world".into())),
    ];
    let query = query("pc.home", Type::ANY, None);
    let bytes = encode_response(&query, Rcode::OK, &records, &[], PLAIN_LEN).unwrap();
    let response = decode_response(&bytes).unwrap();
    assert_eq!(response.records, records);
    assert_eq!((response.id, response.rcode, response.is_truncated), (7, Rcode::OK, false));
    assert_eq!(response.question, Some(query.question));
    assert_eq!(response.addresses().count(), 2);
}

#[test]
fn an_answer_that_is_too_long_is_truncated_and_empty() {
    let records: Vec<_> = (0..100).map(|_| ("x".to_owned(), Data::Address([1, 2, 3, 4].into()))).collect();
    let bytes = encode_response(&query("x", Type::A, Some(4096)), Rcode::OK, &records, &[], 1232).unwrap();
    let response = decode_response(&bytes).unwrap();
    assert!(response.is_truncated && response.records.is_empty());
}

#[test]
fn a_negative_answer_names_its_authority() {
    let authority = [("home".to_owned(), Data::Authority("internet.home".into()))];
    let bytes =
        encode_response(&query("no.home", Type::A, None), Rcode::NO_NAME, &[], &authority, 512).unwrap();
    let response = decode_response(&bytes).unwrap();
    assert_eq!((response.rcode, response.records.len()), (Rcode::NO_NAME, 0));
}

#[test]
fn names_have_limits() {
    assert_eq!(encode_query(1, "a..b", Type::A), Err(DnsError::Name));
    assert_eq!(encode_query(1, &"a".repeat(64), Type::A), Err(DnsError::Name));
    assert_eq!(encode_query(1, &"abc.".repeat(70), Type::A), Err(DnsError::Name));
    assert!(encode_query(1, "", Type::NS).is_ok());
}

#[test]
fn a_pointer_that_leads_forward_or_to_itself_is_refused() {
    let mut bytes = encode_query(1, "", Type::A).unwrap();
    bytes.splice(12..13, [0xc0, 12]);
    assert_eq!(decode_query(&bytes), Err(DnsError::Name));
    bytes[13] = 14;
    assert_eq!(decode_query(&bytes), Err(DnsError::Name));
}

#[test]
fn two_servers_do_not_talk_to_each_other() {
    let bytes = encode_response(&query("x", Type::A, None), Rcode::OK, &[], &[], 512).unwrap();
    assert_eq!(decode_query(&bytes), Err(DnsError::Questions));
    assert_eq!(encode_format_error(&bytes), None);
    assert_eq!(encode_format_error(&[0; 12]).map(|b| b.len()), Some(12));
}

#[test]
fn reverse_names_are_addresses() {
    let check = |name: &str, address: Option<&str>| {
        assert_eq!(address_of_reverse_name(name), address.map(|a| a.parse().unwrap()), "{name}");
    };
    check("254.0.0.10.in-addr.arpa", Some("10.0.0.254"));
    check("0.0.10.in-addr.arpa", None);
    check("256.0.0.10.in-addr.arpa", None);
    let zeros = "0.".repeat(26);
    check(&format!("1.{zeros}0.0.d.f.ip6.arpa"), None);
    check(&format!("1.{zeros}0.0.0.d.F.IP6.ARPA"), Some("fd00::1"));
    check("example.com", None);
}

/// Random changes to good messages, and random bytes: nothing panics, and what is read can be written again.
#[test]
fn no_bytes_break_the_reader() {
    let seed = 0x9e37_79b9_7f4a_7c15_u64;
    println!("seed {seed:#x}");
    let mut state = seed;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let records = vec![
        ("pc.home".to_owned(), Data::Name(Type::PTR, "pc.home".into())),
        ("y".to_owned(), Data::Text("t".into())),
        ("pc.home".to_owned(), Data::Address("fd00::1".parse().unwrap())),
    ];
    let good = [
        encode_query(3, "a.b.example", Type::AAAA).unwrap(),
        encode_response(&query("pc.home", Type::PTR, Some(512)), Rcode::OK, &records, &records, 900).unwrap(),
    ];
    for round in 0..20_000 {
        let mut bytes = good[round % 2].clone();
        for _ in 0..random() % 6 {
            let at = (random() % bytes.len() as u64) as usize;
            bytes[at] = random().to_le_bytes()[0];
        }
        bytes.truncate((random() % (bytes.len() as u64 + 20)) as usize);
        if let Ok(query) = decode_query(&bytes) {
            assert!(encode_response(&query, Rcode::OK, &[], &[], 512).is_ok(), "{bytes:?}");
        }
        let _ = decode_response(&bytes);
        let _ = encode_format_error(&bytes);
    }
}
