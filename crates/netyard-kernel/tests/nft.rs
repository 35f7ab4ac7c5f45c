//! nf_tables against the kernel and against nft(8): what is put reads back, and nft prints it as if nft had put it.
//!
//! Needs the program `nft` (package nftables); without it these tests fail.

mod support;

use netyard_core::nft::{
    Action, BaseChain, Chain, ChainKind, CtStates, Family, Hook, Match, Policy, Ports, Protocol, Rule, Table,
};
use netyard_kernel::netlink::{Protocol as Netlink, Socket, nft};
use support::in_netns;

fn socket() -> Socket {
    Socket::open(Netlink::Netfilter).expect("nf_tables is in the kernel")
}

fn base(kind: ChainKind, hook: Hook, priority: i32, policy: Policy) -> Option<BaseChain> {
    Some(BaseChain { kind, hook, priority, policy })
}

fn rule(matches: &[Match], action: Action) -> Rule {
    Rule { matches: matches.to_vec(), counts: false, action }
}

fn counted(matches: &[Match], action: Action) -> Rule {
    Rule { counts: true, ..rule(matches, action) }
}

/// A table with these rules in one chain whose hook can carry out their actions, and a chain to jump to.
fn table(family: Family, rules: &[Rule]) -> Table {
    let needs = |wanted: fn(&Action) -> bool| rules.iter().any(|r| wanted(&r.action));
    let base = if needs(|a| matches!(a, Action::Masquerade | Action::Snat(_))) {
        base(ChainKind::Nat, Hook::Postrouting, 100, Policy::Accept)
    } else if needs(|a| matches!(a, Action::Dnat(_))) {
        base(ChainKind::Nat, Hook::Prerouting, -100, Policy::Accept)
    } else {
        base(ChainKind::Filter, Hook::Forward, 0, Policy::Accept)
    };
    let chain = Chain { name: "first".into(), base, rules: rules.to_vec() };
    let other = Chain { name: "elsewhere".into(), base: None, rules: vec![] };
    Table { family, name: "t".into(), chains: vec![chain, other] }
}

/// Puts the table, reads it back, and compares text and byte code with those of nft's own loading of the same words.
fn check(table: &Table) {
    let mut socket = socket();
    nft::replace_table(&mut socket, table).unwrap_or_else(|refusal| panic!("{table}{refusal}"));
    assert_eq!(nft::list(&mut socket).expect("the tables are read"), [table.canonical()], "{table}");
    let (text, code) = as_nft_sees_it();
    assert_eq!(without_counts(&text), table.canonical().to_string());

    nft::delete_table(&mut socket, table.family, &table.name).expect("the table is deleted");
    assert_eq!(nft::list(&mut socket).expect("the tables are read"), [], "{table}");
    support::nft(&["-f", "-"], &table.to_string()).unwrap_or_else(|error| panic!("{table}{error}"));
    let (text_of_nft, code_of_nft) = as_nft_sees_it();
    assert_eq!(text, text_of_nft);
    assert_eq!(code, code_of_nft);
    assert_eq!(
        nft::list(&mut socket).expect("the tables are read"),
        [table.canonical()],
        "made by nft: {table}"
    );
    support::nft(&["flush", "ruleset"], "").expect("our own namespace is flushed");
}

/// What nft prints: the ruleset, and the expressions of each rule without handles.
fn as_nft_sees_it() -> (String, String) {
    let text = support::nft(&["list", "ruleset"], "").expect("nft lists");
    let code = support::nft(&["--debug=netlink", "list", "ruleset"], "").expect("nft lists");
    let code: Vec<&str> = code.lines().filter(|line| line.trim_start().starts_with('[')).collect();
    (text, code.join("\n"))
}

fn without_counts(text: &str) -> String {
    text.replace("counter packets 0 bytes 0", "counter")
}

fn prefix(text: &str) -> ipnet::IpNet {
    text.parse().expect("a prefix")
}

fn from(text: &str) -> Match {
    Match::Source(prefix(text))
}

fn to(text: &str) -> Match {
    Match::Destination(prefix(text))
}

fn name(text: &str) -> netyard_core::name::IfName {
    text.parse().expect("a name")
}

fn port(protocol: Protocol, first: u16, last: u16) -> Match {
    Match::DestinationPort(protocol, Ports { first, last })
}

