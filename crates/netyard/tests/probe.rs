//! Probes against real kernels, each test in namespaces of its own.

// A test may panic.
#![allow(clippy::unwrap_used)]

mod support;

use netyard::probe::ping::{Echo, Pinger, ping};
use netyard::probe::{Miss, Patience, SocketKind, http, neighbour, route, tcp, throughput, udp, witness};
use netyard_core::expect::Outcome;
use netyard_kernel::socket::{self, Family, Origin};
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;
use support::{Net, as_root, name};

const SHORT: Patience<'static> = Patience::of(Duration::from_millis(1000));

/// pc 10.0.0.1 - 10.0.0.254 router 10.1.0.254 - 10.1.0.1 server, fd00 alike.
fn pc_router_server() -> Net {
    let net = Net::new(["pc", "router", "server"]);
    net.cable(
        ("pc", "eth0", &["10.0.0.1/24", "fd00::1/64"]),
        ("router", "eth0", &["10.0.0.254/24", "fd00::fe/64"]),
    );
    net.cable(
        ("server", "eth0", &["10.1.0.1/24", "fd01::1/64"]),
        ("router", "eth1", &["10.1.0.254/24", "fd01::fe/64"]),
    );
    net.sh(
        "router",
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
    );
    net.sh("pc", "ip route add default via 10.0.0.254; ip route add default via fd00::fe");
    net.sh("server", "ip route add default via 10.1.0.254; ip route add default via fd01::fe");
    net
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[track_caller]
fn check_ping(net: &Net, from: &str, echo: Echo, expected: Outcome, words: &str) {
    let result = ping(net, &name(from), echo, 1, Patience { verdict: Patience::VERDICT, ..SHORT });
    check(result, expected, words);
}

#[track_caller]
fn check<T: std::fmt::Debug>(result: Result<T, Miss>, expected: Outcome, words: &str) {
    let (outcome, detail) = match &result {
        Ok(answer) => (Some(Outcome::Ok), format!("{answer:?}")),
        Err(miss) => (miss.outcome(), miss.detail().to_owned()),
    };
    assert_eq!((outcome, detail.contains(words)), (Some(expected), true), "{detail}");
}

#[test]
fn a_ping_is_answered_with_ttl_and_time() {
    as_root("a_ping_is_answered_with_ttl_and_time", || {
        let net = pc_router_server();
        for to in ["10.1.0.1", "fd01::1"] {
            let replies = ping(&net, &name("pc"), Echo::to(address(to)), 3, SHORT).unwrap();
            assert_eq!(replies.iter().map(|r| r.sequence).collect::<Vec<_>>(), [1, 2, 3]);
            for reply in replies {
                assert_eq!((reply.from, reply.ttl, reply.hops()), (address(to), 63, 1));
                assert!(reply.rtt > Duration::ZERO && reply.rtt < Duration::from_secs(1));
            }
        }
        let echo = Echo { size: 0, ..Echo::to(address("10.1.0.1")) };
        check_ping(&net, "pc", echo, Outcome::Ok, "63");
        check_ping(&net, "pc", Echo { size: 60_000, ..echo }, Outcome::Ok, "63");
        check_ping(&net, "pc", Echo { source: Some(address("10.0.0.1")), ..echo }, Outcome::Ok, "63");
        let foreign = Echo { source: Some(address("10.9.9.9")), ..echo };
        let miss = ping(&net, &name("pc"), foreign, 1, SHORT).unwrap_err();
        assert!(matches!(miss, Miss::Impossible { .. }) && miss.detail().contains("10.9.9.9"), "{miss}");
    });
}

#[test]
fn a_ping_says_why_it_is_not_answered() {
    as_root("a_ping_says_why_it_is_not_answered", || {
        let net = pc_router_server();
        net.sh("router", "ip route add unreachable 10.7.0.0/16; ip route add prohibit 10.8.0.0/16");
        net.sh("router", "ip route add blackhole 10.6.0.0/16; ip -6 route add unreachable fd07::/16");
        let check = |from: &str, to: &str, outcome, words: &str| {
            check_ping(&net, from, Echo::to(address(to)), outcome, words);
        };
        check("router", "192.0.2.1", Outcome::NoRoute, "no route to 192.0.2.1");
        check("router", "2001:db8::1", Outcome::NoRoute, "no route to 2001:db8::1");
        check("pc", "192.0.2.1", Outcome::Unreachable, "10.0.0.254 answered: network unreachable");
        check("pc", "10.7.0.1", Outcome::Unreachable, "10.0.0.254 answered: host unreachable");
        check("pc", "10.8.0.1", Outcome::Unreachable, "10.0.0.254 answered: communication administratively");
        check("pc", "10.6.0.1", Outcome::Timeout, "no answer from 10.6.0.1 within 1.0 s");
        check("router", "10.7.0.1", Outcome::Unreachable, "sender's own routes");
        check("router", "10.8.0.1", Outcome::Unreachable, "prohibited by the sender's own routes");
        check("router", "10.6.0.1", Outcome::Timeout, "blackhole");
        check("pc", "2001:db8::1", Outcome::Unreachable, "fd00::fe answered: no route to destination");
        check("pc", "fd07::1", Outcome::Unreachable, "fd00::fe answered");
        let ttl = Echo { ttl: Some(1), ..Echo::to(address("10.1.0.1")) };
        check_ping(&net, "pc", ttl, Outcome::TtlExceeded, "10.0.0.254 answered: TTL exceeded");
        let ttl = Echo { ttl: Some(1), ..Echo::to(address("fd01::1")) };
        check_ping(&net, "pc", ttl, Outcome::TtlExceeded, "fd00::fe answered: hop limit exceeded");
    });
}

#[test]
fn unanswered_arp_is_waited_for_and_told() {
    as_root("unanswered_arp_is_waited_for_and_told", || {
        let net = pc_router_server();
        let undecided = || true;
        let patience = Patience { verdict: Patience::VERDICT, is_undecided: Some(&undecided), ..SHORT };
        let own = || ping(&net, &name("pc"), Echo::to(address("10.0.0.77")), 1, patience);
        let far = || ping(&net, &name("pc"), Echo::to(address("10.1.0.77")), 1, patience);
        let own6 = || ping(&net, &name("pc"), Echo::to(address("fd00::77")), 1, patience);
        std::thread::scope(|scope| {
            let (own, far, own6) = (scope.spawn(own), scope.spawn(far), scope.spawn(own6));
            check(
                own.join().unwrap(),
                Outcome::Unreachable,
                "nobody answered ARP for the next hop towards 10.0.0.77",
            );
            check(far.join().unwrap(), Outcome::Unreachable, "10.0.0.254 answered: host unreachable");
            check(own6.join().unwrap(), Outcome::Unreachable, "nobody answered neighbour discovery");
        });
        check(ping(&net, &name("pc"), Echo::to(address("10.0.0.78")), 1, SHORT), Outcome::Timeout, "1.0 s");
    });
}

#[test]
fn packets_too_large_are_told_with_the_mtu() {
    as_root("packets_too_large_are_told_with_the_mtu", || {
        let net = pc_router_server();
        net.sh("router", "ip link set eth1 mtu 1300");
        net.sh("server", "ip link set eth0 mtu 1300");
        let large = |to, size, df| Echo { size, df, ..Echo::to(address(to)) };
        for _ in 0..2 {
            // The second round finds the path MTU in the kernel's cache and must come to the same.
            check_ping(
                &net,
                "pc",
                large("10.1.0.1", 1400, true),
                Outcome::TooBig,
                "10.0.0.254 answered: fragmentation needed, MTU 1300",
            );
            check_ping(&net, "pc", large("10.1.0.1", 1400, false), Outcome::Ok, "63");
            check_ping(
                &net,
                "pc",
                large("fd01::1", 1400, true),
                Outcome::TooBig,
                "fd00::fe answered: packet too big, MTU 1300",
            );
            check_ping(&net, "pc", large("fd01::1", 1400, false), Outcome::Ok, "63");
            check_ping(&net, "pc", large("10.1.0.1", 1473, true), Outcome::TooBig, "sender's");
            check_ping(&net, "pc", large("fd01::1", 1453, true), Outcome::TooBig, "sender's");
            check_ping(&net, "pc", large("10.1.0.1", 1272, true), Outcome::Ok, "63");
        }
    });
}

#[test]
fn a_pinger_goes_on_after_an_error() {
    as_root("a_pinger_goes_on_after_an_error", || {
        let net = pc_router_server();
        let mut pinger = Pinger::open(&net, &name("pc"), Echo::to(address("10.1.0.1"))).unwrap();
        for ttl in [1, 64, 1, 64] {
            pinger.set_ttl(ttl).unwrap();
            assert_eq!(pinger.echo(SHORT).is_ok(), ttl == 64);
        }
        assert_eq!(pinger.own_address(), Some(address("10.0.0.1")));
    });
}

#[test]
fn tcp_tells_open_refused_unreachable_and_silent() {
    as_root("tcp_tells_open_refused_unreachable_and_silent", || {
        let net = pc_router_server();
        net.sh("router", "ip route add unreachable 10.7.0.0/16; ip route add blackhole 10.6.0.0/16");
        let listener = net.inside("server", || TcpListener::bind("0.0.0.0:8080").unwrap());
        let to = |to: &str| tcp::connect(&net, &name("pc"), to.parse().unwrap(), SHORT);
        let connection = to("10.1.0.1:8080").unwrap();
        assert_eq!(connection.own, listener.accept().unwrap().1);
        check(to("10.1.0.1:8081"), Outcome::Refused, "10.1.0.1 reset port 8081");
        check(to("[fd01::1]:8080"), Outcome::Refused, "fd01::1 reset port 8080");
        check(to("10.7.0.1:80"), Outcome::Unreachable, "10.0.0.254 answered: host unreachable");
        check(to("10.6.0.1:80"), Outcome::Timeout, "no answer");
        let local = tcp::connect(&net, &name("router"), "192.0.2.1:80".parse().unwrap(), SHORT);
        check(local, Outcome::NoRoute, "no route");
    });
}

#[test]
fn udp_tells_answered_refused_and_silent() {
    as_root("udp_tells_answered_refused_and_silent", || {
        let net = pc_router_server();
        let server = net.inside("server", || UdpSocket::bind("0.0.0.0:9000").unwrap());
        let ask = |port, wanted: &'static [u8]| {
            let to = SocketAddr::new(address("10.1.0.1"), port);
            udp::ask(&net, &name("pc"), to, b"hello", SHORT, move |bytes| bytes.starts_with(wanted))
        };
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let (len, from) = server.recv_from(&mut [0; 16]).unwrap();
                assert_eq!(len, 5);
                server.send_to(b"noise", from).unwrap();
                server.send_to(b"world", from).unwrap();
            });
            assert_eq!(ask(9000, b"w").unwrap().payload, b"world");
        });
        check(ask(9000, b""), Outcome::Timeout, "no answer");
        check(ask(9001, b""), Outcome::Refused, "10.1.0.1 answered: port unreachable");
    });
}

