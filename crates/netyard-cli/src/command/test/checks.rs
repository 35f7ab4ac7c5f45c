//! `netyard test FILE` with a file that was written for kathara-lab-checker.

use crate::args::Test;
use crate::output::{self, Progress};
use netyard::kathara::{KatharaLab, check, identity, load};
use netyard::store::Store;
use netyard::{Error, Result, RunningLab};
use netyard_core::diagnostic::Source;
use netyard_core::kathara::Wishes;
use netyard_core::kathara::checker::{self, Checks};
use netyard_core::report::TestReport;
use std::path::{Path, PathBuf};

/// The text of a file, where it is one for kathara-lab-checker.
pub fn source(target: &str) -> Result<Option<Source>> {
    let is_file =
        [".yaml", ".yml", ".json"].iter().any(|end| target.ends_with(end)) && Path::new(target).is_file();
    // What cannot be read is told by whoever reads it as a lab file.
    let Some(text) = is_file.then(|| std::fs::read_to_string(target).ok()).flatten() else { return Ok(None) };
    let source = Source::new(target, text);
    Ok(checker::is_checks(&source).then_some(source))
}

/// Tests the lab of a folder: as it runs, else a copy of its own.
pub fn report_of(source: &Source, args: &Test) -> Result<TestReport> {
    let checks = checker::parse(source).map_err(|problems| {
        let mut error = Error::input("I013", format!("{} is not understood", source.name));
        error.report =
            Some(problems.iter().map(|problem| problem.render(source, output::style()) + "\n").collect());
        error
    })?;
    let beside = Path::new(&source.name)
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let folder = folder_of(&checks, beside, args)?;
    let template = template_of(&checks, beside)?;
    let (name, file) = identity(&folder)?;
    let running = RunningLab::find(&name, &Store::of_user());
    let running = running.and_then(|lab| Ok((lab.description()?.file == Some(file.clone())).then_some(lab)));
    let lab = match running {
        Ok(Some(lab)) => lab,
        _ => {
            let KatharaLab { lab, .. } = load(&folder, &Wishes::default(), false, output::style())?;
            lab.warnings.iter().for_each(|warning| output::say(warning.trim_end()));
            let mut progress = Progress::new(format!("starting lab {lab}"));
            lab.up_with_progress(&mut |done, all| progress.at(done, all))?
        }
    };
    let mut progress = Progress::new(format!("testing lab {name}"));
    let all = checks.checks.len();
    let folder = file.parent().unwrap_or(&folder);
    check(&lab, folder, &checks, template.as_ref(), &mut |done| progress.at(done.min(all), all))
}

/// The folder of the lab: as said, else beside the file.
fn folder_of(checks: &Checks, beside: &Path, args: &Test) -> Result<PathBuf> {
    if let Some(folder) = &args.directory {
        return Ok(folder.clone());
    }
    let named = checks.labs_path.as_ref().map(|path| beside.join(path));
    let folders = [Some(beside.to_owned()), Some(beside.join("lab")), named, Some(PathBuf::from("."))];
    let found = folders.into_iter().flatten().find(|folder| folder.join("lab.conf").is_file());
    found.ok_or_else(|| {
        Error::input("U007", "no lab.conf is beside the test")
            .help("`-d FOLDER` says which lab is to be tested")
    })
}

/// The `lab.conf` with which the lab's own is compared, where the test has one.
fn template_of(checks: &Checks, beside: &Path) -> Result<Option<Source>> {
    if let Some(text) = &checks.structure {
        return Ok(Some(Source::new("lab_inline", text.clone())));
    }
    let Some(path) = &checks.structure_path else { return Ok(None) };
    let path = beside.join(path);
    let unreadable = |error| Error::input("U007", format!("cannot read {}: {error}", path.display()));
    Ok(Some(Source::new(path.display().to_string(), std::fs::read_to_string(&path).map_err(unreadable)?)))
}