const ESTABLISHED: CtStates =
    CtStates { invalid: false, established: true, related: true, new: false, untracked: false };

/// Every kind of match that is not about one version of IP.
fn matches_of_any_version() -> Vec<Match> {
    let all = CtStates { invalid: true, established: true, related: true, new: true, untracked: true };
    vec![
        Match::InterfaceIn(name("eth0")),
        Match::InterfaceIn(name("fifteen-letters")),
        Match::InterfaceIn(name("star*")),
        Match::InterfaceOut(name("eth0")),
        Match::InterfaceOutNot(name("lan")),
        Match::Protocol(Protocol::Icmp),
        Match::Protocol(Protocol::Tcp),
        Match::Protocol(Protocol::Udp),
        Match::Protocol(Protocol::Icmpv6),
        port(Protocol::Tcp, 80, 80),
        port(Protocol::Udp, 5000, 5100),
        Match::SourcePort(Protocol::Udp, 53.into()),
        Match::SourcePort(Protocol::Tcp, Ports { first: 0, last: u16::MAX }),
        Match::CtState(ESTABLISHED),
        Match::CtState(all),
        Match::CtState(CtStates { invalid: true, ..CtStates::default() }),
        Match::CtState(CtStates { new: true, ..CtStates::default() }),
        Match::CtState(CtStates { untracked: true, ..CtStates::default() }),
        Match::CtStatusDnat,
        Match::TcpSyn,
    ]
}

fn matches_of_ipv4() -> Vec<Match> {
    let mut list = vec![Match::IcmpType(Protocol::Icmp, 8), Match::IcmpType(Protocol::Icmp, 99)];
    for bits in [0, 1, 8, 9, 16, 23, 24, 31, 32] {
        list.extend([from(&format!("198.51.100.255/{bits}")), to(&format!("198.51.100.255/{bits}"))]);
    }
    list
}

fn matches_of_ipv6() -> Vec<Match> {
    let mut list = vec![Match::IcmpType(Protocol::Icmpv6, 128), Match::IcmpType(Protocol::Icmpv6, 250)];
    for bits in [0, 1, 8, 48, 56, 63, 64, 127, 128] {
        list.extend([
            from(&format!("2001:db8:1:2:3:4:5:6/{bits}")),
            to(&format!("2001:db8:1:2:3:4:5:6/{bits}")),
        ]);
    }
    list
}

#[test]
fn every_match_reads_back_in_an_inet_table() {
    in_netns(|| {
        let local = [Match::DestinationLocal];
        check(&Table {
            chains: vec![Chain {
                name: "first".into(),
                base: base(ChainKind::Filter, Hook::Prerouting, 0, Policy::Accept),
                rules: vec![rule(&local, Action::Drop)],
            }],
            ..table(Family::Inet, &[])
        });
        for condition in
            matches_of_any_version().into_iter().chain(matches_of_ipv4()).chain(matches_of_ipv6())
        {
            check(&table(Family::Inet, &[rule(&[condition], Action::Accept)]));
        }
    });
}

#[test]
fn every_match_reads_back_in_tables_of_one_version() {
    in_netns(|| {
        let v4 = matches_of_any_version().into_iter().chain(matches_of_ipv4());
        let v4: Vec<Rule> = v4.map(|m| counted(&[m], Action::Drop)).collect();
        check(&table(Family::Ip, &v4));
        let v6 = matches_of_any_version().into_iter().chain(matches_of_ipv6());
        let v6: Vec<Rule> = v6.map(|m| counted(&[m], Action::Drop)).collect();
        check(&table(Family::Ip6, &v6));
    });
}

#[test]
fn matches_read_back_in_a_bridge_table() {
    in_netns(|| {
        // Kernels without nf_conntrack_bridge refuse `ct` there.
        let tracked = |m: &Match| matches!(m, Match::CtState(_) | Match::CtStatusDnat);
        let all = matches_of_any_version().into_iter().chain(matches_of_ipv4()).chain(matches_of_ipv6());
        let rules: Vec<Rule> = all.filter(|m| !tracked(m)).map(|m| rule(&[m], Action::Accept)).collect();
        let mut table = table(Family::Bridge, &rules);
        for (index, priority) in [-300, -200, 0, 100, 300].into_iter().enumerate() {
            for (hook, word) in [(Hook::Prerouting, "p"), (Hook::Output, "o"), (Hook::Postrouting, "q")] {
                let base = base(ChainKind::Filter, hook, priority, Policy::Accept);
                table.chains.push(Chain { name: format!("{word}{index}"), base, rules: vec![] });
            }
        }
        check(&table);
    });
}

