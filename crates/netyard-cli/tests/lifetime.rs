//! Who ends what: labs for the time of a command, signals, and what a caller has left behind.

#![allow(clippy::unwrap_used)]

mod story;

use std::io::{BufRead, BufReader};
use story::{Story, end_of, lives, signal, text, until};

const LAB: &str = "
networks: { lan: 10.0.0.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  server: { links: { lan: 10.0.0.2 } }
expect: [{ from: pc, ping: server }]
";

/// A time that no other test sleeps, as a word to find the sleeper by.
fn unique_seconds(number: u32) -> String {
    (300_000_000 + 10 * std::process::id() + number).to_string()
}

fn listed(story: &Story) -> bool {
    story.says(&["list", "--json"]).contains(&format!("\"{}\"", story.lab))
}

#[test]
fn a_lab_for_a_command_ends_with_it_however_netyard_ends() {
    for (number, (name, code)) in
        [("TERM", Some(143)), ("HUP", Some(129)), ("KILL", None)].into_iter().enumerate()
    {
        for at in [&[][..], &["--in", "pc"]] {
            let story = Story::new(LAB);
            let seconds = unique_seconds(u32::try_from(number).unwrap());
            let mut words = vec!["up", "-q", "lab.yaml"];
            words.extend(at);
            words.extend(["--run", "sleep", &seconds]);
            let child = story.start(&words);
            until("the command runs", || lives(&seconds) && listed(&story));
            signal(name, child.id());
            assert_eq!(end_of(child).status.code(), code, "{name} {at:?}");
            until("the command has ended", || !lives(&seconds));
            until("the lab is gone", || !listed(&story));
        }
    }
}

#[test]
fn a_lab_that_was_up_before_a_command_stays() {
    let story = Story::new(LAB);
    story.up();
    story.says(&["up", "-q", "lab.yaml", "--run", "true"]);
    assert!(listed(&story));
    story.says(&["up", "-q", "lab.yaml", "--test", "--rm"]);
    assert!(!listed(&story));
}

#[test]
fn nobody_else_uses_a_lab_that_ends_with_a_command() {
    let story = Story::new(LAB);
    let seconds = unique_seconds(4);
    let child = story.start(&["up", "-q", "lab.yaml", "--run", "sleep", &seconds]);
    until("the command runs", || lives(&seconds));
    let output = story.netyard(&["up", "lab.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("ends with the command that started it"),
        "{}",
        text(&output.stderr)
    );
    story.says(&["exec", "pc", "--", "true"]);
    signal("TERM", child.id());
    end_of(child);
}

#[test]
fn signals_to_exec_reach_its_program() {
    let story = Story::new(LAB);
    story.up();
    for name in ["INT", "QUIT", "TERM", "HUP", "USR1", "USR2"] {
        let trap = format!("trap 'echo got {name}; exit 9' {name}; echo ready; while :; do sleep 0.02; done");
        let mut child = story.start(&["exec", "pc", "--", "sh", "-c", &trap]);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        signal(name, child.id());
        assert_eq!(lines.next().unwrap().unwrap(), format!("got {name}"));
        assert_eq!(end_of(child).status.code(), Some(9));
    }
}

#[test]
fn a_caller_that_ignores_the_end_of_children_changes_nothing() {
    let story = Story::new(LAB);
    let program = env!("CARGO_BIN_EXE_netyard");
    let script = format!(
        "trap '' CHLD; {program} up -q lab.yaml && {{ {program} exec pc -- sh -c 'sleep 0.1; exit 5'; [ $? = 5 ]; }}"
    );
    let mut bash = std::process::Command::new("bash");
    let own = story.netyard(&[]);
    for (name, value) in own.get_envs() {
        bash.env(name, value.unwrap());
    }
    let output = bash.args(["-c", &script]).current_dir(own.get_current_dir().unwrap()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_lab_is_not_removed_from_inside() {
    let story = Story::new(LAB);
    story.up();
    let program = env!("CARGO_BIN_EXE_netyard");
    let output = story.netyard(&["exec", "pc", "--", program, "down", &story.lab]).output().unwrap();
    // Where the folder of running labs is in the node's own /run or /tmp, no lab is seen at all.
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("inside of lab") || said.contains("no lab"), "{said}");
    story.says(&["exec", "pc", "--", "true"]);
}

#[test]
fn a_stopped_holder_is_told_of_and_can_be_removed() {
    let story = Story::new(LAB);
    let holder = story.up();
    signal("STOP", holder);
    let output = story.netyard(&["show"]).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&format!("pid {holder}, does not answer")), "{said}");
    story.says(&["down", &story.lab]);
}
