//! The library as users' tests have it: private labs, many at a time, as root and as an ordinary user.

use netyard::{ExitStatus, Lab};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

const NAT: &str = "
networks: { lan: 192.168.1.0/24, wan: 203.0.113.0/24 }
nodes:
  client: { links: { lan: 192.168.1.10 } }
  router: { links: { lan: 192.168.1.1, wan: 203.0.113.1 }, masquerade: { from: lan, out: wan } }
  server: { links: { wan: 203.0.113.9 }, gateway: none }
expect:
  - { from: client, ping: server, hops: 1, seen-as: 203.0.113.1 }
";

#[test]
fn a_server_sees_the_routers_address_of_a_client_behind_napt() {
    let lab = Lab::from_yaml(NAT).unwrap().up().unwrap();
    let listener = lab.node("server").unwrap().tcp_listen("203.0.113.9:7000").unwrap();
    let mut client = lab.node("client").unwrap().tcp_connect("server:7000").unwrap();
    let (mut accepted, seen) = listener.accept().unwrap();
    assert_eq!(seen.ip().to_string(), "203.0.113.1");
    client.write_all(b"hello").unwrap();
    drop(client);
    let mut text = String::new();
    accepted.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
}

#[test]
fn expectations_are_run_and_a_broken_network_fails_them() {
    let lab = Lab::from_yaml(NAT).unwrap().up().unwrap();
    lab.assert_expectations();
    let cable = lab.link("router", "eth1").unwrap();
    cable.down().unwrap();
    assert_eq!(lab.test().unwrap().failed, 1);
    cable.up().unwrap();
    lab.assert_expectations();
}

#[test]
fn a_closure_runs_inside_a_node() {
    let lab = Lab::from_yaml(NAT).unwrap().up().unwrap();
    let server = lab.node("server").unwrap();
    let listener = server.run(|| TcpListener::bind("203.0.113.9:0")).unwrap().unwrap();
    let address = listener.local_addr().unwrap();
    let client = lab.node("client").unwrap().run(move || TcpStream::connect(address)).unwrap().unwrap();
    let (_, seen) = listener.accept().unwrap();
    assert_eq!(seen.ip().to_string(), "203.0.113.1");
    assert_eq!(client.local_addr().unwrap().ip().to_string(), "192.168.1.10");
    let by_name = move || TcpStream::connect(("server", address.port())).map(|stream| stream.peer_addr());
    let peer = lab.node("client").unwrap().run(by_name).unwrap().unwrap().unwrap();
    assert_eq!(peer, address, "the node's own table of names is asked");
}

#[test]
fn a_command_runs_inside_a_node_and_gives_its_output_and_code() {
    let lab = Lab::from_yaml(NAT).unwrap().up().unwrap();
    let node = lab.node("client").unwrap();
    let output = node.command("sh").args(["-c", "hostname; ls /sys/class/net; exit 7"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "client\neth0\nlo\n");
    assert_eq!(output.status, ExitStatus::Code(7));
    let mut sleeper = node.command("sleep").arg("1000").spawn().unwrap();
    assert_eq!(sleeper.try_wait().unwrap(), None);
    sleeper.kill().unwrap();
    assert!(!sleeper.wait_for(std::time::Duration::from_secs(5)).unwrap().unwrap().success());
    let missing = node.command("no-such-program").spawn().unwrap_err();
    assert!(missing.to_string().contains("no-such-program"), "{missing}");
}

#[test]
fn a_lab_is_put_together_in_rust() {
    let lab = Lab::builder("pair")
        .cable("wire", "10.9.0.0/30")
        .node("a", |node| node.link("wire"))
        .node("b", |node| node.link_with("wire", json!({ "address": "10.9.0.2", "name": "wan0" })))
        .expect(json!({ "from": "a", "ping": "b", "hops": 0 }))
        .build()
        .unwrap();
    let running = lab.up().unwrap();
    running.assert_expectations();
    let wrong = Lab::builder("wrong").node("a", |node| node.link("nowhere")).build().unwrap_err();
    assert!(wrong.to_string().contains("nowhere"), "{wrong}");
}

#[test]
fn what_programs_print_is_followed_beside_other_questions() {
    let lab = Lab::from_yaml(
        "networks: { lan: 10.0.0.0/24 }
nodes: { a: { links: [lan], run: [\"while :; do echo tick; sleep 0.01; done\"] } }",
    );
    let lab = lab.unwrap().up().unwrap();
    let mut count = 0;
    let mut each = |chunk: &netyard::protocol::LogChunk| {
        count += chunk.text.lines().count();
        // The lab answers meanwhile, also to whoever is being told.
        lab.programs().unwrap();
        count < 5
    };
    lab.logs(None, None, true, &mut each).unwrap();
    assert!(count >= 5);
    lab.node("a").unwrap();
}

#[test]
fn labs_of_one_name_run_side_by_side_and_are_gone_when_dropped() {
    let lab = Lab::from_yaml(NAT).unwrap();
    let first = lab.up().unwrap();
    let second = lab.up().unwrap();
    let pid = first.pid();
    assert_ne!(pid, second.pid());
    drop(first);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    second.assert_expectations();
}
