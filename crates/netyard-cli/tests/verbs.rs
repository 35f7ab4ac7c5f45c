//! Verbs that need no running lab, and what all verbs have in common.

mod support;

use std::process::Stdio;
use support::{PROGRAM, Yard, finished};

const CABLE: &str = "
lab: cable
networks: { wire: { kind: cable } }
nodes:
  a: { links: { wire: 10.0.0.1/30 }, gateway: none }
  b: { links: { wire: 10.0.0.2/30 }, gateway: none }
";

#[test]
fn a_file_is_drawn_without_running_it() {
    let yard = Yard::new("draw");
    let drawn = |args: &[&str]| {
        let ran = yard.run_with(args, CABLE);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    assert_eq!(
        drawn(&["diagram", "-"]),
        "\
╭─ a ── host ─╮         ╭─ b ── host ─╮
│        eth0 ●─────────● eth0        │
│ 10.0.0.1/30 │         │ 10.0.0.2/30 │
╰─────────────╯         ╰─────────────╯
"
    );
    assert!(drawn(&["diagram", "-", "--ascii"]).is_ascii());
    assert!(drawn(&["diagram", "-", "--svg"]).starts_with("<svg"));
    assert!(drawn(&["diagram", "-", "--mermaid"]).contains("flowchart"));
    assert!(drawn(&["diagram", "-", "--dot"]).starts_with("graph"));
    let narrow = drawn(&["diagram", "-", "--width", "24"]);
    assert!(narrow.lines().all(|line| line.chars().count() <= 24), "{narrow}");
    let lab: serde_json::Value = serde_json::from_str(&drawn(&["diagram", "-", "--json"])).unwrap();
    assert_eq!((&lab["schema"], &lab["name"]), (&"netyard/lab/1".into(), &"cable".into()));
}

#[test]
fn generated_labs_are_labs() {
    let yard = Yard::new("new");
    for shape in ["star", "line", "ring", "tree"] {
        let text = yard.prints(&["new", shape, "4"]);
        let ran = yard.run_with(&["plan", "-"], &text);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{shape}");
        assert!(ran.stdout.starts_with("ip netns add "), "{}", ran.stdout);
    }
    let ran = yard.run(&["new", "ring", "2"]);
    assert_eq!(ran.code, Some(2));
    assert_eq!(ran.stderr, "error[N008]: a ring of 2 routers is not made; 3 to 255 are\n");
}

#[test]
fn codes_are_explained_and_wrong_ones_answered_with_the_nearest() {
    let yard = Yard::new("explain");
    assert!(yard.prints(&["explain", "n014"]).starts_with("# N014: interface name is too long\n"));
    let ran = yard.run(&["explain", "N999"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error[Y015]: `N999` is no code of netyard\n  = N0"), "{}", ran.stderr);
    assert!(yard.run(&["explain", "日本"]).stderr.contains("a letter and three digits"));
}

#[test]
fn the_schema_is_json() {
    let yard = Yard::new("schema");
    let schema = yard.json(&["schema"]);
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["nodes"].is_object());
}

#[test]
fn doctor_says_that_labs_run_where_they_run() {
    let yard = Yard::new("doctor");
    let report = yard.json(&["doctor", "--json"]);
    assert_eq!(report["schema"], "netyard/doctor/1");
    assert_eq!(report["ok"], true, "{report:#}");
    let features = report["features"].as_array().unwrap();
    let veth = features.iter().find(|feature| feature["name"] == "veth").unwrap();
    assert_eq!((&veth["state"], &veth["needed_for"]), (&"available".into(), &"every lab".into()));
    for missing in features.iter().filter(|feature| feature["state"] == "missing") {
        assert!(missing["why"].is_string(), "{missing}");
    }
    assert!(yard.prints(&["doctor"]).ends_with("\nlabs can run here\n"));
}

#[test]
fn alone_it_shows_how_to_begin() {
    let yard = Yard::new("alone");
    let help = yard.prints(&[]);
    assert!(help.contains("netyard up star.yaml") && help.lines().count() < 15, "{help}");
    assert!(yard.prints(&["--version"]).starts_with("netyard 0."));
    assert_eq!(yard.run(&["shwo"]).code, Some(2));
    assert!(yard.run(&["shwo"]).stderr.contains("show"));
}

#[test]
fn a_wrong_lab_file_is_told_with_its_place_on_standard_error() {
    let yard = Yard::new("wrong");
    let file = yard.write("wrong.yaml", "nodes:\n  pc: { lnks: [lan] }\n");
    let ran = yard.run(&["diagram", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""));
    for words in ["error[Y007]", "wrong.yaml:2:9", "links"] {
        assert!(ran.stderr.contains(words), "{}", ran.stderr);
    }
    let ran = yard.run(&["diagram", "no-such-file.yaml"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error[U007]: cannot read no-such-file.yaml"), "{}", ran.stderr);
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_a_full_disk_is() {
    let yard = Yard::new("pipe");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = finished(yard.command(PROGRAM).arg("schema").stdout(writer));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ran = finished(yard.command(PROGRAM).arg("schema").stdout(Stdio::from(full)));
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.starts_with("error[U023]: cannot write to standard output"), "{}", ran.stderr);
}

#[test]
fn a_file_in_another_encoding_is_told_which() {
    let yard = Yard::new("encoding");
    let file = yard.folder.join("lab.yaml");
    let utf16: Vec<u8> = "lab: x\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&file, utf16).unwrap();
    let ran = yard.run(&["diagram", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("UTF-16") && ran.stderr.contains("UTF-8"), "{}", ran.stderr);
    std::fs::write(&file, b"description: caf\xe9\n").unwrap();
    let ran = yard.run(&["diagram", file.to_str().unwrap()]);
    assert!(ran.stderr.contains("looks like Latin-1"), "{}", ran.stderr);
}

#[test]
fn the_same_mistake_many_times_is_not_told_each_time() {
    let yard = Yard::new("many");
    let lines: String = (0..60).map(|n| format!("  n{n}: {{ lnks: [lan] }}\n")).collect();
    let ran = yard.run_with(&["diagram", "-"], &format!("nodes:\n{lines}"));
    assert_eq!(ran.stderr.matches("error[Y007]").count(), 50);
    assert!(ran.stderr.ends_with("60 problems in <stdin>; 10 more than are shown\n"), "{}", ran.stderr);
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_built() {
    let yard = Yard::new("before");
    let file = yard.write("lab.yaml", &format!("lab: {}\nnodes: {{ pc: ~ }}\n", yard.lab));
    let ran = yard.run(&["up", file.to_str().unwrap(), "--in", "nope", "--run", "true"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.starts_with("error[U004]"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("is up"), "{}", ran.stderr);
    let ran = yard.run(&["ping", "a", "b", "-c", "0"]);
    assert_eq!(ran.code, Some(2));
}

#[test]
fn every_shell_has_its_script() {
    let yard = Yard::new("shells");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = yard.prints(&["completions", shell]);
        assert!(script.contains("_NETYARD_COMPLETE") && script.contains(PROGRAM), "{shell}: {script}");
    }
}
