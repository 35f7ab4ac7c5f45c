//! Labs of the gallery, and running them as a user would.

// Not every test program uses all of it, and a test may panic.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The built program.
pub const NETYARD: &str = env!("CARGO_BIN_EXE_netyard");

/// The folder of the gallery, or one below it.
pub fn folder(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs").join(below).canonicalize().unwrap()
}

/// Names of the labs in a folder of the gallery.
pub fn lab_names(below: &str) -> Vec<String> {
    let paths = std::fs::read_dir(folder(below)).unwrap().map(|entry| entry.unwrap().path());
    let labs = paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<String> =
        labs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// A lab as text, in a file of its own for as long as this lives.
pub struct Case {
    pub text: String,
    pub path: PathBuf,
}

impl Case {
    /// A lab of the gallery.
    pub fn from_gallery(below: &str, name: &str) -> Self {
        let path = folder(below).join(format!("{name}.yaml"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::new(name, text)
    }

    pub fn new(name: &str, text: String) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let path = folder.join(format!("{name}-{}-{number}.yaml", std::process::id()));
        std::fs::write(&path, &text).unwrap();
        Self { text, path }
    }

    /// `netyard test FILE --json`, of a private copy.
    pub fn test(&self) -> Output {
        Command::new(NETYARD).arg("test").arg(&self.path).arg("--json").output().unwrap()
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// What `netyard test --json` said.
#[derive(Debug)]
pub struct Report {
    pub passed: u64,
    /// Expectation and reason of each failure.
    pub failures: Vec<String>,
}

#[track_caller]
pub fn report_of(output: &Output) -> Report {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let report: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}{errors}"));
    assert_eq!(report["schema"], "netyard/test/1");
    let results = report["expectations"].as_array().unwrap();
    let failed = results.iter().filter(|result| result["passed"] == false);
    let failures: Vec<String> = failed
        .map(|result| format!("{}: {}", result["text"].as_str().unwrap(), result["detail"].as_str().unwrap()))
        .collect();
    assert_eq!(report["failed"], failures.len());
    Report { passed: report["passed"].as_u64().unwrap(), failures }
}
