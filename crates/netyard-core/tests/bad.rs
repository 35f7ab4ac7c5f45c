//! Wrong lab files and the reports that they get: `tests/bad/NAME.yaml` and `tests/bad/NAME.txt`.
//!
//! `UPDATE=1 cargo test -p netyard-core --test bad` writes the reports anew; read them before they are committed.

// The crate reads no file, clock or environment and never unwraps; its tests do.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used
)]

use netyard_core::diagnostic::{Code, Diagnostic, Style};
use netyard_core::labfile::{Source, parse};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad")
}

/// A wrong file: its name without ending, its text, and what is wrong with it.
struct Wrong {
    name: String,
    source: Source,
    problems: Vec<Diagnostic>,
}

fn wrong_files() -> &'static [Wrong] {
    static FILES: OnceLock<Vec<Wrong>> = OnceLock::new();
    FILES.get_or_init(|| {
        let read = |(name, source): (String, Source)| {
            let problems = problems(&source);
            Wrong { name, source, problems }
        };
        texts().into_iter().map(read).collect()
    })
}

fn texts() -> Vec<(String, Source)> {
    let mut files: Vec<(String, Source)> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            let file = path.file_name().unwrap().to_str().unwrap();
            let stem = path.file_stem().unwrap().to_str().unwrap();
            (stem.to_owned(), Source::new(file, fs::read_to_string(&path).unwrap()))
        })
        .collect();
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

fn problems(source: &Source) -> Vec<Diagnostic> {
    match parse(source) {
        Ok(parsed) => parsed.warnings,
        Err(problems) => problems,
    }
}

fn report(source: &Source, problems: &[Diagnostic]) -> String {
    problems.iter().map(|problem| problem.render(source, Style::Plain)).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_wrong_file_gets_its_report() {
    let updates = std::env::var_os("UPDATE").is_some();
    let mut different = Vec::new();
    for Wrong { name, source, problems } in wrong_files() {
        let report = report(source, problems);
        let path = folder().join(format!("{name}.txt"));
        if updates {
            fs::write(&path, &report).unwrap();
        } else if fs::read_to_string(&path).ok().as_deref() != Some(&report) {
            different.push(format!("{name}:\n{report}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n\n"));
}

#[test]
fn the_wrong_files_show_most_codes() {
    let files = wrong_files();
    let shown: BTreeSet<Code> = files.iter().flat_map(|file| &file.problems).map(|p| p.code).collect();
    // Sizes are tested with texts made for it below; what the kernel refuses and how the program is used do not come
    // from a file. Kathara's files are tested where they are read.
    let elsewhere = |code: &Code| code.as_str().starts_with(['I', 'K', 'U']) || *code == Code::FileTooLarge;
    let missing: Vec<&str> =
        Code::ALL.iter().filter(|c| !shown.contains(c) && !elsewhere(c)).map(|c| c.as_str()).collect();
    assert_eq!(missing, [""; 0], "codes without a wrong file");
    assert!(files.len() >= 60);
}

#[test]
fn each_file_is_named_after_what_it_shows() {
    for Wrong { name, problems, .. } in wrong_files() {
        let Some((code, _)) = name.split_once('-') else { panic!("{name}") };
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code.as_str()).collect();
        match code {
            "many" => assert!(codes.len() > 2, "{name}: {codes:?}"),
            // No fault may bring reports of its own consequences.
            _ => assert!(
                codes.iter().all(|c| c.to_lowercase() == code) && !codes.is_empty(),
                "{name}: {codes:?}"
            ),
        }
    }
}

#[test]
fn a_large_file_is_refused_at_once() {
    let text = format!("nodes:\n{}", "  a: ~\n".repeat(1_500_000));
    assert!(text.len() > 10_000_000);
    let codes: Vec<&str> = problems(&Source::new("big.yaml", text)).iter().map(|p| p.code.as_str()).collect();
    assert_eq!(codes, ["Y002"]);
}

#[test]
fn many_wrong_lines_are_all_reported() {
    let mut text = String::from("nodes:\n");
    for n in 0..2000 {
        text.push_str(&format!("  n{n}: {{ link: [lan] }}\n"));
    }
    assert_eq!(problems(&Source::new("many.yaml", text)).len(), 2000);
}

#[test]
fn texts_that_stand_for_much_more_are_refused_soon() {
    for text in [
        "networks: { 'n[1-10000]': ~ }\nnodes: { 'h[1-10000]': { links: ['n[1-10000]'] } }",
        "nodes: { 'h[1-10000]': ~ }\nexpect: [{ from: all, ping: [all, all, all, all] }, { from: all, route: all }]",
        "networks: { l: 10.0.0.0/8 }\nnodes: { 'h[1-9000]': { links: [l], nat: [{ masquerade: [l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l, l] }] } }",
        "networks: { l: 10.0.0.0/8 }\nnodes: { 'h[1-1000]': { links: [l], firewall: { input: { allow: [{ from: g, to: g }] } } } }\ngroups: { g: [all] }",
        "nodes: { 'h[1-9999]': { links: ['a[1-5000]'] } }",
    ] {
        let start = std::time::Instant::now();
        let problems = problems(&Source::new("t.yaml", text));
        assert!(!problems.is_empty());
        // Far more than it takes, far less than it could.
        assert!(start.elapsed().as_secs() < 20, "{:?}: {text}", start.elapsed());
    }
}