#[test]
fn http_reads_answers_and_tells_servers_that_are_none() {
    as_root("http_reads_answers_and_tells_servers_that_are_none", || {
        let net = pc_router_server();
        let listener = net.inside("server", || TcpListener::bind("0.0.0.0:80").unwrap());
        let to = SocketAddr::new(address("10.1.0.1"), 80);
        let answer = |bytes: &'static str| {
            std::thread::scope(|scope| {
                let server = scope.spawn(|| {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut request = [0; 512];
                    let len = stream.read(&mut request).unwrap();
                    stream.write_all(bytes.as_bytes()).unwrap();
                    (String::from_utf8_lossy(&request[..len]).into_owned(), stream)
                });
                let what = http::Get { to, host: "server", path: "/x?y" };
                let response = http::get(&net, &name("pc"), what, SHORT);
                let (request, _) = server.join().unwrap();
                assert!(request.starts_with("GET /x?y HTTP/1.1\r\nHost: server\r\n"), "{request}");
                response
            })
        };
        let response = answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nhi!").unwrap();
        assert_eq!(
            (response.status, &response.body[..], response.header("x-a")),
            (200, &b"hi!"[..], Some("b"))
        );
        check(answer("SSH-2.0-OpenSSH\r\n"), Outcome::Refused, "did not answer in HTTP");
        check(answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi"), Outcome::Timeout, "did not answer");
    });
}

