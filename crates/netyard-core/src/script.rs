//! A plan as a bash script that calls ip, tc, nft, sysctl and ethtool, and nothing else.

use crate::state::Ns;
use crate::step::Step;
use std::fmt::Write as _;

/// The steps as a bash script, for root in a machine of its own or for an ordinary user in a sandbox; its first
/// lines say how. It stops at the first command that fails.
#[must_use]
pub fn script(steps: &[Step], title: &str) -> String {
    // A title is prose: a line break would end the comment.
    let title = title.replace(|c: char| c.is_control(), " ");
    let mut text = format!("#!/usr/bin/env bash\n# {title}\n{HEAD}");
    let mut last: Option<&Ns> = None;
    for step in steps {
        let ns = step.ns();
        if last != Some(ns) && !matches!(step, Step::AddNamespace { .. } | Step::DeleteNamespace { .. }) {
            let _ = writeln!(text, "\n# {ns}");
            last = Some(ns);
        }
        for command in step.commands() {
            text.push_str(&command);
            // ethtool tells which other features change along.
            text.push_str(if matches!(step, Step::SetChecksums { .. }) { " >/dev/null\n" } else { "\n" });
        }
    }
    text
}

const HEAD: &str = "#
# Needs bash, iproute2 (ip, tc), nft, sysctl and ethtool. Network namespaces are made by name, so run it
# where no such names exist: as root in a machine of its own, or as anybody in a sandbox that ends with its shell:
#
#   unshare -Urnmp --fork --mount-proc bash -c 'mount -t tmpfs none /run && bash THIS-SCRIPT && exec bash'
set -eu
";
