use super::super::{devices, parse, structure};
use super::*;
use crate::diagnostic::Source;

/// The verdict on the only check of a file, with what a command printed.
fn verdict(test: &str, stdout: &str) -> Result<(), String> {
    verdict_of(test, &Answer { code: 0, stdout: stdout.to_owned(), stderr: String::new() })
}

fn verdict_of(test: &str, answer: &Answer) -> Result<(), String> {
    let source = Source::new("test.yaml", format!("test: {test}\n"));
    let checks = parse(&source).unwrap_or_else(|problems| panic!("{problems:?}")).checks;
    assert_eq!(checks.len(), 1, "{test}");
    assert!(checks[0].command().is_some(), "{test}");
    checks[0].verdict(answer, &Facts::default())
}

#[test]
fn addresses_are_read_from_ip() {
    let json = r#"[{"ifname":"eth0","addr_info":[{"local":"10.0.0.1","prefixlen":24}]}]"#;
    assert_eq!(verdict("{ ip_mapping: { r1: { 0: 10.0.0.1/24 } } }", json), Ok(()));
    assert_eq!(
        verdict("{ ip_mapping: { r1: { eth0: 10.0.0.1/25 } } }", json),
        Err("eth0 has 10.0.0.1/24".to_owned())
    );
}

#[test]
fn a_routing_table_is_compared_as_a_whole() {
    let output = r#"[{"dst":"default","gateway":"10.0.0.9","dev":"eth0"},{"dst":"10.0.0.0/24","dev":"eth0","scope":"link"},
        {"dst":"10.1.0.0/24","nhid":7,"dev":"eth1"}]

        [{"id":7,"gateway":"10.2.0.1","dev":"eth1"}]"#;
    assert_eq!(verdict("{ kernel_routes: { r: [0.0.0.0/0, [10.1.0.0/24, [10.2.0.1]]] } }", output), Ok(()));
    assert_eq!(verdict("{ kernel_routes: { r: [0.0.0.0/0, [10.1.0.0/24, [eth1]]] } }", output), Ok(()));
    let wrong =
        verdict("{ kernel_routes: { r: [[10.1.0.0/24, [eth0]], 10.3.0.0/24] } }", output).unwrap_err();
    assert_eq!(
        wrong,
        "10.1.0.0/24 goes by 10.2.0.1 on eth1; 10.3.0.0/24 is missing; 0.0.0.0/0 should not be there"
    );
}

#[test]
fn routing_daemons_are_understood() {
    let bgp = r#"{"ipv4Unicast":{"peers":{"10.0.0.2":{"remoteAs":2,"state":"Established"},"10.0.0.3":{"remoteAs":3,"state":"Idle"}}}}"#;
    let check = |peer: &str| {
        verdict(&format!("{{ protocols: {{ bgpd: {{ neighbors: {{ r: [{peer}] }} }} }} }}"), bgp)
    };
    assert_eq!(check("{ ip: 10.0.0.2, asn: 2 }"), Ok(()));
    assert_eq!(check("{ ip: 10.0.0.2, asn: 4 }"), Err("its AS is 2, not 4".to_owned()));
    assert_eq!(check("{ ip: 10.0.0.3 }"), Err("the session is Idle".to_owned()));
    assert_eq!(check("{ ip: 10.0.0.4 }"), Err("BGP has no such neighbour".to_owned()));
    let ospf = r#"{"neighbors":{"2.2.2.2":[{"nbrState":"Full/DR"}]}}"#;
    let test = "{ protocols: { ospfd: { neighbors: { r: [{ router_id: 2.2.2.2, state: FULL }] } } } }";
    assert_eq!(verdict(test, ospf), Ok(()));
    let test = "{ protocols: { ospfd: { interfaces: { r: { eth0: { cost: 10, state: DR } } } } } }";
    let shown = r#"{"interfaces":{"eth0":{"cost":10,"state":"Backup"}}}"#;
    assert_eq!(verdict(test, shown), Err("state is Backup".to_owned()));
    let running = "router ospf\n network 10.0.0.0/8 area 0\n redistribute connected\n";
    assert_eq!(verdict("{ protocols: { ospfd: { networks: { r: [10.0.0.0/8] } } } }", running), Ok(()));
    assert_eq!(verdict("{ protocols: { ospfd: { injections: { r: ['!static'] } } } }", running), Ok(()));
    assert!(verdict("{ protocols: { ospfd: { injections: { r: ['!connected'] } } } }", running).is_err());
    let routes = r#"{"routes":{"10.0.0.0/8":[{"path":"2 3"},{"path":""}]}}"#;
    let test = |paths: &str| {
        format!(
            "{{ protocols: {{ bgpd: {{ routes: {{ r: [{{ route: 10.0.0.0/8, aspath: {paths} }}] }} }} }} }}"
        )
    };
    assert_eq!(verdict(&test("[[2, 3], ['']]"), routes), Ok(()));
    assert_eq!(verdict(&test("[[2]]"), routes), Err("its AS paths are [[], [2, 3]]".to_owned()));
}

