//! The decoder on rules of iptables-nft and on damaged rules.

use super::decode::rule;
use super::encode;
use super::expression::Expression;
use super::list::{Element, Set};
use crate::netlink::Attributes;
use netyard_core::nft::{Action, Family, Match, Ports, Protocol, Rule};

fn read(list: &[u8], family: Family) -> Rule {
    let expressions: Vec<_> = Attributes(list).map(|(_, e)| Expression::read(Attributes(e))).collect();
    rule(family, &expressions, &|_| None).0
}

#[test]
fn rules_of_iptables_read_back_in_nft_words() {
    let text = include_str!("testdata/iptables-nft.txt");
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for entry in lines.chunks_exact(3) {
        let family = if entry[0].starts_with("ip6") { Family::Ip6 } else { Family::Ip };
        let rule = read(&bytes_of(entry[2]), family);
        let table = netyard_core::nft::Chain { name: "c".into(), base: None, rules: vec![rule] };
        let table = netyard_core::nft::Table { family, name: "t".into(), chains: vec![table] };
        let line = table.to_string().lines().nth(2).map(str::trim).map(str::to_owned);
        assert_eq!(line.as_deref(), Some(entry[1]), "{}", entry[0]);
    }
    let talk = read(&bytes_of(lines[2]), Family::Ip);
    assert_eq!((talk.action, talk.counts), (Action::Masquerade, true));
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hexadecimal digits");
    (0..hex.len()).step_by(2).map(digit).collect()
}

/// Neither noise nor damaged rules stop the decoder.
#[test]
fn any_bytes_become_a_rule() {
    let text = include_str!("testdata/iptables-nft.txt");
    let mut samples: Vec<Vec<u8>> = text.lines().skip(4).step_by(3).map(bytes_of).collect();
    samples.extend(encoded_samples());
    let seed = 0x9e37_79b9_7f4a_7c15;
    let mut random = Random(seed);
    for round in 0..60_000_usize {
        let mut bytes = samples[round % samples.len()].clone();
        for _ in 0..=random.below(8) {
            let at = random.below(bytes.len());
            bytes[at] = if random.below(3) == 0 { random.below(256) as u8 } else { random.below(17) as u8 };
        }
        bytes.truncate(bytes.len() - random.below(8));
        let families = [Family::Inet, Family::Ip, Family::Ip6, Family::Bridge, Family::Netdev, Family::Arp];
        let set = damaged_set(&mut random);
        let expressions: Vec<_> = Attributes(&bytes).map(|(_, e)| Expression::read(Attributes(e))).collect();
        let (rule, _) = rule(families[round % 6], &expressions, &|_| Some(&set));
        assert!(rule.to_string().len() < 100_000, "seed {seed}, round {round}");
    }
}

fn encoded_samples() -> Vec<Vec<u8>> {
    let ports = Ports { first: 1, last: 9 };
    let matches = [
        Match::Source("10.0.0.0/9".parse().expect("a prefix")),
        Match::DestinationPort(Protocol::Tcp, ports),
        Match::TcpSyn,
        Match::CtStatusDnat,
        Match::DestinationLocal,
    ];
    let actions =
        [Action::Dnat("10.0.0.1:80".parse().expect("an address")), Action::ClampMss, Action::Reject];
    let sample = |action: Action| {
        let rule = Rule { matches: matches.to_vec(), counts: true, action };
        let mut expressions = encode::expressions(Family::Inet, &rule).expect("nft would take it");
        let set = "__set0".to_owned();
        expressions.insert(2, Expression::Lookup { set, register: 1, to: None, is_inverted: false });
        let mut messages = crate::netlink::Messages::new();
        {
            let mut message = messages.begin(0, 0, &[]);
            let mut list = message.nest(1);
            expressions.iter().for_each(|e| e.put(&mut list));
        }
        messages.bytes[20..].to_vec()
    };
    actions.map(sample).to_vec()
}

fn damaged_set(random: &mut Random) -> Set {
    let mut bytes = |max: usize| (0..random.below(max)).map(|_| random.below(256) as u8).collect::<Vec<u8>>();
    let keys = [bytes(20), bytes(20), bytes(5), bytes(5)];
    let [a, b, c, d] = keys;
    let element = |key: Vec<u8>, is_end: bool| Element {
        key_end: (!is_end).then(|| key.clone()),
        key,
        is_end,
        verdict: None,
        value: Some(vec![1; 4]),
    };
    let elements = vec![element(a, false), element(b, true), element(c, false), element(d, true)];
    Set {
        has_name: random.below(2) == 0,
        is_interval: random.below(2) == 0,
        is_map: random.below(2) == 0,
        elements,
    }
}

/// xorshift64: the same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end.max(1)
    }
}
