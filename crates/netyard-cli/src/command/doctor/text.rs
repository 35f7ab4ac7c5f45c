//! The findings of `netyard doctor` for people.

use super::{FeatureReport, Finding, FindingState, FolderState, Report};
use crate::output::table::aligned;
use crate::output::theme::{Cell, Label, Theme};

pub(super) fn text(report: &Report, theme: Theme) -> String {
    let mut text = String::new();
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            text.push_str(&format!("{}\n{body}\n", theme.paint(Label::Heading, title)));
        }
    };
    section("KERNEL", format!("{}\n", report.kernel) + &features(report, theme));
    section("MACHINE", machine(report, theme));
    section("FOLDERS OF RUNNING LABS", folders(report, theme));
    let labs: Vec<&str> = report.labs.iter().map(|lab| lab.as_str()).collect();
    let labs = if labs.is_empty() { "none".to_owned() } else { labs.join(", ") };
    section("RUNNING LABS", format!("{labs}\n"));
    if !report.removed.is_empty() {
        section("REMOVED", format!("sockets of killed labs: {}\n", report.removed.join(", ")));
    }
    text.push_str(&match report.ok {
        true => theme.paint(Label::Good, "labs can run here\n"),
        false => theme.paint(Label::Bad, "labs cannot run here\n"),
    });
    text
}

/// One row for each feature, and below one that is missing why that is so and what helps.
fn features(report: &Report, theme: Theme) -> String {
    let mut rows = vec![row("namespaces", &report.namespaces, "every lab")];
    rows.extend(details(&report.namespaces));
    for FeatureReport { name, needed_for, finding } in &report.features {
        rows.push(row(name, finding, needed_for));
        rows.extend(details(finding));
    }
    aligned(&rows, theme)
}

fn row(name: &str, finding: &Finding, needed_for: &str) -> [Cell; 3] {
    let (label, word) = match finding.state {
        FindingState::Available => (Label::Good, "yes"),
        FindingState::Missing => (Label::Bad, "no"),
        FindingState::Untried => (Label::Doubtful, "not tried"),
    };
    [Cell::plain(name), Cell::new(label, word), Cell::new(Label::Quiet, format!("for {needed_for}"))]
}

fn details(finding: &Finding) -> Vec<[Cell; 3]> {
    let lines = [("kernel", &finding.why), ("help", &finding.remedy)];
    let detail = |(word, text): (&str, &Option<String>)| {
        text.as_ref().map(|text| [Cell::plain(""), Cell::plain(""), Cell::plain(format!("= {word}: {text}"))])
    };
    lines.into_iter().filter_map(detail).collect()
}

fn machine(report: &Report, theme: Theme) -> String {
    let row = |fact: &super::Fact| {
        [Cell::plain(fact.name), Cell::plain(&fact.value), Cell::new(Label::Quiet, fact.meaning)]
    };
    aligned(&report.machine.iter().map(row).collect::<Vec<_>>(), theme)
}

fn folders(report: &Report, theme: Theme) -> String {
    let row = |folder: &super::Folder| {
        let (label, word) = match folder.state {
            FolderState::Ours => (Label::Good, "in use"),
            FolderState::Absent => (Label::Quiet, "not there; made when it is needed"),
            FolderState::NotOurs => (Label::Bad, "others can look into it: not used (needs mode 0700)"),
        };
        [Cell::plain(folder.path.display()), Cell::new(label, word)]
    };
    aligned(&report.folders.iter().map(row).collect::<Vec<_>>(), theme)
}
