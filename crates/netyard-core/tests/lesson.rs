//! Lessons: what is wrong with a file is shown in its place, and what is seen is judged as a person would.

// The crate reads no file, clock or environment and never unwraps; its tests do.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used
)]

use netyard_core::diagnostic::{Source, Style};
use netyard_core::lesson::{Language, Lesson, Link, PeerEnd, Route, Seen, Sight, changes, parse, script};
use netyard_core::nft::{Action, BaseChain, Chain, ChainKind, Family, Hook, Match, Policy, Rule, Table};
use std::path::Path;

const HEAD: &str = "lesson: own\ntitle: Own\nsteps:\n  - id: one\n    title: One\n    text: Do it.\n";

/// The report about a lesson whose step has these lines besides.
fn report(lines: &str) -> String {
    let source = Source::new("lesson.yaml", format!("{HEAD}{lines}"));
    let problems = parse(&source).unwrap_err();
    problems.iter().map(|problem| problem.render(&source, Style::Plain)).collect::<Vec<_>>().join("\n")
}

/// The lesson whose step has these checks.
fn lesson(checks: &str) -> Lesson {
    let source = Source::new("lesson.yaml", format!("{HEAD}    check: {checks}\n"));
    parse(&source).unwrap_or_else(|problems| panic!("{problems:?}"))
}

#[test]
fn a_misspelt_check_is_shown_with_the_word_that_is_near() {
    assert_eq!(
        report("    check: [{ adress: 10.0.0.1/24, in: pc }]\n"),
        "error[Y007]: unknown key\n  ┌─ lesson.yaml:7:15\n7 │     check: [{ adress: 10.0.0.1/24, in: pc }]\n  \
         │               ^^^^^^ no key `adress` belongs here\n  = help: did you mean `address`?\n"
    );
}

#[test]
fn a_check_about_nothing_a_choice_without_meaning_and_a_wrong_outcome_are_all_told() {
    let told = report(
        "    check: [{ in: pc }, { dnat: 80 }]\n    predict:\n      question: Q\n      observe: { ping: 1.1.1.1 }\n      \
         choices:\n        - { text: A }\n        - { text: B, is: silence }\n",
    );
    for words in [
        "a check is about nothing",
        "no `to`",
        "where the port leads, for example `10.0.0.2:80`",
        "no `is`",
        "no outcome has this name",
        "outcomes are yes, no, ok, refused",
    ] {
        assert!(told.contains(words), "{words} in {told}");
    }
}

#[test]
fn two_steps_with_one_id_and_a_lesson_without_steps_are_refused() {
    let told = report("  - id: one\n    title: Two\n    text: Again.\n");
    assert!(told.contains("two steps have one id") && told.contains("first here"), "{told}");
    let problems = parse(&Source::new("lesson.yaml", "lesson: own\ntitle: Own\n")).unwrap_err();
    assert_eq!(problems[0].label, "no `steps`");
}

fn veth(name: &str, peer: (&str, &str)) -> Link {
    Link {
        name: name.to_owned(),
        kind: "veth".to_owned(),
        mac: Some("02:00:00:00:00:01".parse().unwrap()),
        mtu: 1500,
        is_up: true,
        has_carrier: true,
        master: None,
        peer: Some(PeerEnd { namespace: peer.0.to_owned(), link: peer.1.to_owned() }),
        addresses: Vec::new(),
        has_stp: false,
        is_loopback: false,
    }
}

/// `pc:eth0` with 10.0.0.1/24 on a cable to `vm:port`, and a default route.
fn sight() -> Sight {
    let mut sight = Sight::default();
    let eth0 = Link { addresses: vec!["10.0.0.1/24".parse().unwrap()], ..veth("eth0", ("vm", "port")) };
    let route = Route {
        to: "0.0.0.0/0".parse().unwrap(),
        via: Some("10.0.0.254".parse().unwrap()),
        dev: Some("eth0".to_owned()),
        is_kernels: false,
    };
    let pc = Seen { links: vec![eth0], routes: vec![route], ..Seen::default() };
    let port = Link { is_up: false, has_carrier: false, ..veth("port", ("pc", "eth0")) };
    let vm = Seen { links: vec![port], ..Seen::default() };
    sight.namespaces.extend([("pc".to_owned(), pc), ("vm".to_owned(), vm)]);
    sight
}

fn holds(check: &str, now: &Sight, start: &Sight) -> bool {
    lesson(&format!("[{check}]")).steps[0].checks[0].holds(now, start).unwrap()
}

