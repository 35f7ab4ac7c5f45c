//! House rules that text can show.
#![allow(clippy::unwrap_used)]

use netyard_core::diagnostic::Code;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    for name in ["netyard-core", "netyard-kernel", "netyard", "netyard-cli"] {
        sources(&crates.join(name).join("src"), &mut found);
    }
    assert!(found.len() > 50);
    found
}

/// Words in double quotes that look like a code: a capital letter and three digits.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    text.split('"').filter(|word| {
        word.len() == 4
            && word.as_bytes()[0].is_ascii_uppercase()
            && word.as_bytes()[1..].iter().all(u8::is_ascii_digit)
    })
}

#[test]
fn every_code_that_is_used_can_be_explained() {
    for path in all_sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for code in codes(&text) {
            assert!(code.parse::<Code>().is_ok(), "{} uses {code}", path.display());
        }
    }
}

#[test]
fn unsafe_code_is_behind_the_kernel_door_only() {
    let word = ["un", "safe"].concat();
    for path in
        all_sources().iter().filter(|path| !path.components().any(|c| c.as_os_str() == "netyard-kernel"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        let has_it = text.lines().any(|line| {
            line.contains(&format!("{word} {{"))
                || line.contains(&format!("{word} fn"))
                || line.contains("libc::")
        });
        assert!(!has_it, "{}", path.display());
    }
}

#[test]
fn the_kernel_door_does_not_know_what_a_lab_is() {
    for path in
        all_sources().iter().filter(|path| path.components().any(|c| c.as_os_str() == "netyard-kernel"))
    {
        let text = std::fs::read_to_string(path).unwrap();
        for module in ["lab", "labfile", "expect", "diagram", "desired", "diff"] {
            assert!(!text.contains(&format!("netyard_core::{module}")), "{} uses {module}", path.display());
        }
    }
}

#[test]
fn nothing_is_left_to_do_in_the_sources() {
    for path in all_sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        for mark in [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]] {
            assert!(!text.contains(&mark.concat()), "{}", path.display());
        }
    }
}
