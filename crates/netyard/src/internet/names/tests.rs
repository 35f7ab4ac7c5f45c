//! Questions and answers, in the words of dig(1).

use super::*;
use crate::dns::Question;
use crate::test_lab::lab;
use netyard_core::lab::Role;

fn names() -> Names {
    Names::of(&lab(&[
        ("pc", Role::Host, &[&["10.0.0.1/24"]]),
        ("router", Role::Router, &[&["10.0.0.254/24"], &["10.138.0.3/24"]]),
        ("internet", Role::Internet, &[&["10.138.0.1/24"]]),
    ]))
}

fn ask(names: &Names, name: &str, kind: Type) -> String {
    let question = Question { name: name.into(), kind, class: CLASS_IN };
    let query = Query { id: 1, opcode: 0, wants_recursion: true, question, edns_len: None };
    let answer = names.answer(&query, "10.138.0.3".parse().unwrap());
    let records = answer.records.iter().map(|(_, data)| match data {
        Data::Address(address) => address.to_string(),
        Data::Name(_, name) | Data::Text(name) | Data::Authority(name) => name.clone(),
        Data::Other(kind) => format!("{kind:?}"),
    });
    let records: Vec<String> = records.collect();
    assert_eq!(records.is_empty(), !answer.authorities.is_empty());
    if answer.rcode == Rcode::OK { records.join(" ") } else { answer.rcode.to_string() }
}

#[test]
fn nodes_are_known_by_name_and_by_address() {
    let names = names();
    assert_eq!(ask(&names, "router", Type::A), "10.0.0.254 10.138.0.3");
    assert_eq!(ask(&names, "Router.HOME", Type::A), "10.0.0.254 10.138.0.3");
    assert_eq!(ask(&names, "3.0.138.10.in-addr.arpa", Type::PTR), "router.home");
    assert_eq!(ask(&names, "9.0.138.10.in-addr.arpa", Type::PTR), "NXDOMAIN");
    assert_eq!(ask(&names, "router", Type::AAAA), "");
}

#[test]
fn callers_can_ask_who_they_are() {
    let names = names();
    assert_eq!(ask(&names, WHOAMI, Type::TXT), "10.138.0.3");
    assert_eq!(ask(&names, WHOAMI, Type::A), "10.138.0.3");
    assert_eq!(ask(&names, "whoareyou.netyard", Type::A), "NXDOMAIN");
}

#[test]
fn names_without_a_place_in_the_internet_do_not_exist() {
    let names = names();
    for name in ["laptop", "tv.home", "printer.local", "10.0.0.7", "", "a.b.arpa"] {
        assert_eq!(ask(&names, name, Type::A), "NXDOMAIN", "{name}");
    }
}

#[test]
fn public_names_have_addresses_that_stay() {
    let names = names();
    assert_eq!(ask(&names, "one.one.one.one", Type::A), "1.1.1.1 1.0.0.1");
    assert_eq!(ask(&names, "1.1.1.1.in-addr.arpa", Type::PTR), "one.one.one.one");
    let range: IpNet = "198.18.0.0/15".parse().unwrap();
    let address: IpAddr = ask(&names, "www.Example.com", Type::A).parse().unwrap();
    assert_eq!(ask(&names, "www.example.com", Type::A), address.to_string());
    assert_eq!(address.to_string(), "198.19.160.108");
    let all: Vec<IpAddr> =
        (0..500).filter_map(|n| names.public_address(&format!("h{n}.example"), false)).collect();
    assert!(all.iter().all(|address| range.contains(address)));
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert!(distinct.len() > 490, "{}", distinct.len());
}

#[test]
fn a_lab_that_uses_the_range_itself_gets_another() {
    let names = Names::of(&lab(&[("pc", Role::Host, &[&["198.18.5.1/24", "fd00::1/64"]])]));
    let v4: IpNet = "203.0.113.0/24".parse().unwrap();
    let v6: IpNet = "2001:2::/48".parse().unwrap();
    assert!(v4.contains(&names.public_address("example.com", false).unwrap()));
    assert!(v6.contains(&names.public_address("example.com", true).unwrap()));
    assert!(ask(&names, "example.com", Type::AAAA).starts_with("2001:2:"));
}

#[test]
fn other_classes_and_operations_are_refused() {
    let names = names();
    let question = Question { name: "version.bind".into(), kind: Type::TXT, class: 3 };
    let query = Query { id: 1, opcode: 0, wants_recursion: false, question, edns_len: None };
    let caller = "10.0.0.1".parse().unwrap();
    assert_eq!(names.answer(&query, caller).rcode, Rcode::REFUSED);
    assert_eq!(names.answer(&Query { opcode: 5, ..query }, caller).rcode, Rcode::NOT_IMPLEMENTED);
}
