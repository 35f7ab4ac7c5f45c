//! Verbs about a running lab: show, diagram, link, list, down.

mod support;

use serde_json::json;
use std::os::unix::fs::DirBuilderExt;
use std::process::Stdio;
use support::{PROGRAM, Yard, finished};

const HOME: &str = "
networks:
  lan: 10.0.0.0/24
  isp: 10.138.0.0/24
  wire: { kind: cable }
nodes:
  pc:      { links: { lan: 10.0.0.1 }, run: [{ name: waits, command: [sleep, \"1000000\"] }] }
  router:
    links: { lan: 10.0.0.254, isp: 10.138.0.3 }
    masquerade: { from: lan, out: isp }
  internet: { role: internet, links: { isp: 10.138.0.1 } }
  a: { links: { wire: 10.9.0.1/30 }, gateway: none }
  b: { links: { wire: 10.9.0.2/30 }, gateway: none }
";

#[test]
fn show_tells_what_the_kernel_holds() {
    let yard = Yard::with_lab("show", HOME);
    let view = yard.json(&["show", "--json"]);
    assert_eq!((&view["schema"], &view["lab"]), (&json!("netyard/show/1"), &json!(yard.lab)));
    let [pc, router, internet, a, _] = view["nodes"].as_array().unwrap().as_slice() else { panic!("{view}") };
    assert_eq!(pc["interfaces"][0]["state"], "up");
    assert_eq!(pc["interfaces"][0]["addresses"], json!(["10.0.0.1/24"]));
    assert_eq!(pc["interfaces"][0]["peer"], json!({ "node": null, "network": "lan", "interface": "pc" }),);
    assert_eq!(a["interfaces"][0]["peer"], json!({ "node": "b", "network": null, "interface": "eth0" }));
    assert_eq!(pc["routes"], json!(["default via 10.0.0.254 dev eth0"]));
    assert_eq!(pc["programs"][0]["state"], "running");
    assert_eq!(router["nat"][0]["rule"], "oifname \"eth1\" ip saddr 10.0.0.0/24 masquerade");
    assert_eq!(router["nat"][0]["meaning"], "out by eth1, from lan: the source becomes 10.138.0.3");
    let sockets = internet["sockets"].as_array().unwrap();
    assert!(sockets.contains(&json!({ "protocol": "tcp", "address": "0.0.0.0:80" })), "{sockets:?}");

    let text = yard.prints(&["show"]);
    for words in
        ["pc        eth0       up     10.0.0.1/24", "\nROUTES\n", "\nNAT\n", "\nLISTENING\n", "\nPROGRAMS\n"]
    {
        assert!(text.contains(words), "{words} in\n{text}");
    }
    assert!(!text.contains('\x1b'), "no colours where there is no terminal");
    let one = yard.json(&["show", "--json", "--node", "a"]);
    assert_eq!(one["nodes"].as_array().unwrap().len(), 1);
}

#[test]
fn show_nat_names_the_nodes_of_a_translated_connection() {
    let yard = Yard::with_lab("nat", HOME);
    yard.prints(&["ping", "pc", "1.1.1.1", "--count", "1"]);
    let view = yard.json(&["show", "--nat", "--json"]);
    let nodes = view["nodes"].as_array().unwrap();
    let tracked = |node: &serde_json::Value| node["connections"].as_array().cloned();
    assert_eq!(nodes.iter().filter_map(tracked).count(), 1, "only the router translates");
    let connections = tracked(&nodes[1]).unwrap();
    let ping = connections.iter().find(|c| c["protocol"] == "icmp").unwrap();
    assert_eq!(ping["original"]["source"], json!({ "address": "10.0.0.1", "port": null, "node": "pc" }));
    assert_eq!(ping["reply"]["source"]["address"], "1.1.1.1");
    assert_eq!(ping["reply"]["destination"]["node"], "router");
    assert_eq!((&ping["snat"], &ping["dnat"]), (&json!(true), &json!(false)));
    assert!(yard.prints(&["show", "--nat"]).contains("router 10.138.0.3"));
}

#[test]
fn a_pulled_cable_is_seen_in_tables_and_pictures() {
    let yard = Yard::with_lab("pull", HOME);
    let states = || -> Vec<String> {
        let view = yard.json(&["show", "--json", "-n", "a", "-n", "b"]);
        let nodes = view["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|node| node["interfaces"][0]["state"].as_str().unwrap().to_owned()).collect()
    };
    let is_crossed = || yard.prints(&["diagram", "--width", "100"]).contains('✗');
    assert_eq!((states(), is_crossed()), (vec!["up".to_owned(), "up".to_owned()], false));
    yard.prints(&["link", "a", "eth0", "down"]);
    assert_eq!((states(), is_crossed()), (vec!["down".to_owned(), "no-carrier".to_owned()], true));
    yard.prints(&["link", "a", "eth0", "up"]);
    assert_eq!((states(), is_crossed()), (vec!["up".to_owned(), "up".to_owned()], false));
}

#[test]
fn misspelt_names_are_answered_with_the_nearest() {
    let yard = Yard::with_lab("spell", HOME);
    let says = |args: &[&str], words: &str| {
        let ran = yard.run(args);
        assert_eq!(ran.code, Some(2), "{args:?}");
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    };
    says(&["show", "-n", "ruoter"], "did you mean `router`?");
    says(&["exec", "interne", "--", "true"], "did you mean `internet`?");
    says(&["exec", "zzzzzz", "--", "true"], "its nodes are pc, router, internet, a, b");
    says(&["link", "pc", "eth7", "down"], "it has eth0");
    let near = format!("{}x", yard.lab);
    says(&["show", &near], &format!("did you mean `{}`?", yard.lab));
    says(&["down", &near], &format!("did you mean `{}`?", yard.lab));
}

#[test]
fn followers_that_do_not_read_or_are_killed_hold_nobody_up() {
    use std::process::Stdio;
    let floods = "
networks: { lan: 10.0.0.0/24 }
nodes:
  a: { links: [lan], run: [\"yes\", \"while :; do echo tick; sleep 0.001; done\"] }
  b: { links: [lan] }
";
    let yard = Yard::with_lab("follow", floods);
    // Its pipe fills, and nobody empties it.
    let mut full = yard.command(PROGRAM).args(["logs", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    for _ in 0..10 {
        let start = || yard.command(PROGRAM).args(["logs", "-f"]).stdout(Stdio::null()).spawn().unwrap();
        let mut followers = [start(), start(), start()];
        let mut idle = yard.command(PROGRAM).args(["exec", "b", "--", "sleep", "0.3"]).spawn().unwrap();
        for follower in &mut followers {
            follower.kill().unwrap();
            follower.wait().unwrap();
        }
        let begun = std::time::Instant::now();
        yard.prints(&["show", "--json"]);
        assert!(begun.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun.elapsed());
        assert!(idle.wait().unwrap().success());
    }
    assert!(full.try_wait().unwrap().is_none(), "it is told of what it missed when it reads again");
    full.kill().unwrap();
    full.wait().unwrap();
}

fn finished_child(mut child: std::process::Child) -> bool {
    child.wait().is_ok_and(|status| status.success())
}

#[test]
fn list_has_the_lab_until_it_is_down() {
    let yard = Yard::with_lab("list", HOME);
    let listed = || {
        let labs = yard.json(&["list", "--json"])["labs"].as_array().unwrap().clone();
        labs.into_iter().find(|lab| lab["name"] == *yard.lab)
    };
    let lab = listed().unwrap();
    assert_eq!(lab["nodes"], 5);
    assert!(lab["pid"].as_u64() > Some(1) && lab["up_since"].as_u64() > Some(0));
    assert!(lab["file"].as_str().unwrap().ends_with("/lab.yaml"));
    let doctor = yard.json(&["doctor", "--json"]);
    assert!(doctor["labs"].as_array().unwrap().contains(&json!(yard.lab)));
    yard.prints(&["down"]);
    assert_eq!(listed(), None);
    let ran = yard.run(&["show"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error[U003]: "), "{}", ran.stderr);
}

/// The completions of the last word, as bash asks for them.
fn completed(yard: &Yard, words: &[&str]) -> Vec<String> {
    let script = r#"
        source <("$0" completions bash)
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_TYPE=9
        _clap_complete_netyard netyard "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        printf '%s\n' "${COMPREPLY[@]}"
    "#;
    let ran = finished(yard.command("bash").args(["-c", script, PROGRAM, "netyard"]).args(words));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    ran.stdout.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_names_of_the_running_lab() {
    let yard = Yard::with_lab("complete", HOME);
    assert_eq!(completed(&yard, &["diag"]), ["diagram"]);
    assert_eq!(completed(&yard, &["exec", "r"]), ["router"]);
    assert_eq!(completed(&yard, &["ping", "pc", "i"]), ["internet"]);
    assert_eq!(completed(&yard, &["show", "--node", "p"]), ["pc"]);
    assert_eq!(completed(&yard, &["link", "router", "e"]), ["eth0", "eth1"]);
    assert_eq!(completed(&yard, &["link", "router", "eth1", "d"]), ["down"]);
    assert_eq!(completed(&yard, &["logs", "pc", "w"]), ["waits"]);
    assert_eq!(completed(&yard, &["down", &yard.lab]), [&*yard.lab]);
    assert_eq!(completed(&yard, &["--lab", &yard.lab, "shell", "b"]), ["b"]);
    assert_eq!(completed(&yard, &["--lab=no-such-lab", "shell", "b"]), [""; 0]);
    assert_eq!(completed(&yard, &["explain", "n01"]).len(), 10);
}

#[test]
fn what_cannot_be_executed_is_told_why() {
    let yard = Yard::with_lab("executed", "nodes: { pc: ~ }\n");
    let says = |words: &[&str], expected: &str| {
        let closed = yard.folder.join("closed");
        let _ = std::fs::DirBuilder::new().mode(0o000).create(&closed);
        let path = format!("{}:/usr/bin:/bin", closed.display());
        let ran = finished(yard.command(PROGRAM).args(words).env("PATH", path));
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains(expected), "{}", ran.stderr);
    };
    says(&["exec", "pc", ""], "its name is empty");
    says(&["exec", "pc", "echo a b; exit 3"], "sh -c 'echo a b; exit 3'");
    says(&["exec", "pc", "no-such-program"], "No such file or directory");
}

#[test]
fn quiet_tests_print_what_failed_and_nothing_else() {
    let yard = Yard::new("quiet");
    let lab = "networks: { lan: 10.0.0.0/24 }\nnodes: { a: { links: [lan] }, b: { links: [lan] } }\n";
    let up = |expect: &str| {
        let file = yard.write("lab.yaml", &format!("lab: {}\n{lab}{expect}", yard.lab));
        yard.run(&["up", "-q", "--test", file.to_str().unwrap()])
    };
    let ran = up("expect: [{ from: a, ping: b }]");
    assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (Some(0), "", ""));
    let ran = up("expect: [{ from: a, ping: b }, { from: b, ping: a, hops: 3 }]");
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.starts_with("✗ b pings a, 3 routers away"), "{}", ran.stdout);
    assert!(ran.stdout.contains("0 routers away (TTL 64), not 3"), "{}", ran.stdout);
    assert_eq!(ran.stdout.lines().count(), 2, "{}", ran.stdout);
    let tap = yard.run(&["test", "--format", "tap"]).stdout;
    assert!(tap.contains("wrong: hops\n  expected: \"3\"\n  found: \"0\""), "{tap}");
    let ran = up("");
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    assert!(ran.stderr.contains("states no expectations"), "{}", ran.stderr);
}

#[test]
fn following_ends_well_when_the_lab_goes_down() {
    let yard = Yard::with_lab("following", "nodes: { pc: { run: [echo hello] } }\n");
    let mut child = yard.command(PROGRAM).args(["logs", "-f"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    assert_eq!(yard.run(&["down"]).code, Some(0));
    assert!(finished_child(child));
}

#[test]
fn an_interrupted_ping_prints_its_sum() {
    let yard = Yard::with_lab(
        "interrupted",
        "networks: { lan: 10.0.0.0/24 }\nnodes: { a: { links: [lan] }, b: { links: [lan] } }\n",
    );
    let mut command = yard.command(PROGRAM);
    let mut child = command.args(["ping", "a", "b", "-c", "1000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(130), "{printed}");
    assert!(printed.ends_with("answered, 0 % lost\n"), "{printed}");
}

#[test]
fn nodes_of_a_file_are_completed_before_it_is_up() {
    let yard = Yard::new("in");
    let file = yard.write("lab.yaml", "nodes: { pc: ~, printer: ~ }\n");
    assert_eq!(completed(&yard, &["up", file.to_str().unwrap(), "--in", "p"]), ["pc", "printer"]);
}
