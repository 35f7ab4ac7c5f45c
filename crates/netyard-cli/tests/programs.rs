//! Programs that say when they are ready, wait for each other, and run when the lab ends.

mod support;

use support::Yard;

/// In a network of its own and in a full node the same.
const KINDS: [&str; 2] = ["net", "full"];

#[test]
fn programs_start_when_those_before_them_are_ready() {
    let web =
        "import http.server as h; h.HTTPServer((\\\"\\\", 80), h.BaseHTTPRequestHandler).serve_forever()";
    for kind in KINDS {
        let yard = Yard::with_lab(
            &format!("ready-{kind}"),
            &format!(
                "nodes:
  a:
    kind: {kind}
    run:
      web: {{ command: \"sleep 0.3; exec python3 -c '{web}'\", ready: {{ port: 80 }} }}
      job: {{ command: 'test -e /run/by-command && echo job', ready: ended, after: [web, asked, says] }}
      asked: {{ command: 'sleep 0.2; touch /run/by-command; sleep 1000000', ready: {{ command: [test, -e, /run/by-command] }} }}
      says: {{ command: 'printf star; sleep 0.2; echo ted; sleep 1000000', ready: {{ log: started }} }}
      last: {{ command: 'echo last; sleep 1000000', after: job }}
"
            ),
        );
        let view = yard.json(&["show", "--json"]);
        let programs = view["nodes"][0]["programs"].as_array().unwrap();
        let told: Vec<(&str, &str, &str)> = programs
            .iter()
            .map(|p| {
                (
                    p["name"].as_str().unwrap(),
                    p["state"].as_str().unwrap(),
                    p["ready"].as_str().unwrap_or("-"),
                )
            })
            .collect();
        let expected = [
            ("web", "running", "ready"),
            ("job", "exited", "ready"),
            ("asked", "running", "ready"),
            ("says", "running", "ready"),
            ("last", "running", "-"),
        ];
        assert_eq!(told, expected, "{kind}");
        let logs = yard.prints(&["logs"]);
        for words in
            ["a web | netyard: ready after 0.", "a job | job\n", "a says | started\n", "a last | last\n"]
        {
            assert!(logs.contains(words), "{words} in {logs}");
        }
    }
}

#[test]
fn programs_wait_for_those_of_other_nodes() {
    for kind in KINDS {
        let text = format!(
            "networks: {{ lan: 10.0.0.0/24 }}
nodes:
  client[1-2]:
    kind: {kind}
    links: [lan]
    run: {{ asks: {{ command: \"bash -c 'exec 3<>/dev/tcp/10.0.0.9/80 && echo open'\", ready: ended, after: server/web }} }}
  last: {{ kind: {kind}, run: {{ job: {{ command: echo done, ready: ended, after: 'client[1-2]/asks' }} }} }}
  server:
    kind: {kind}
    links: {{ lan: 10.0.0.9 }}
    run: {{ web: {{ command: [sh, -c, 'sleep 0.3; exec python3 -m http.server 80'], ready: {{ port: 80 }} }} }}
"
        );
        let yard = Yard::with_lab(&format!("across-{kind}"), &text);
        let logs = yard.prints(&["logs"]);
        for words in ["client1 asks | open", "client2 asks | open", "last job | done"] {
            assert!(logs.contains(words), "{words} in {logs}");
        }
    }
}

#[test]
fn what_waits_for_a_program_of_another_node_that_fails_is_not_started() {
    let yard = Yard::new("across-failed");
    let text = "nodes: { a: { run: { x: { command: 'echo never', after: b/p } } }, b: { run: { p: { command: 'exit 3', ready: ended } } } }";
    let file = yard.write("lab.yaml", &format!("lab: {}\n{text}\n", yard.lab));
    let ran = yard.run(&["up", file.to_str().unwrap()]);
    let words = "program `p` of node `b` ended with code 3";
    assert!(ran.code == Some(3) && ran.stderr.contains(words), "{}", ran.stderr);
}

#[test]
fn up_fails_with_what_was_waited_for_and_the_last_words() {
    let cases = [
        (
            "{ command: 'echo going; sleep 1000000', ready: { port: 80, within: 300ms } }",
            &["program `p` of node `a` was not ready within 0.3 s", "listen on TCP port 80", "  going"][..],
        ),
        (
            "{ command: 'echo broken >&2; exit 3', ready: { log: started } }",
            &["program `p` of node `a` ended with code 3 before it was ready", "print `started`", "  broken"],
        ),
        ("{ command: 'kill -9 $$', ready: ended }", &["program `p` of node `a` was ended by signal 9"]),
        (
            "{ command: sleep 1000000, ready: { command: 'exit 1', within: 200ms } }",
            &["was not ready within 0.2 s", "`sh -c exit 1` to end with code 0"],
        ),
    ];
    for (program, words) in cases {
        let yard = Yard::new("unready");
        let after = "next: { command: 'touch /run/never', after: p }";
        let file = yard.write(
            "lab.yaml",
            &format!("lab: {}\nnodes: {{ a: {{ run: {{ p: {program}, {after} }} }} }}", yard.lab),
        );
        let ran = yard.run(&["up", file.to_str().unwrap()]);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        for words in words.iter().chain(&["error[K020]"]) {
            assert!(ran.stderr.contains(words), "{words} in {}", ran.stderr);
        }
        assert_eq!(yard.run(&["show"]).code, Some(2), "nothing is left");
    }
}

#[test]
fn a_job_that_fails_at_first_is_tried_again() {
    let text = "nodes: { a: { run: { p: { command: 'test -e /run/x || { touch /run/x; exit 1; }', restart: on-failure, ready: ended } } } }";
    let yard = Yard::with_lab("retry", text);
    let view = yard.json(&["show", "--json"]);
    let program = &view["nodes"][0]["programs"][0];
    assert_eq!((&program["ready"], &program["restarts"]), (&"ready".into(), &1.into()));
}

#[test]
fn down_runs_what_the_file_has_for_the_end_in_its_order() {
    for kind in KINDS {
        let yard = Yard::new(&format!("stop-{kind}"));
        let text = format!(
            "nodes:
  a:
    kind: {kind}
    stop: ['touch /run/first', 'test -e /run/first && echo told; exit 4']
  b: {{ kind: {kind}, stop: 'exit 0' }}"
        );
        let file = yard.write("lab.yaml", &format!("lab: {}\n{text}", yard.lab));
        let up = || assert_eq!(yard.run(&["up", "-q", file.to_str().unwrap()]).code, Some(0));
        up();
        let ran = yard.run(&["down"]);
        assert_eq!(ran.code, Some(0), "the lab is gone all the same: {}", ran.stderr);
        for words in ["of node `a` ended with code 4", "  told", "is gone"] {
            assert!(ran.stderr.contains(words), "{words} in {}", ran.stderr);
        }
        up();
        let ran = yard.run(&["down", "--now"]);
        assert!(ran.code == Some(0) && !ran.stderr.contains("code 4"), "{}", ran.stderr);
    }
}

#[test]
fn up_again_tries_what_has_failed_anew() {
    let yard = Yard::with_lab("anew", "nodes: { a: ~ }\n");
    let text = "nodes: { a: { run: { p: { command: 'test -e /run/x', ready: ended } } } }";
    let file = yard.write("lab.yaml", &format!("lab: {}\n{text}", yard.lab));
    let ran = yard.run(&["up", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("the lab was changed all the same"), "{}", ran.stderr);
    yard.prints(&["exec", "a", "--", "touch", "/run/x"]);
    yard.prints(&["up", "-q", file.to_str().unwrap()]);
}
