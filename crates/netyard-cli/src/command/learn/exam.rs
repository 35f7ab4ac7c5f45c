//! Exams.

use netyard::Result;
use netyard_core::lesson::Language;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// One student's exam.
pub struct Sitting {
    pub student: String,
    pub seed: String,
    pub result: PathBuf,
    pub language: Language,
}

impl Sitting {
    pub fn show(&self) -> Result<ExitCode> {
        Ok(ExitCode::SUCCESS)
    }
    pub fn sit(&self, _answer: Option<&Path>, _lab: Option<&str>) -> Result<ExitCode> {
        Ok(ExitCode::SUCCESS)
    }
}

pub fn grade(_files: &[PathBuf], _seed: &str, _json: bool) -> Result<ExitCode> {
    Ok(ExitCode::SUCCESS)
}
