//! The host before, during and after a lab: the same.

#![allow(clippy::unwrap_used)]

mod host_facts;
mod story;

use host_facts::{host, is_as};
use story::Story;

const LAB: &str = "
networks: { lan: 10.0.0.0/24, isp: 198.51.100.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 }, run: sleep 1000 }
  router: { links: { lan: 10.0.0.254, isp: 198.51.100.2 }, masquerade: { from: lan, out: isp } }
  internet: { role: internet, links: { isp: 198.51.100.1 } }
";
#[test]
fn a_lab_adds_nothing_to_the_host_and_changes_nothing() {
    let story = Story::new(LAB);
    let before = host();
    assert!(before.len() > 100, "{} facts", before.len());
    story.up();
    story.says(&["ping", "pc", "1.1.1.1", "-c", "1"]);
    is_as(&before, "with the lab up");
    story.says(&["down", &story.lab]);
    is_as(&before, "after the lab");
}
