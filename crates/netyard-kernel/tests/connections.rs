//! Tracked connections and listening sockets of a namespace, as the kernel tells of them.

mod support;

use netyard_core::conntrack::{Connection, Detail, TcpState};
use netyard_core::nft::{
    Action, BaseChain, Chain, ChainKind, Family, Hook, Match, Policy, Protocol, Rule, Table,
};
use netyard_kernel::netlink::conntrack;
use netyard_kernel::netlink::sockdiag::{self, Listener, Transport};
use netyard_kernel::netlink::{Protocol as Netlink, Socket, nft};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use support::{in_netns, lo_up};

fn chain(kind: ChainKind, hook: Hook, priority: i32, rules: Vec<Rule>) -> Chain {
    let base = BaseChain { kind, hook, priority, policy: Policy::Accept };
    Chain { name: format!("{kind}_{hook}"), base: Some(base), rules }
}

/// Tracks all that this namespace sends, and sends what goes to UDP port 53 to another port.
fn track(dns: SocketAddr) {
    let new = netyard_core::nft::CtStates { new: true, ..Default::default() };
    let tracked = Rule { matches: vec![Match::CtState(new)], counts: false, action: Action::Accept };
    let to_dns = Match::DestinationPort(Protocol::Udp, 53.into());
    let sent_on = Rule { matches: vec![to_dns], counts: false, action: Action::Dnat(dns) };
    let table = Table {
        family: Family::Inet,
        name: "t".into(),
        chains: vec![
            chain(ChainKind::Filter, Hook::Input, 0, vec![tracked]),
            chain(ChainKind::Nat, Hook::Output, -100, vec![sent_on]),
        ],
    };
    nft::replace_table(&mut netfilter(), &table).expect("the table is put");
}

fn netfilter() -> Socket {
    Socket::open(Netlink::Netfilter).expect("nf_tables is in the kernel")
}

fn connections_to(port: u16) -> Vec<Connection> {
    let all = conntrack::list(&mut netfilter()).expect("the connections are read");
    let is_to = |c: &Connection| matches!(c.original.detail, Detail::Ports { destination, .. } if destination == port);
    all.into_iter().filter(is_to).collect()
}

#[test]
fn a_dnat_shows_in_the_reply_tuple() {
    in_netns(|| {
        lo_up();
        assert_eq!(conntrack::list(&mut netfilter()).expect("the connections are read"), []);
        let server = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        let address = server.local_addr().expect("it is bound");
        track(address);
        let client = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        client.send_to(b"query", "127.0.0.2:53").expect("it is sent");
        let mut buffer = [0; 16];
        let (_, peer) = server.recv_from(&mut buffer).expect("it arrives");

        let [before] = &connections_to(53)[..] else { panic!("one connection") };
        assert!(before.status.has_dnat() && before.status.is_confirmed());
        assert!(!before.status.has_snat() && !before.status.has_seen_reply() && !before.status.is_assured());
        assert_eq!(before.protocol, 17);
        assert_eq!(
            (before.original.source, before.original.destination.to_string().as_str()),
            (peer.ip(), "127.0.0.2")
        );
        assert_eq!((before.reply.source, before.reply.destination), (address.ip(), peer.ip()));
        assert_eq!(before.reply.detail, Detail::Ports { source: address.port(), destination: peer.port() });
        assert!(before.timeout_s.is_some_and(|s| s > 0));
        assert!(before.id != 0);

        server.send_to(b"answer", peer).expect("it is sent");
        let (_, from) = client.recv_from(&mut buffer).expect("it arrives");
        assert_eq!(from.to_string(), "127.0.0.2:53", "NAT undone on the way back");
        let [after] = &connections_to(53)[..] else { panic!("one connection") };
        assert!(after.status.has_seen_reply());
        assert_eq!(after.id, before.id);
    });
}

