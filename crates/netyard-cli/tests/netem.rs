//! Labs with delay and loss: where the kernel has netem they hold; where it lacks it, they are refused in exact words.
#![allow(clippy::unwrap_used)]

mod gallery;

use gallery::{Case, lab_names, report_of};
use netyard::Lab;
use netyard_kernel::feature::{Kind, probe_of};

/// Each lab, and what of it needs netem first.
const LABS: [(&str, &str); 4] = [
    ("disorder", "`delay` and `reorder` of node `hasty`, interface `eth0`, and by 1 other"),
    ("distance", "`delay` and `jitter` of node `far`, interface `eth0`"),
    ("lossy", "`loss` of node `deaf`, interface `eth0`, and by 3 others"),
    ("satellite", "`delay` of node `ground`, interface `eth0`, and by 1 other"),
];

fn has_netem() -> bool {
    probe_of(&[Kind::Netem]).has(Kind::Netem)
}

#[test]
fn labs_hold_or_are_refused_in_exact_words() {
    assert_eq!(lab_names("netem"), LABS.map(|(name, _)| name));
    for (name, needed_by) in LABS {
        let output = Case::from_gallery("netem", name).test();
        if has_netem() {
            assert_eq!(report_of(&output).failures, [""; 0], "{name}");
            assert_eq!(output.status.code(), Some(0), "{name}");
            continue;
        }
        check_refusal(&String::from_utf8_lossy(&output.stderr), needed_by);
        assert_eq!((output.status.code(), &output.stdout[..]), (Some(3), &[][..]), "{name}");
    }
}

/// The refusal of a kernel without netem.
#[track_caller]
fn check_refusal(error: &str, needed_by: &str) {
    let lines: Vec<&str> = error.lines().collect();
    let [title, needed, kernel, help] = lines[..] else { panic!("four lines are wanted: {error}") };
    assert_eq!(title, "error[K002]: this kernel has no netem qdisc (CONFIG_NET_SCH_NETEM; module sch_netem)");
    assert_eq!(needed, format!("  = needed by {needed_by}"));
    assert_eq!(kernel, "  = kernel: No such file or directory (os error 2): Specified qdisc kind is unknown");
    // The module of this very kernel is installed, or it is not.
    let remedies = [
        "  = help: `sudo modprobe sch_netem`",
        "  = help: use a kernel with CONFIG_NET_SCH_NETEM (module `sch_netem`); those of Debian, Ubuntu and Fedora have it",
    ];
    assert!(remedies.contains(&help), "{help}");
}

/// Without what makes it that lab, each states what does not hold. No netem is needed for that.
#[test]
fn labs_without_their_delay_and_loss_do_not_hold() {
    check_mutation(
        "distance",
        &[(", delay: 40ms, jitter: 10ms", ""), ("within: 10s", "within: 0")],
        "here pings far",
    );
    check_mutation("satellite", &[(", rate: 2mbit, delay: 270ms", "")], "ground pings ship");
    let silent = [
        (", down: { loss: 100% }", ""),
        (", up: { loss: 100% }", ""),
        (", down: { corrupt: 100% }", ""),
        (", down: { loss: 30% }", ""),
        (", within: 10s", ""),
    ];
    for fails in ["pc cannot ping deaf", "pc cannot ping mute", "pc cannot ping noisy", "pc cannot ping weak"]
    {
        check_mutation("lossy", &silent, fails);
    }
    let in_order = [
        (", down: { delay: 100ms, reorder: 25% }", ""),
        (", down: { duplicate: 100% }", ""),
        (", within: 10s", ""),
    ];
    check_mutation("disorder", &in_order, "pc pings hasty");
}

#[track_caller]
fn check_mutation(name: &str, changes: &[(&str, &str)], fails: &str) {
    let mut text = Case::from_gallery("netem", name).text.clone();
    for (from, to) in changes {
        assert!(text.contains(from), "{name} has no {from:?}");
        text = text.replace(from, to);
    }
    let output = Case::new(name, text).test();
    let report = report_of(&output);
    assert!(report.failures.iter().any(|failure| failure.starts_with(fails)), "{name}: {report:?}");
}

/// A lab that runs gets a delay, or is left as it was.
#[test]
fn a_delay_comes_to_a_running_lab_or_is_refused() {
    let lab = |delay: &str| {
        let text = format!(
            "networks: {{ wire: {{ kind: cable, prefix: 10.0.0.0/30 }} }}
nodes: {{ a: {{ links: {{ wire: {{ up: {{ {delay} }} }} }} }}, b: {{ links: [wire] }} }}"
        );
        Lab::from_yaml(&text).unwrap()
    };
    let mut running = lab("").up().unwrap();
    let before = running.state().unwrap();
    let late = lab("delay: 10ms");
    match running.apply(late.spec(), &mut |_, _| {}) {
        Ok(steps) => {
            assert!(has_netem());
            let commands: Vec<String> = steps.steps.iter().flat_map(|step| step.commands()).collect();
            assert_eq!(commands, ["tc -n a qdisc replace dev eth0 root netem limit 1833 delay 10000us"]);
            assert_eq!(running.plan(late.spec()).unwrap().steps, [], "it reads back as it was asked for");
        }
        Err(error) => {
            assert!(!has_netem(), "{error}");
            check_refusal(&error.to_string(), "`delay` of node `a`, interface `eth0`");
            assert_eq!(running.state().unwrap(), before);
        }
    }
}