#[test]
fn every_action_reads_back() {
    in_netns(|| {
        let tcp = || port(Protocol::Tcp, 80, 80);
        let dnat = |text: &str| Action::Dnat(text.parse().expect("an address and port"));
        let snat = |text: &str| Action::Snat(text.parse().expect("an address"));
        let v4 = || from("10.0.0.0/24");
        let v6 = || from("fd00::/64");
        for rules in [
            rule(&[], Action::Continue),
            counted(&[], Action::Continue),
            rule(&[], Action::Accept),
            counted(&[v4()], Action::Drop),
            rule(&[], Action::Reject),
            rule(&[Match::Protocol(Protocol::Tcp)], Action::Reject),
            rule(&[tcp()], Action::Reject),
            rule(&[v4()], Action::Reject),
            rule(&[v6()], Action::Reject),
            rule(&[Match::IcmpType(Protocol::Icmp, 8)], Action::Reject),
            rule(&[Match::IcmpType(Protocol::Icmpv6, 128)], Action::Reject),
            rule(&[], Action::Jump("elsewhere".into())),
            rule(&[], Action::Masquerade),
            counted(&[v4(), Match::InterfaceOut(name("ens4"))], Action::Masquerade),
            rule(&[v6(), Match::InterfaceOutNot(name("lan"))], Action::Masquerade),
            rule(&[], snat("198.51.100.1")),
            rule(&[], snat("2001:db8::1")),
            rule(&[v4()], snat("198.51.100.1")),
            rule(&[v6()], snat("2001:db8::1")),
            rule(&[tcp()], dnat("10.0.0.1:8080")),
            rule(&[tcp()], dnat("[fd00::1]:8080")),
            rule(&[to("198.51.100.1/32"), tcp()], dnat("10.0.0.1:8080")),
            rule(&[Match::DestinationLocal, port(Protocol::Udp, 53, 54)], dnat("10.0.0.1:53")),
            rule(&[], dnat("10.0.0.1:0")),
            rule(&[to("2001:db8::1/128")], dnat("[fd00::1]:0")),
            rule(&[], Action::ClampMss),
            rule(&[Match::TcpSyn], Action::ClampMss),
            counted(&[Match::InterfaceOut(name("wan")), Match::TcpSyn], Action::ClampMss),
        ] {
            check(&table(Family::Inet, &[rules]));
        }
        check(&table(Family::Ip, &[rule(&[], Action::Reject), rule(&[v4()], Action::Reject)]));
        check(&table(Family::Ip6, &[rule(&[], Action::Reject), rule(&[v6()], Action::Reject)]));
        check(&table(Family::Ip, &[rule(&[v4()], Action::Masquerade), rule(&[], snat("198.51.100.1"))]));
        check(&table(Family::Ip, &[rule(&[tcp()], dnat("10.0.0.1:80")), rule(&[], dnat("10.0.0.1:0"))]));
        check(&table(Family::Ip6, &[rule(&[tcp()], dnat("[fd00::1]:80")), rule(&[], dnat("[fd00::1]:0"))]));
    });
}

