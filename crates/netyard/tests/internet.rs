//! The internet node's servers, asked from a PC behind a masquerading router, and expectations about all of them.

// A test may panic.
#![allow(clippy::unwrap_used)]

mod support;

use netyard::dns::{Data, Rcode, Type};
use netyard::expect::{self, Options};
use netyard::internet::{Listeners, names::Names, serve};
use netyard::probe::{Patience, dns, http, path, tcp, udp};
use netyard_core::expect::{Expectation, Outcome, Ping, Probe, Target};
use netyard_core::lab::{Lab, Role};
use netyard_core::report::{ExpectationResult, TestReport, Writing, text};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::time::Duration;
use support::{Net, as_root, lab, name};

const SHORT: Patience<'static> = Patience::of(Duration::from_millis(3000));

/// The talk's network: pc 10.0.0.1 - router, masquerading to 10.138.0.3 - internet 10.138.0.1 with every address.
fn home() -> (Net, Lab) {
    let net = Net::new(["pc", "router", "internet"]);
    net.cable(
        ("pc", "eth0", &["10.0.0.1/24", "fd00::1/64"]),
        ("router", "eth0", &["10.0.0.254/24", "fd00::fe/64"]),
    );
    net.cable(
        ("router", "eth1", &["10.138.0.3/24", "fd01::3/64"]),
        ("internet", "eth0", &["10.138.0.1/24", "fd01::1/64"]),
    );
    net.sh("pc", "ip route add default via 10.0.0.254; ip route add default via fd00::fe");
    net.sh(
        "router",
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding
         ip route add default via 10.138.0.1; ip route add default via fd01::1
         nft 'table inet nat { chain post { type nat hook postrouting priority 100; oifname eth1 masquerade; }; }'",
    );
    net.sh(
        "internet",
        "ip route add local 0.0.0.0/0 dev lo table main; ip route add unreachable 10.0.0.0/24
         ip -6 route add local ::/0 dev lo table main; ip -6 route add unreachable fd00::/64",
    );
    let lab = lab(&[
        ("pc", Role::Host, &[&["10.0.0.1/24", "fd00::1/64"]]),
        ("router", Role::Router, &[&["10.0.0.254/24", "fd00::fe/64"], &["10.138.0.3/24", "fd01::3/64"]]),
        ("internet", Role::Internet, &[&["10.138.0.1/24", "fd01::1/64"]]),
    ]);
    (net, lab)
}