#[test]
fn throughput_is_that_of_the_link() {
    as_root("throughput_is_that_of_the_link", || {
        let net = pc_router_server();
        for (rate, mbit) in [("1mbit", 1), ("10mbit", 10), ("200mbit", 200)] {
            net.sh(
                "router",
                &format!("tc qdisc replace dev eth1 root tbf rate {rate} burst 32kb latency 50ms"),
            );
            for to in ["10.1.0.1", "fd01::1"] {
                let expected = mbit * 1_000_000;
                let window = throughput::Window { rate_bit_per_s: Some(expected), ..Default::default() };
                let percent = || {
                    let (from, to_node, patience) = (name("pc"), name("server"), Patience::default());
                    let found =
                        throughput::measure(&net, &from, &to_node, address(to), window, patience).unwrap();
                    let percent = (found.rate_bit_per_s as f64 / expected as f64 - 1.0) * 100.0;
                    println!("{to} at {rate}: {found:?}, {percent:+.1} %");
                    percent
                };
                // A machine that is busy elsewhere may keep the link from being filled, but not fill it more.
                let percent = (0..5).map(|_| percent()).find(|percent| *percent > -5.0);
                assert!(percent.is_some_and(|percent| percent < 5.0), "{percent:?} %");
            }
        }
        net.sh("router", "ip route add blackhole 10.1.0.1");
        let window = throughput::Window::default();
        let to = address("10.1.0.1");
        check(
            throughput::measure(&net, &name("pc"), &name("server"), to, window, SHORT),
            Outcome::Timeout,
            "",
        );
    });
}

