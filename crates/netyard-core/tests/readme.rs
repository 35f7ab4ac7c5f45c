//! The README's pictures are those that the program draws.

// The crate reads no file; its tests do.
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used
)]

use netyard_core::diagram::{Picture, Style, ascii, unicode};
use netyard_core::labfile::{Source, parse};
use std::fs;
use std::path::{Path, PathBuf};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn picture(file: &Path) -> Picture {
    let source = Source::new(file.display().to_string(), fs::read_to_string(file).unwrap());
    Picture::of_lab(&parse(&source).unwrap().lab)
}

#[test]
fn the_first_picture_of_the_readme_is_what_the_program_draws() {
    let readme = fs::read_to_string(top().join("README.md")).unwrap();
    let drawn = unicode(&picture(&top().join("labs/home.yaml")), 140, Style::Plain);
    assert!(readme.contains(&drawn), "{drawn}");
}

#[test]
fn ascii_pictures_of_all_labs_are_ascii() {
    let mut count = 0;
    for entry in fs::read_dir(top().join("labs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            count += 1;
            for width in [40, 80, 120, 200] {
                let drawn = ascii(&picture(&path), width, Style::Plain);
                assert!(drawn.is_ascii(), "{}:\n{drawn}", path.display());
            }
        }
    }
    assert!(count > 20);
}