/// Runs a test while the servers of the internet node run.
fn with_internet(net: &Net, lab: &Lab, test: impl FnOnce()) {
    let listeners = net.inside("internet", || Listeners::open(true)).unwrap();
    let names = Names::of(lab);
    let (stop, stopper) = std::io::pipe().unwrap();
    std::thread::scope(|scope| {
        let server = scope.spawn(|| serve(&listeners, &names, stop.as_fd()));
        // The servers end with this, also when the test panics.
        let stopper = stopper;
        test();
        drop(stopper);
        server.join().unwrap().unwrap();
    });
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn http_tells_callers_the_address_that_the_router_gave_them() {
    as_root("http_tells_callers_the_address_that_the_router_gave_them", || {
        let (net, lab) = home();
        with_internet(&net, &lab, || {
            for (to, seen) in [("1.1.1.1:80", "10.138.0.3\n"), ("[2606:4700::1]:80", "fd01::3\n")] {
                let what = http::Get { to: to.parse().unwrap(), host: "one.one", path: "/ip" };
                let response = http::get(&net, &name("pc"), what, SHORT).unwrap();
                assert_eq!(String::from_utf8(response.body).unwrap(), seen);
                assert_eq!(response.status, 200);
            }
            // Without masquerading at all: the router's own address.
            let what = http::Get { to: "9.9.9.9:80".parse().unwrap(), host: "x", path: "/json" };
            let response = http::get(&net, &name("router"), what, SHORT).unwrap();
            assert_eq!(response.header("content-type"), Some("application/json"));
            let body = String::from_utf8(response.body).unwrap();
            assert!(
                body.contains(r#""asked":"9.9.9.9""#) && body.contains(r#""address":"10.138.0.3""#),
                "{body}"
            );
        });
    });
}

#[test]
fn curl_and_many_connections_are_served() {
    as_root("curl_and_many_connections_are_served", || {
        let (net, lab) = home();
        with_internet(&net, &lab, || {
            net.sh("pc", "test \"$(curl -s http://1.1.1.1/ip)\" = 10.138.0.3");
            net.sh("pc", "curl -sI http://1.1.1.1/ | grep -q 'HTTP/1.1 200 OK'");
            net.sh("pc", "curl -s -d body http://1.1.1.1/ -o /dev/null -w '%{http_code}' | grep -q 405");
            let connect = || tcp::connect(&net, &name("pc"), "1.2.3.4:80".parse().unwrap(), SHORT).unwrap();
            let idle: Vec<_> = (0..300).map(|_| connect()).collect();
            let mut late = connect().stream;
            late.write_all(b"GET /ip HTTP/1.1\r\n\r\n").unwrap();
            let mut answer = String::new();
            late.read_to_string(&mut answer).unwrap();
            assert!(answer.ends_with("10.138.0.3\n"), "{answer}");
            // The first ones had to make room.
            let mut first = &idle[0].stream;
            first.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            assert!(matches!(first.read(&mut [0; 8]), Ok(0) | Err(_)));
        });
    });
}

#[test]
fn dns_knows_nodes_and_answers_from_the_address_asked() {
    as_root("dns_knows_nodes_and_answers_from_the_address_asked", || {
        let (net, lab) = home();
        with_internet(&net, &lab, || {
            let ask = |server: &str, name_asked: &str, kind| {
                dns::query(&net, &name("pc"), address(server), name_asked, kind, SHORT).unwrap().response
            };
            for server in ["10.138.0.1", "1.1.1.1", "8.8.8.8", "fd01::1", "2001:4860:4860::8888"] {
                let response = ask(server, "router.home", Type::A);
                let found: Vec<IpAddr> = response.addresses().collect();
                assert_eq!(found, [address("10.0.0.254"), address("10.138.0.3")], "by {server}");
            }
            let whoami = ask("1.1.1.1", "whoami.netyard", Type::TXT);
            assert_eq!(whoami.records[0].1, Data::Text("10.138.0.3".into()));
            assert_eq!(ask("1.1.1.1", "nobody", Type::A).rcode, Rcode::NO_NAME);
            let public: Vec<IpAddr> = ask("1.1.1.1", "example.com", Type::A).addresses().collect();
            let what = http::Get { to: (public[0], 80).into(), host: "example.com", path: "/" };
            assert_eq!(http::get(&net, &name("pc"), what, SHORT).unwrap().status, 200);
        });
    });
}

#[test]
fn a_long_dns_answer_comes_over_tcp() {
    as_root("a_long_dns_answer_comes_over_tcp", || {
        let (net, mut lab) = home();
        let many: Vec<String> = (1..=120).map(|n| format!("10.5.0.{n}/24")).collect();
        lab.nodes[0].interfaces[0].addresses.extend(many.iter().map(|a| a.parse::<ipnet::IpNet>().unwrap()));
        with_internet(&net, &lab, || {
            let answer = dns::query(&net, &name("router"), address("1.1.1.1"), "pc", Type::A, SHORT).unwrap();
            assert_eq!(answer.response.addresses().count(), 121);
            assert!(!answer.response.is_truncated);
        });
    });
}

#[test]
fn echo_answers_by_udp_and_tcp() {
    as_root("echo_answers_by_udp_and_tcp", || {
        let (net, lab) = home();
        with_internet(&net, &lab, || {
            let answer =
                udp::ask(&net, &name("pc"), "5.6.7.8:7".parse().unwrap(), b"hello", SHORT, |_| true).unwrap();
            assert_eq!(answer.payload, b"hello");
            let mut stream =
                tcp::connect(&net, &name("pc"), "[2001:db8::5]:7".parse().unwrap(), SHORT).unwrap().stream;
            let sent = vec![7; 300_000];
            let mut back = vec![0; sent.len()];
            std::thread::scope(|scope| {
                let mut writer = &stream;
                scope.spawn(move || writer.write_all(&vec![7; 300_000]).unwrap());
                (&stream).read_exact(&mut back).unwrap();
            });
            assert_eq!(back, sent);
            stream.flush().unwrap();
        });
    });
}

fn expectation(from: &str, probe: Probe) -> Expectation {
    Expectation {
        line: 0,
        from: name(from),
        probe,
        outcome: Outcome::Ok,
        seen_as: None,
        within_ms: 0,
        dropped: None,
    }
}

fn target(text: &str) -> Target {
    match text.parse() {
        Ok(address) => Target::Address(address),
        Err(_) if text.contains('.') => Target::Name(text.into()),
        Err(_) => Target::Node(name(text)),
    }
}

fn ping(to: &str) -> Probe {
    Probe::Ping(Ping::to(target(to)))
}

fn check(results: Vec<ExpectationResult>, lab: &Lab, expected_failures: &[(usize, &str)]) {
    let report = TestReport::new(lab.name.clone(), results);
    let told = text(&report, Writing::default());
    for result in &report.expectations {
        let failure = expected_failures.iter().find(|(index, _)| *index == result.index);
        assert_eq!(result.passed, failure.is_none(), "{}\n{told}", result.text);
        if let Some((_, words)) = failure {
            assert!(result.reason().contains(words), "{words}\n{told}");
        }
    }
}

fn http(to: &str, path: &str, contains: Option<&str>) -> Probe {
    let contains = contains.map(str::to_owned);
    Probe::Http { to: target(to), port: 80, path: path.into(), status: None, contains }
}

#[test]
fn expectations_of_the_talks_network_come_true() {
    as_root("expectations_of_the_talks_network_come_true", || {
        let (net, lab) = home();
        let seen_as =
            |expectation: Expectation, seen: &str| Expectation { seen_as: seen.parse().ok(), ..expectation };
        let but = |expectation: Expectation, outcome| Expectation { outcome, ..expectation };
        let udp = |port, answer: &str| Probe::Udp {
            to: target("5.6.7.8"),
            port,
            payload: "hello".into(),
            answer: Some(answer.into()),
        };
        let tcp = |to: &str, port| Probe::Tcp { to: target(to), port };
        let dns = |asked: &str, found: &str| Probe::Dns {
            name: asked.into(),
            server: None,
            is_ipv6: false,
            address: found.parse().ok(),
        };
        let router_mac = "02:00:00:00:00:99".parse().unwrap();
        let expectations = vec![
            expectation("pc", ping("router")),
            seen_as(expectation("pc", ping("1.1.1.1")), "10.138.0.3"),
            seen_as(expectation("pc", ping("2001:db8::9")), "fd01::3"),
            but(expectation("internet", ping("pc")), Outcome::Unreachable),
            seen_as(expectation("pc", tcp("1.1.1.1", 80)), "10.138.0.3"),
            but(expectation("pc", tcp("1.1.1.1", 81)), Outcome::Refused),
            seen_as(expectation("pc", http("1.1.1.1", "/ip", Some("10.138.0.3"))), "10.138.0.3"),
            expectation("pc", http("example.com", "/", None)),
            seen_as(expectation("pc", udp(7, "hello")), "10.138.0.3"),
            but(expectation("pc", udp(8, "hello")), Outcome::Refused),
            expectation("pc", dns("router", "10.0.0.254")),
            expectation(
                "pc",
                Probe::Route {
                    to: target("1.1.1.1"),
                    via: "10.0.0.254".parse().ok(),
                    dev: "eth0".parse().ok(),
                    protocol: None,
                },
            ),
            expectation(
                "pc",
                Probe::Neighbour { to: target("10.0.0.254"), mac: None, state: Some("reachable".into()) },
            ),
            expectation(
                "pc",
                Probe::Path { to: target("1.1.1.1"), nodes: vec![name("router"), name("internet")] },
            ),
            expectation(
                "pc",
                Probe::Path { to: target("2001:db8::9"), nodes: vec![name("router"), name("internet")] },
            ),
            but(
                expectation(
                    "router",
                    Probe::Route { to: target("10.0.0.77"), via: None, dev: None, protocol: None },
                ),
                Outcome::Ok,
            ),
            // From here on all fail.
            seen_as(expectation("pc", ping("1.1.1.1")), "10.0.0.1"),
            but(expectation("pc", ping("router")), Outcome::Timeout),
            expectation("pc", http("1.1.1.1", "/ip", Some("10.0.0.1"))),
            expectation("pc", udp(7, "world")),
            expectation("pc", dns("router", "10.9.9.9")),
            expectation("pc", dns("nobody", "10.9.9.9")),
            expectation("pc", Probe::Path { to: target("1.1.1.1"), nodes: vec![name("internet")] }),
            expectation(
                "pc",
                Probe::Neighbour { to: target("10.0.0.254"), mac: Some(router_mac), state: None },
            ),
            expectation("pc", Probe::Neighbour { to: target("10.0.0.77"), mac: None, state: None }),
            expectation("pc", Probe::Ping(Ping { hops: Some(3), ..Ping::to(target("1.1.1.1")) })),
            expectation("pc", http("no.such.home", "/", None)),
        ];
        let failures = [
            (16, "seen as 10.138.0.3, not 10.0.0.1"),
            (17, "ok: answered in "),
            (18, "the body \"10.138.0.3\\n\" does not contain \"10.0.0.1\""),
            (19, "answered \"hello\", without \"world\""),
            (20, "resolves to 10.0.0.254, 10.138.0.3, not 10.9.9.9"),
            (21, "10.138.0.1 answered: NXDOMAIN"),
            (22, "the path is router, internet"),
            (23, ", not 02:00:00:00:00:99"),
            (24, "pc has no neighbour entry for 10.0.0.77"),
            (25, "1 router away (TTL 63), not 3"),
            (26, "cannot resolve no.such.home: 10.138.0.1 answered: NXDOMAIN"),
        ];
        with_internet(&net, &lab, || {
            let mut told = Vec::new();
            let results = expect::run(&lab, &net, &Options::default(), &expectations, |r| told.push(r.index));
            assert_eq!(told, (0..expectations.len()).collect::<Vec<_>>());
            check(results, &lab, &failures);
        });
    });
}

#[test]
fn an_expectation_is_tried_until_it_comes_true() {
    as_root("an_expectation_is_tried_until_it_comes_true", || {
        let (net, lab) = home();
        net.sh("pc", "ip link set eth0 down");
        let changed = std::sync::atomic::AtomicUsize::new(0);
        let change = |_: Duration| {
            if changed.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 1 {
                net.sh("pc", "ip link set eth0 up; ip route add default via 10.0.0.254");
            }
        };
        let options = Options { wait_for_change: Some(&change), ..Options::default() };
        let once = expectation("pc", ping("1.1.1.1"));
        let often = Expectation { within_ms: 5000, ..once.clone() };
        let results = expect::run(&lab, &net, &options, &[once, often], |_| {});
        assert_eq!((results[0].passed, results[0].attempts), (false, 1));
        assert!(results[0].reason().starts_with("no-route: "), "{}", results[0].reason());
        assert_eq!((results[1].passed, results[1].attempts), (true, 3), "{}", results[1].reason());
    });
}

#[test]
fn a_missing_masquerade_is_seen_at_the_receiver() {
    as_root("a_missing_masquerade_is_seen_at_the_receiver", || {
        let (net, lab) = home();
        net.sh("router", "nft flush ruleset");
        let expected =
            Expectation { seen_as: "10.138.0.3".parse().ok(), ..expectation("pc", ping("1.1.1.1")) };
        let results = expect::run(&lab, &net, &Options::default(), &[expected], |_| {});
        check(results, &lab, &[(0, "within 1.0 s; seen as 10.0.0.1, not 10.138.0.3")]);
    });
}

#[test]
fn a_path_ends_where_the_packets_do() {
    as_root("a_path_ends_where_the_packets_do", || {
        let (net, _) = home();
        let found = path::discover(&net, &name("pc"), address("10.0.0.254"), 5, SHORT).unwrap();
        assert_eq!((found.routers, found.end), (vec![], None));
        net.sh("internet", "ip route add blackhole 4.4.4.4");
        let short = Patience::of(Duration::from_millis(100));
        let found = path::discover(&net, &name("pc"), address("4.4.4.4"), 9, short).unwrap();
        assert_eq!(found.routers, [Some(address("10.0.0.254"))]);
        assert_eq!(found.end.unwrap().outcome(), Some(Outcome::Timeout));
    });
}