#[test]
fn routes_and_neighbours_are_looked_up_without_a_packet() {
    as_root("routes_and_neighbours_are_looked_up_without_a_packet", || {
        let net = pc_router_server();
        net.sh("pc", "ip route add unreachable 10.7.0.0/16; ip route add blackhole 10.6.0.0/16");
        net.sh(
            "pc",
            "ip -6 route add prohibit fd07::/16; ip neighbour add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0",
        );
        let route = |to: &str| route::look_up(&net, &name("pc"), address(to));
        let found = route("1.1.1.1").unwrap();
        let dev = found.dev.map(|dev| dev.to_string());
        assert_eq!((found.via, dev.as_deref()), (Some(address("10.0.0.254")), Some("eth0")));
        assert_eq!(found.source, Some(address("10.0.0.1")));
        assert_eq!(route("10.0.0.7").unwrap().via, None);
        assert_eq!(route("2001:db8::1").unwrap().via, Some(address("fd00::fe")));
        check(route("10.7.0.1"), Outcome::Unreachable, "unreachable by the sender's own routes");
        check(route("10.6.0.1"), Outcome::Timeout, "blackhole");
        check(route("fd07::1"), Outcome::Unreachable, "prohibited");
        check(
            route::look_up(&net, &name("router"), address("1.1.1.1")),
            Outcome::NoRoute,
            "no route to 1.1.1.1",
        );

        let neighbour = |to: &str| neighbour::look_up(&net, &name("pc"), address(to));
        check(neighbour("10.0.0.254"), Outcome::Unreachable, "pc has no neighbour entry for 10.0.0.254");
        let found = neighbour("10.0.0.9").unwrap();
        assert_eq!(
            (found.mac.map(|mac| mac.to_string()).as_deref(), found.state),
            (Some("02:00:00:00:00:09"), "permanent")
        );
        assert!(!neighbour::is_asking(&net, &name("pc")));
        ping(&net, &name("pc"), Echo::to(address("10.0.0.77")), 1, Patience::of(Duration::from_millis(10)))
            .unwrap_err();
        assert!(neighbour::is_asking(&net, &name("pc")));
        check(neighbour("10.0.0.77"), Outcome::Unreachable, "incomplete");
        ping(&net, &name("pc"), Echo::to(address("10.0.0.254")), 1, SHORT).unwrap();
        assert_eq!(neighbour("10.0.0.254").unwrap().state, "reachable");
    });
}