#[test]
fn connections_tell_when_they_begin_and_end() {
    use netyard_kernel::netlink::conntrack::{Change, Event, Events, Heard};
    in_netns(|| {
        lo_up();
        track("127.0.0.1:1".parse().expect("an address and port"));
        let mut events = Events::open().expect("they are heard of");
        let mut all: Vec<Event> = Vec::new();
        let mut until = |change: Change| {
            let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
            loop {
                let mut fds = [rustix::event::PollFd::new(&events, rustix::event::PollFlags::IN)];
                let limit = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
                rustix::event::poll(&mut fds, Some(&limit)).expect("poll waits");
                assert_eq!(events.read(|event| all.push(event)).expect("they are read"), Heard::All);
                if let Some(event) = all.iter().find(|event| event.change == change) {
                    return event.connection.clone();
                }
                assert!(std::time::Instant::now() < end, "no {change:?}: {all:?}");
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let client = TcpStream::connect(address).expect("it connects");
        let begun = until(Change::Begun);
        assert_eq!((begun.original.source, begun.protocol), (client.local_addr().expect("it is").ip(), 6));
        assert_eq!(until(Change::Changed).id, begun.id);
        assert_eq!(conntrack::count(), 1);
        /// `NFNL_SUBSYS_CTNETLINK`, `IPCTNL_MSG_CT_DELETE`: all of them (`conntrack -F`).
        const DELETE: u16 = 1 << 8 | 2;
        let mut flush = netyard_kernel::netlink::Messages::new();
        flush.begin(DELETE, 0, &[0; 4]);
        netfilter().send(&mut flush).expect("they are forgotten");
        assert_eq!(until(Change::Ended).id, begun.id);
    });
}

#[test]
fn a_tcp_connection_shows_its_state() {
    in_netns(|| {
        lo_up();
        track("127.0.0.1:1".parse().expect("an address and port"));
        for host in ["127.0.0.1", "[::1]"] {
            let listener = TcpListener::bind(format!("{host}:0")).expect("a port is free");
            let address = listener.local_addr().expect("it is bound");
            let client = TcpStream::connect(address).expect("it connects");
            let _server = listener.accept().expect("it connects");
            let [connection] = &connections_to(address.port())[..] else { panic!("one connection") };
            assert_eq!(connection.tcp_state, Some(TcpState::Established));
            assert!(connection.status.is_assured() && connection.status.has_seen_reply());
            let source = client.local_addr().expect("it is connected");
            assert_eq!(connection.original.source, source.ip());
            let text = connection.to_string();
            let words = format!("src={} dst={} sport={}", source.ip(), address.ip(), source.port());
            assert!(
                text.starts_with("tcp ") && text.contains(&words) && text.ends_with("[ASSURED]"),
                "{text}"
            );
        }
    });
}

#[test]
fn a_ping_has_an_identifier() {
    in_netns(|| {
        lo_up();
        track("127.0.0.1:1".parse().expect("an address and port"));
        let output = std::process::Command::new(support::program("ping", "iputils-ping"))
            .args(["-c1", "127.0.0.1"])
            .output()
            .expect("ping starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let all = conntrack::list(&mut netfilter()).expect("the connections are read");
        let ping = all.iter().find(|c| c.protocol == 1).expect("the ping is tracked");
        assert!(matches!(ping.original.detail, Detail::Icmp { kind: 8, code: 0, .. }));
        assert!(matches!(ping.reply.detail, Detail::Icmp { kind: 0, code: 0, .. }));
    });
}

#[test]
fn listeners_have_address_and_port() {
    in_netns(|| {
        lo_up();
        let mut socket = Socket::open(Netlink::SockDiag).expect("sock_diag is in the kernel");
        assert_eq!(sockdiag::listeners(&mut socket).expect("the sockets are read"), []);
        let tcp =
            ["127.0.0.1:8080", "[::1]:8080", "[::]:80"].map(|a| TcpListener::bind(a).expect("it is free"));
        let udp = ["0.0.0.0:53", "[::1]:5353"].map(|a| UdpSocket::bind(a).expect("it is free"));
        let connected = UdpSocket::bind("127.0.0.1:0").expect("a port is free");
        connected.connect("127.0.0.1:53").expect("it connects");
        let _client = TcpStream::connect("127.0.0.1:8080").expect("it connects");

        let found = sockdiag::listeners(&mut socket).expect("the sockets are read");
        let place = |l: &Listener| (l.transport, l.address.to_string());
        let wanted = [
            (Transport::Tcp, "[::]:80"),
            (Transport::Tcp, "127.0.0.1:8080"),
            (Transport::Tcp, "[::1]:8080"),
            (Transport::Udp, "0.0.0.0:53"),
            (Transport::Udp, "[::1]:5353"),
        ];
        assert_eq!(found.iter().map(place).collect::<Vec<_>>(), wanted.map(|(t, a)| (t, a.to_owned())));
        for listener in &found {
            let is_plain = listener.inode != 0 && listener.uid == 0 && listener.ifindex.is_none();
            let is_v6 = listener.address.is_ipv6() && !listener.address.ip().is_unspecified();
            assert!(is_plain && listener.is_v6_only == is_v6, "{listener:?}");
        }
        drop((tcp, udp));
        assert_eq!(sockdiag::listeners(&mut socket).expect("the sockets are read"), []);
    });
}