#[test]
fn matches_combine_and_share_what_they_depend_on() {
    in_netns(|| {
        let tcp = Match::Protocol(Protocol::Tcp);
        let (web, dns) = (port(Protocol::Tcp, 80, 80), port(Protocol::Udp, 53, 53));
        let source = Match::SourcePort(Protocol::Tcp, 1024.into());
        let sources = Match::SourcePort(Protocol::Tcp, Ports { first: 1024, last: 2048 });
        let echo = Match::IcmpType(Protocol::Icmp, 8);
        for matches in [
            vec![from("10.0.0.0/24"), to("192.0.2.1/32")],
            vec![from("10.0.0.1/32"), to("192.0.2.1/32")],
            vec![to("192.0.2.1/32"), from("10.0.0.1/32")],
            vec![from("fd00::1/128"), to("fd00::2/128")],
            vec![web.clone(), from("10.0.0.0/24")],
            vec![tcp.clone(), web.clone()],
            vec![web.clone(), sources],
            vec![tcp.clone(), Match::TcpSyn],
            vec![from("10.0.0.0/24"), echo.clone()],
            vec![echo.clone(), to("10.0.0.0/23")],
            vec![Match::InterfaceIn(name("lan")), Match::InterfaceOutNot(name("lan")), dns],
            vec![Match::CtState(ESTABLISHED), Match::CtStatusDnat],
            vec![Match::InterfaceIn(name("wan")), Match::CtState(ESTABLISHED), to("10.0.0.0/8"), web.clone()],
        ] {
            check(&table(Family::Inet, &[counted(&matches, Action::Accept)]));
        }
        // nft joins two ports into one comparison, and compares an explicit protocol where it stands; we write two, and
        // compare it where it is needed. nft prints both in the same words.
        let early = vec![tcp, Match::InterfaceIn(name("lan")), web.clone()];
        let icmp = vec![Match::Protocol(Protocol::Icmp), echo];
        for matches in [vec![source.clone(), web.clone()], vec![web, source], early, icmp] {
            let table = table(Family::Inet, &[rule(&matches, Action::Accept)]);
            let mut socket = socket();
            nft::replace_table(&mut socket, &table).expect("the table is put");
            let text = as_nft_sees_it().0;
            assert_eq!(nft::list(&mut socket).expect("it is read"), [table.canonical()]);
            support::nft(&["-f", "-"], &format!("flush ruleset\n{table}")).expect("nft loads it");
            assert_eq!(as_nft_sees_it().0, text);
            assert_eq!(nft::list(&mut socket).expect("it is read"), [table.canonical()]);
            support::nft(&["flush", "ruleset"], "").expect("our own namespace is flushed");
        }
    });
}

#[test]
fn a_home_router_reads_back() {
    in_netns(|| {
        let (lan, wan) = (|| Match::InterfaceIn(name("lan")), || Match::InterfaceIn(name("wan")));
        let out = || Match::InterfaceOut(name("wan"));
        let web = || port(Protocol::Tcp, 8080, 8080);
        let chain = |word: &str, base, rules: Vec<Rule>| Chain { name: word.into(), base, rules };
        let nat = ChainKind::Nat;
        let filter = ChainKind::Filter;
        let server: std::net::SocketAddr = "10.0.0.1:80".parse().expect("an address and port");
        check(&Table {
            family: Family::Inet,
            name: "home".into(),
            chains: vec![
                chain(
                    "prerouting",
                    base(nat, Hook::Prerouting, -100, Policy::Accept),
                    vec![
                        rule(&[wan(), web()], Action::Dnat(server)),
                        // The way back from the own network to the address outside (hairpin).
                        rule(&[lan(), Match::DestinationLocal, web()], Action::Dnat(server)),
                    ],
                ),
                chain(
                    "postrouting",
                    base(nat, Hook::Postrouting, 100, Policy::Accept),
                    vec![
                        rule(&[from("10.0.0.0/24"), out()], Action::Masquerade),
                        rule(
                            &[from("10.0.0.0/24"), Match::CtStatusDnat, to("10.0.0.1/32")],
                            Action::Masquerade,
                        ),
                        rule(
                            &[from("fd00::/64"), out()],
                            Action::Snat("2001:db8::1".parse().expect("an address")),
                        ),
                    ],
                ),
                chain(
                    "input",
                    base(filter, Hook::Input, 0, Policy::Drop),
                    vec![
                        rule(&[Match::CtState(ESTABLISHED)], Action::Accept),
                        rule(&[Match::InterfaceIn(name("lo"))], Action::Accept),
                        rule(&[Match::Protocol(Protocol::Icmp)], Action::Accept),
                        rule(&[Match::Protocol(Protocol::Icmpv6)], Action::Accept),
                        counted(&[lan()], Action::Jump("from_lan".into())),
                    ],
                ),
                chain(
                    "forward",
                    base(filter, Hook::Forward, -1, Policy::Drop),
                    vec![
                        rule(&[out(), Match::TcpSyn], Action::ClampMss),
                        rule(&[Match::CtState(ESTABLISHED)], Action::Accept),
                        rule(&[Match::CtStatusDnat], Action::Accept),
                        rule(&[lan(), out()], Action::Accept),
                        counted(&[], Action::Reject),
                    ],
                ),
                chain(
                    "from_lan",
                    None,
                    vec![
                        rule(&[port(Protocol::Udp, 53, 53)], Action::Accept),
                        rule(&[port(Protocol::Tcp, 22, 22)], Action::Accept),
                    ],
                ),
            ],
        });
    });
}