#[test]
fn commands_and_services_are_judged_by_what_they_say() {
    let test = "{ custom_commands: { r: [{ command: ls, output: 'a\n\n  b', exit_code: 0 }] } }";
    assert_eq!(verdict(test, "a\r\nb\n"), Ok(()));
    assert_eq!(verdict("{ custom_commands: { r: [{ command: ls, regex_match: '^a.$' }] } }", "ab\n"), Ok(()));
    assert!(verdict("{ custom_commands: { r: [{ command: ls, exit_code: 1 }] } }", "ab\n").is_err());
    assert_eq!(verdict("{ daemons: { r: ['!bgpd'] } }", "zebra\nsh\n"), Ok(()));
    assert_eq!(verdict("{ daemons: { r: [zebra] } }", "zebra\nsh\n"), Ok(()));
    let test =
        "{ applications: { http: { r: [{ url: 'http://a/', status_code: 404, body_contains: no }] } } }";
    assert_eq!(verdict(test, "there is no\n404"), Ok(()));
    assert_eq!(verdict(test, "there is no\n200"), Err("the status is 200, not 404".to_owned()));
    let lost = Answer {
        code: 1,
        stdout: String::new(),
        stderr: "ping: connect: Network is unreachable\n".to_owned(),
    };
    assert_eq!(verdict_of("{ reachability: { r: [10.0.0.1] } }", &lost).unwrap_err(), lost.stderr.trim());
    assert_eq!(verdict_of("{ reachability: { r: ['!10.0.0.1'] } }", &lost), Ok(()));
    assert_eq!(verdict("{ sysctls: { r: [net.ipv4.ip_forward=1] } }", "1\n"), Ok(()));
    assert_eq!(
        verdict("{ applications: { dns: { local_ns: { 10.0.0.1: [r] } } } }", "nameserver 10.0.0.1\n"),
        Ok(())
    );
}

#[test]
fn the_structure_is_compared_with_a_template() {
    let conf = |text: &str| devices(&Source::new("lab.conf", text)).unwrap();
    let facts = Facts { devices: conf("a[0]=A\na[1]=B\n"), ..Facts::default() };
    let checks = structure(&conf("a[0]=A\nb[0]=A\n"));
    let verdicts: Vec<_> = checks.iter().map(|check| check.verdict(&Answer::default(), &facts)).collect();
    assert_eq!(verdicts[0], Err("it has eth0 on A, eth1 on B".to_owned()));
    assert_eq!(verdicts[1], Err("there is no such device".to_owned()));
}

#[test]
fn keys_that_nobody_knows_are_problems() {
    for text in [
        "tests: {}",
        "test: { reach: {} }",
        "test: { protocols: { bgpd: { x: {} } } }",
        "test: { ip_mapping: [a] }",
        "test: { custom_commands: { r: [{ command: a, regex_match: '(' }] } }",
    ] {
        assert!(parse(&Source::new("test.yaml", text)).is_err(), "{text}");
    }
}

#[test]
fn words_of_the_file_do_not_reach_the_shell() {
    let text = "test: { reachability: { r: [\"x'; reboot; '\"] } }";
    let checks = parse(&Source::new("test.yaml", text)).unwrap().checks;
    assert_eq!(checks[0].command().unwrap(), "ping -q -n -c 1 -W 2 'x'\\''; reboot; '\\'''");
}
