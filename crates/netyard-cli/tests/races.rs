//! Many commands at once on one name.

#![allow(clippy::unwrap_used)]

mod story;

use story::{Story, end_of, text};

const LAB: &str = "
networks: { lan: 10.0.0.0/24, isp: 198.51.100.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  router: { links: { lan: 10.0.0.254, isp: 198.51.100.2 }, masquerade: { from: lan, out: isp } }
  internet: { role: internet, links: { isp: 198.51.100.1 } }
";

/// One of them builds, the others find it as described, or say that somebody is at it.
#[test]
fn of_32_racing_ups_one_builds() {
    let story = Story::new(LAB);
    let racers: Vec<_> = (0..32).map(|_| story.start(&["up", "lab.yaml"])).collect();
    let mut built = 0;
    for racer in racers {
        let output = end_of(racer);
        let said = text(&output.stderr);
        match output.status.code() {
            Some(0) if said.contains("is up already and as described") => {}
            Some(0) => built += 1,
            code => assert!(said.contains("is working on lab"), "{code:?}: {said}"),
        }
    }
    assert_eq!(built, 1);
    story.says(&["exec", "pc", "--", "true"]);
}

/// Whatever the order, each ends in time, and the last word counts.
#[test]
fn racing_ups_and_downs_leave_a_lab_or_none() {
    let story = Story::new(LAB);
    let lab = story.lab.clone();
    let words = |n: usize| if n.is_multiple_of(2) { vec!["up", "lab.yaml"] } else { vec!["down", &lab] };
    let racers: Vec<_> = (0..24).map(|n| story.start(&words(n))).collect();
    for racer in racers {
        let output = end_of(racer);
        let said = text(&output.stderr);
        let is_clear =
            ["is working on lab", "no lab", "holder process has ended"].iter().any(|w| said.contains(w));
        assert!(output.status.success() || is_clear, "{:?}: {said}", output.status);
    }
    story.says(&["up", "lab.yaml"]);
    story.says(&["down", &story.lab]);
}