#[test]
fn priorities_are_named_as_nft_names_them() {
    in_netns(|| {
        for family in [Family::Inet, Family::Ip, Family::Ip6] {
            let mut table = Table { family, name: "t".into(), chains: vec![] };
            let priorities = [
                -301, -300, -290, -289, -150, -110, -100, -89, -10, -1, 0, 5, 11, 42, 50, 60, 61, 100, 110,
                300,
            ];
            for hook in [Hook::Prerouting, Hook::Input, Hook::Forward, Hook::Output, Hook::Postrouting] {
                for (index, priority) in priorities.into_iter().enumerate() {
                    let base = base(ChainKind::Filter, hook, priority, Policy::Accept);
                    table.chains.push(Chain { name: format!("{hook}{index}"), base, rules: vec![] });
                }
            }
            check(&table);
        }
        let base = base(ChainKind::Route, Hook::Output, -150, Policy::Accept);
        let chains = vec![Chain { name: "marking".into(), base, rules: vec![] }];
        check(&Table { family: Family::Inet, name: "t".into(), chains });
    });
}

#[test]
fn a_refused_table_leaves_the_one_before_in_place() {
    in_netns(|| {
        let mut socket = socket();
        let before = table(Family::Inet, &[rule(&[], Action::Accept)]);
        nft::replace_table(&mut socket, &before).expect("the table is put");
        let refused = |socket: &mut Socket, matches: &[Match], action: Action| {
            let refusal = nft::replace_table(socket, &table(Family::Inet, &[rule(matches, action)]));
            let refusal = refusal.expect_err("nft would not take this rule either");
            assert_eq!(nft::list(socket).expect("the tables are read"), std::slice::from_ref(&before));
            refusal
        };
        let (v4, v6, web) = (from("10.0.0.0/8"), from("fd00::/8"), port(Protocol::Tcp, 80, 80));
        let dns = port(Protocol::Udp, 53, 53);
        let dnat = || Action::Dnat("10.0.0.1:80".parse().expect("an address and port"));
        for (matches, action, words) in [
            (vec![v4, v6.clone()], Action::Accept, "conflicting protocols: ip and ip6"),
            (vec![web, dns], Action::Accept, "conflicting protocols: tcp and udp"),
            (vec![v6], dnat(), "another family"),
            (vec![], dnat(), "only valid after a match on a transport protocol"),
            (vec![port(Protocol::Icmp, 1, 1)], Action::Accept, "icmp has no ports"),
            (vec![port(Protocol::Tcp, 2, 1)], Action::Accept, "range 2-1 is empty"),
            (vec![Match::CtState(CtStates::default())], Action::Accept, "without a state"),
            (vec![Match::Other("limit rate 1/second".into())], Action::Accept, "cannot be written"),
            (vec![], Action::Other("log".into()), "cannot be written"),
            (vec![], Action::Jump("x".repeat(300)), "1 to 255 bytes"),
        ] {
            let refusal = refused(&mut socket, &matches, action);
            assert_eq!(refusal.errno, libc::EINVAL);
            let message = refusal.message.expect("it has words");
            assert!(message.contains(words), "{message}");
        }
        // And those that the kernel refuses: a chain that is not there, an action that the hook cannot do.
        assert_eq!(refused(&mut socket, &[], Action::Jump("nowhere".into())).errno, libc::ENOENT);
        let mut wrong = table(Family::Inet, &[rule(&[], Action::Masquerade)]);
        wrong.chains[0].base = base(ChainKind::Filter, Hook::Input, 0, Policy::Accept);
        let refusal = nft::replace_table(&mut socket, &wrong).expect_err("masquerade needs a nat chain");
        assert_eq!(refusal.errno, libc::EOPNOTSUPP);
        assert_eq!(nft::list(&mut socket).expect("the tables are read"), [before]);
        let refusal = nft::delete_table(&mut socket, Family::Inet, "none").expect_err("there is none");
        assert_eq!(refusal.errno, libc::ENOENT);
    });
}