#[test]
fn a_witness_sees_who_sent_what() {
    as_root("a_witness_sees_who_sent_what", || {
        let net = pc_router_server();
        net.sh("router", "nft 'table ip nat { chain post { type nat hook postrouting priority 100; oifname eth1 masquerade; }; }'");
        for (to, seen) in [("10.1.0.1", "10.1.0.254"), ("fd01::1", "fd00::1")] {
            let to = address(to);
            let open =
                |transport| witness::Witness::open(&net, &name("server"), Family::of(to), transport).unwrap();
            let (icmp, tcp, udp) = (
                open(witness::Transport::Icmp),
                open(witness::Transport::Tcp),
                open(witness::Transport::Udp),
            );
            let mut pinger = Pinger::open(&net, &name("pc"), Echo::to(to)).unwrap();
            pinger.echo(SHORT).unwrap();
            assert_eq!(icmp.source(witness::Sign::Echo(b"another")), None);
            pinger.echo(SHORT).unwrap();
            assert_eq!(icmp.source(witness::Sign::Echo(pinger.mark())), Some(address(seen)));
            let _ = tcp::connect(&net, &name("pc"), (to, 81).into(), SHORT);
            assert_eq!(tcp.source(witness::Sign::Syn(81)), Some(address(seen)));
            let _ = udp::ask(&net, &name("pc"), (to, 82).into(), b"hello", SHORT, |_| true);
            assert_eq!(udp.source(witness::Sign::Datagram(82, b"hello")), Some(address(seen)));
        }
    });
}

#[test]
fn sockets_tell_what_the_kernel_knows() {
    as_root("sockets_tell_what_the_kernel_knows", || {
        let net = Net::new(["pc"]);
        net.sh("pc", "ip route add local 10.9.0.0/16 dev lo");
        let bound = |to: &str| net.inside("pc", || UdpSocket::bind(to).unwrap());
        let (server, client) = (bound("0.0.0.0:0"), bound("127.0.0.1:0"));
        let port = server.local_addr().unwrap().port();
        let asked: SocketAddr = (address("10.9.2.3"), port).into();
        socket::tell_destination(&server, Family::V4).unwrap();
        socket::tell_ttl(&server, Family::V4).unwrap();
        let mut buffer = [0; 4];

        let sender = bound("0.0.0.0:0");
        sender.send_to(b"who is it", asked).unwrap();
        let got = socket::receive(&server, &mut buffer).unwrap().unwrap();
        assert_eq!((got.len, got.is_cut, got.to, got.ttl), (4, true, Some(asked.ip()), Some(64)));
        sender.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket::send_from(&server, b"me", asked.ip(), got.from.unwrap()).unwrap();
        assert_eq!(sender.recv_from(&mut buffer).unwrap(), (2, asked));
        assert_eq!(socket::receive(&server, &mut buffer).unwrap(), None);

        socket::queue_errors(&client, Family::V4).unwrap();
        let closed = SocketAddr::new(address("127.0.0.1"), if port == 9 { 10 } else { 9 });
        client.send_to(b"anybody", closed).unwrap();
        let error = socket::receive_error(&client, &mut buffer).unwrap().unwrap();
        assert_eq!((error.origin, error.icmp_type, error.icmp_code), (Origin::Icmp, 3, 3));
        assert_eq!((error.offender, error.to), (Some(closed.ip()), Some(closed)));
        assert_eq!(&buffer[..error.len], b"anyb");
        assert_eq!(socket::receive_error(&client, &mut buffer).unwrap(), None);
    });
}

#[test]
fn a_node_that_does_not_exist_is_told() {
    as_root("a_node_that_does_not_exist_is_told", || {
        let net = Net::bare(["pc"]);
        let miss = ping(&net, &name("nobody"), Echo::to(address("10.0.0.1")), 1, SHORT).unwrap_err();
        assert_eq!(miss.to_string(), "cannot open a Icmp4 socket in nobody: entity not found");
        let miss = ping(&net, &name("pc"), Echo::to(address("10.0.0.1")), 1, SHORT).unwrap_err();
        assert!(miss.detail().contains("ping_group_range"), "{miss}");
        assert!(net.inside("pc", || SocketKind::Udp6.open()).is_ok());
    });
}
