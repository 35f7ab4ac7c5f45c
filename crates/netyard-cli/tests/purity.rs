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

const FULL_LAB: &str = "
networks: { lan: 10.0.0.0/24 }
nodes:
  pc: { kind: full, links: { lan: 10.0.0.1 }, run: sleep 1000 }
  server:
    kind: full
    links: { lan: 10.0.0.2 }
    run:
      loop: \"while :; do sleep 1000 & wait; done\"
      dns: { command: [dnsmasq, -k, --conf-file=/dev/null], ready: { port: 53 } }
    files: { /etc/motd: \"of the node\\n\", /usr/local/bin/tool: \"#!/bin/sh\\n\", /var/lib/tool/state: new }
";

#[test]
fn full_nodes_add_nothing_to_the_host_and_change_nothing() {
    let story = Story::new(FULL_LAB);
    let before = host();
    story.up();
    let script = "echo x > /etc/hosts; rm /etc/fstab /etc/passwd; echo x > /usr/local/x; rm -rf /var/lib/*; \
                  sysctl -qw net.ipv4.ip_forward=1; cat /etc/motd";
    assert_eq!(
        story.says(&["exec", "server", "--", "sh", "-c", &format!("{script} 2>/dev/null")]),
        "of the node\n"
    );
    is_as(&before, "with the lab up");
    story.says(&["down", &story.lab]);
    is_as(&before, "after the lab");
}