#[test]
fn an_owned_table_lives_as_long_as_its_socket() {
    in_netns(|| {
        let table = table(Family::Inet, &[counted(&[], Action::Accept)]);
        let (mut owner, mut other) = (socket(), socket());
        nft::replace_table_owned(&mut owner, &table).expect("the table is put");
        nft::replace_table_owned(&mut owner, &table).expect("the owner may replace it");
        for refusal in [
            nft::replace_table(&mut other, &table),
            nft::replace_table_owned(&mut other, &table),
            nft::delete_table(&mut other, table.family, &table.name),
        ] {
            assert_eq!(refusal.expect_err("it belongs to another").errno, libc::EPERM);
        }
        support::nft(&["flush", "ruleset"], "").expect("a flush passes over it");
        assert_eq!(nft::list(&mut other).expect("the tables are read"), std::slice::from_ref(&table));
        drop(owner);
        assert_eq!(nft::list(&mut other).expect("the tables are read"), []);

        nft::replace_table(&mut other, &table).expect("the table is put");
        let refusal =
            nft::replace_table_owned(&mut socket(), &table).expect_err("a table of nobody is not ours");
        assert_eq!(refusal.errno, libc::EOPNOTSUPP);
        assert_eq!(nft::list(&mut other).expect("the tables are read"), [table]);
    });
}

#[test]
fn other_tables_are_left_alone() {
    in_netns(|| {
        let mut socket = socket();
        let [mut a, mut b] = [(); 2].map(|()| table(Family::Inet, &[rule(&[], Action::Accept)]));
        (a.name, b.name) = ("a".into(), "b".into());
        let c = Table { family: Family::Ip6, ..b.clone() };
        for table in [&a, &b, &c, &a] {
            nft::replace_table(&mut socket, table).expect("the table is put");
        }
        assert_eq!(nft::list(&mut socket).expect("the tables are read"), [b.clone(), c.clone(), a.clone()]);
        nft::delete_table(&mut socket, b.family, &b.name).expect("the table is deleted");
        assert_eq!(nft::list(&mut socket).expect("the tables are read"), [c, a]);
    });
}

/// Rules as a person types them, and how they read back where that differs.
const TYPED: &[(&str, &str)] = &[
    ("ip saddr 10.0.0.0/24 masquerade", ""),
    ("oifname \"ens4\" ip saddr 10.0.0.0/24 counter masquerade", ""),
    ("masquerade random,persistent", "masquerade random persistent"),
    ("tcp dport 5 masquerade to :1024-2000", ""),
    ("snat to 10.0.0.1-10.0.0.5", ""),
    ("snat to ip saddr map { 10.0.0.1 : 192.0.2.1, 10.0.0.2 : 192.0.2.2 }", ""),
    ("ip saddr @banned tcp dport { 80, 443, 1000-2000 } ct state { established, new } accept", ""),
    ("ip saddr { 10.0.0.0/8, 192.168.0.1-192.168.0.9 } accept", ""),
    ("ct state vmap { invalid : drop, established : accept, new : jump c }", ""),
    ("ip saddr . tcp dport { 1.1.1.1 . 80, 2.2.2.2 . 443 } drop", ""),
    ("iifname { \"a\", \"b\" } accept", ""),
    ("tcp dport != { 22, 23 } log prefix \"hello \" drop", ""),
    ("log level debug", ""),
    ("limit rate 5/second burst 10 packets accept", ""),
    ("limit rate over 10 kbytes/second drop", "limit rate over 10240 bytes/second drop"),
    ("quota over 10 mbytes drop", "quota over 10485760 bytes drop"),
    ("iif \"lo\" accept", "iif 1 accept"),
    ("meta mark 1 accept", "meta mark 0x00000001 accept"),
    ("meta mark & 0xff == 0x10 accept", "meta mark & 0x000000ff == 0x00000010 accept"),
    ("meta mark set 5", "meta mark set 0x00000005"),
    ("ct mark set meta mark", ""),
    ("ip protocol gre accept", ""),
    ("meta l4proto gre accept", ""),
    ("meta l4proto { tcp, udp } th dport 53 accept", ""),
    ("ip ttl < 5 drop", ""),
    ("tcp flags & (fin|syn|rst|ack) == syn counter drop", "tcp flags syn / fin,syn,rst,ack counter drop"),
    ("tcp flags syn drop", ""),
    ("ip saddr 10.0.0.1-10.0.0.9 drop", ""),
    ("ip daddr != 10.0.0.0/8 drop", ""),
    ("ip daddr != 10.0.0.0/9 drop", ""),
    ("ip daddr != 10.0.0.1 drop", ""),
    ("tcp dport != 1-3 drop", ""),
    ("udp length > 5 accept", ""),
    ("meta pkttype broadcast drop", ""),
    ("fib saddr type local drop", ""),
    ("fib saddr . iif oif 0 drop", ""),
    ("ct status snat,dnat accept", ""),
    ("ct state != established drop", "ct state != established drop"),
    ("ct direction original ct mark 3 accept", "ct direction original ct mark 0x00000003 accept"),
    ("notrack", ""),
    ("ip daddr set 1.2.3.4", ""),
    ("goto c", ""),
    ("return", ""),
    ("tcp option maxseg size set 1400", ""),
    ("reject with icmp host-unreachable", ""),
    ("reject with tcp reset", "reject with tcp reset"),
    ("iifname \"eth*\" accept", ""),
    ("iifname != \"eth*\" accept", ""),
    ("meta nftrace set 1", ""),
    ("numgen inc mod 2 0 accept", ""),
    ("update @seen { ip saddr }", "update @seen { ip saddr }"),
    ("counter ip saddr 10.0.0.1 drop", ""),
    ("ip saddr 10.0.0.1 counter", "ip saddr 10.0.0.1 counter continue"),
    ("icmp type { echo-reply, echo-request } accept", ""),
    ("icmp type echo-request icmp code 1 drop", ""),
    ("udp sport 68 udp dport 67 accept", ""),
    ("ip saddr 10.0.0.1 ip daddr 10.0.0.2 accept", ""),
    ("@nh,64,8 0x40 accept", "ip ttl 64 accept"),
    ("@th,160,16 0x1234 accept", ""),
    ("ether saddr 00:11:22:33:44:55 drop", "iiftype 1 ether saddr 00:11:22:33:44:55 drop"),
];