#[test]
fn checks_hold_as_the_state_is() {
    let (now, nothing) = (sight(), Sight::default());
    for check in [
        "{ namespace: pc }",
        "{ namespace: printer, not: true }",
        "{ link: \"pc:eth0\", kind: veth, peer: \"vm:port\", up: true, mtu: 1500, master: none }",
        "{ link: port, up: false }",
        "{ address: 10.0.0.1/24, on: \"pc:eth0\" }",
        "{ address: 10.0.0.1/24, in: pc }",
        "{ route: default, via: 10.0.0.254, in: pc }",
        "{ policy: forward, is: accept }",
    ] {
        assert!(holds(check, &now, &nothing), "{check}");
    }
    for check in [
        "{ link: port, up: true }",
        "{ link: \"pc:eth0\", master: bridge0 }",
        "{ address: 10.0.0.1/16, in: pc }",
        "{ route: default, via: 10.0.0.1, in: pc }",
        "{ masquerade: 10.0.0.0/24 }",
    ] {
        assert!(!holds(check, &now, &nothing), "{check}");
    }
}

#[test]
fn a_counter_counts_from_the_beginning_of_the_step() {
    let (mut start, mut now) = (sight(), sight());
    let count = |sight: &mut Sight, n| {
        sight.namespaces.get_mut("pc").unwrap().counters.insert("IcmpInEchoReps".to_owned(), n);
    };
    count(&mut start, 3);
    count(&mut now, 4);
    assert!(!holds("{ counter: IcmpInEchoReps, in: pc, grows: 2 }", &now, &start));
    count(&mut now, 5);
    assert!(holds("{ counter: IcmpInEchoReps, in: pc, grows: 2 }", &now, &start));
    // A namespace that was made again begins at 0.
    count(&mut now, 2);
    assert!(holds("{ counter: IcmpInEchoReps, in: pc, grows: 2 }", &now, &start));
}

#[test]
fn any_rule_that_masquerades_is_good_and_one_for_others_is_not() {
    let check = "{ masquerade: 10.0.0.0/24, out: ens4 }";
    let with = |matches: Vec<Match>| {
        let rule = Rule { matches, counts: true, action: Action::Masquerade };
        let base = BaseChain {
            kind: ChainKind::Nat,
            hook: Hook::Postrouting,
            priority: 100,
            policy: Policy::Accept,
        };
        let chain = Chain { name: "any".to_owned(), base: Some(base), rules: vec![rule] };
        let table = Table { family: Family::Ip, name: "any".to_owned(), chains: vec![chain] };
        let mut sight = sight();
        sight.namespaces.get_mut("vm").unwrap().tables.push(table);
        holds(check, &sight, &Sight::default())
    };
    let source = |prefix: &str| Match::Source(prefix.parse().unwrap());
    assert!(with(vec![]));
    assert!(with(vec![source("10.0.0.0/8"), Match::InterfaceOut("ens4".parse().unwrap())]));
    assert!(!with(vec![source("10.0.1.0/24")]));
    assert!(!with(vec![Match::InterfaceOut("eth9".parse().unwrap())]));
    assert!(!with(vec![Match::Other("meta mark 1".to_owned())]));
}

#[test]
fn what_is_missing_is_said_in_one_sentence_of_either_language() {
    let now = sight();
    let missing =
        |check: &str, language| lesson(&format!("[{check}]")).steps[0].checks[0].missing(&now, language);
    assert_eq!(missing("{ link: \"pc:port\", up: true }", Language::En), "port is in vm, not in pc");
    assert_eq!(missing("{ link: port, up: true }", Language::En), "port in vm is still DOWN");
    assert_eq!(missing("{ link: port, up: true }", Language::Ja), "vm の port がまだ DOWN です");
    assert_eq!(missing("{ listens: 80, in: printer }", Language::En), "there is no namespace printer yet");
    assert_eq!(
        missing("{ ping: 10.0.0.2, from: pc }", Language::Ja),
        "pc から 10.0.0.2 への ping がまだ成功しません"
    );
    assert_eq!(missing("{ namespace: pc, not: true, say: Away with it }", Language::Ja), "Away with it");
}

#[test]
fn what_is_seen_can_be_made_again_and_what_has_changed_is_told() {
    let now = sight();
    assert_eq!(
        script(&now),
        "ip netns add pc\n\
         ip link add port type veth peer name eth0 netns pc\n\
         ip -n pc address replace 10.0.0.1/24 dev eth0\n\
         ip -n pc link set eth0 up\n\
         ip -n pc route replace 0.0.0.0/0 via 10.0.0.254 dev eth0\n\
         ip link set port down\n"
    );
    let mut before = sight();
    before.namespaces.remove("pc");
    let told = changes(&before, &now);
    assert!(
        told.contains(&"+ namespace pc".to_owned()) && told.contains(&"+ pc:eth0 10.0.0.1/24".to_owned()),
        "{told:?}"
    );
}

#[test]
fn lessons_that_ship_are_complete_in_both_languages() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../lessons");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path().join("lesson.yaml");
        let source = Source::new(path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        let lesson = parse(&source).unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        assert_eq!(lesson.gaps(), Vec::<String>::new(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 6);
}
