//! One function for fuzzers: any bytes, everything that a text can reach, and what must hold of the result.

use super::{Source, parse};
use crate::diagnostic::{Diagnostic, Severity, Style};
use crate::lab::{Lab, NetworkKind};
use std::collections::HashSet;

/// Reads any bytes as a lab file and checks what every result promises. A fault is a panic.
///
/// # Panics
/// When a result breaks a promise: that is a bug of the reader.
pub fn fuzz(bytes: &[u8]) {
    let source = Source::new("fuzz.yaml", String::from_utf8_lossy(bytes));
    let problems = match parse(&source) {
        Ok(parsed) => {
            assert!(parsed.warnings.iter().all(|problem| problem.severity == Severity::Warning));
            check_lab(&parsed.lab);
            parsed.warnings
        }
        Err(problems) => {
            assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
            problems
        }
    };
    for problem in problems.iter().take(50) {
        check_report(problem, &source);
    }
}

fn check_report(problem: &Diagnostic, source: &Source) {
    let report = problem.render(source, Style::Plain);
    assert!(report.ends_with('\n') && report.lines().all(|line| !line.contains('\x1b')));
    let _ = problem.render(source, Style::Colour);
    let _ = serde_json::to_string(&problem.located(source)).expect("plain data");
    if let Some(span) = problem.span {
        assert!(span.start <= span.end && span.end <= source.text.len(), "{problem:?}");
    }
}

/// What the builder of a lab relies on.
fn check_lab(lab: &Lab) {
    let mut fabric: HashSet<String> = HashSet::new();
    let mut cables: HashSet<&str> = HashSet::new();
    for network in &lab.networks {
        match network.kind {
            NetworkKind::Cable => drop(cables.insert(network.name.as_str())),
            _ => assert!(fabric.insert(network.bridge_name().into()), "{}", network.name),
        }
    }
    for node in &lab.nodes {
        let own = node.interfaces.iter().map(|i| &i.name).chain(node.bridges.iter().map(|b| &b.name));
        let names: HashSet<&str> = own.map(|name| name.as_str()).collect();
        assert_eq!(names.len(), node.interfaces.len() + node.bridges.len(), "{}", node.name);
        for interface in &node.interfaces {
            if !cables.contains(interface.network.as_str()) {
                assert!(fabric.insert(interface.port.as_str().to_owned()), "{}", interface.port);
            }
            assert!(lab.networks.len() > 1000 || lab.network(interface.network.as_str()).is_some());
        }
        for port in node.bridges.iter().flat_map(|bridge| &bridge.ports) {
            let is_own_link = node.own_links.iter().any(|link| link.name == *port);
            assert!(is_own_link || node.interface(port.as_str()).is_some());
        }
    }
}