#[test]
fn rules_that_nft_made_read_back_in_its_words() {
    in_netns(|| {
        let mut socket = socket();
        let mut text = "table ip t {\n set banned { type ipv4_addr; flags interval; }\n \
                        set seen { type ipv4_addr; flags dynamic; size 9; }\n chain c { }\n"
            .to_owned();
        for (index, (typed, _)) in TYPED.iter().enumerate() {
            let hook = match typed {
                _ if typed.contains("masquerade") || typed.contains("snat to") => "type nat hook postrouting",
                _ if typed.contains("fib") => "type filter hook prerouting",
                _ => "type filter hook forward",
            };
            text.push_str(&format!(" chain c{index} {{ {hook} priority {index};\n {typed}\n }}\n"));
        }
        support::nft(&["-f", "-"], &format!("{text}}}\n")).expect("nft loads it");
        let table = nft::list(&mut socket).expect("the tables are read").remove(0);
        let mut differences = Vec::new();
        for (chain, (typed, words)) in table.chains[1..].iter().zip(TYPED) {
            let wanted = if words.is_empty() { typed } else { words };
            let read = chain.rules[0].to_string();
            if read != *wanted {
                differences.push(format!("typed: {typed}\nwanted: {wanted}\nread: {read}"));
            }
        }
        assert!(differences.is_empty(), "{}", differences.join("\n\n"));
        // The one rule of the talk is a match and an action, not words.
        let rules = &table.chains[2].rules;
        let matches = [Match::InterfaceOut(name("ens4")), from("10.0.0.0/24")];
        assert_eq!(*rules, [counted(&matches, Action::Masquerade)]);
    });
}

#[test]
fn a_table_of_hundreds_of_rules_is_one_transaction() {
    in_netns(|| {
        let mut socket = socket();
        // 325 KB: more than the send buffer holds by default, less than an ordinary user may ask for by default.
        let numbers = 0..700_u16;
        let rules: Vec<Rule> = numbers
            .map(|n| counted(&[from("10.0.0.0/8"), port(Protocol::Tcp, n, n)], Action::Accept))
            .collect();
        let table = table(Family::Inet, &rules);
        nft::replace_table(&mut socket, &table).expect("the table is put");
        assert_eq!(nft::list(&mut socket).expect("the tables are read"), [table]);
    });
}
