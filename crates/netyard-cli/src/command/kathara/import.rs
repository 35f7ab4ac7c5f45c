//! `netyard import kathara`: a lab file, and how true it is.

use crate::args::kathara::{Import, ImportKathara};
use crate::output::{self, json};
use netyard::Result;
use netyard_core::kathara::report::Remark;
use netyard_core::kathara::{Wishes, yaml};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Imported<'a> {
    lab: &'a str,
    yaml: String,
    report: &'a [Remark],
}

pub fn import(args: &Import) -> Result<ExitCode> {
    let Import::Kathara(args) = args;
    kathara(args)
}

fn kathara(args: &ImportKathara) -> Result<ExitCode> {
    let wishes = Wishes { overrides: super::lstart::overrides(&args.pass)?, ..Wishes::default() };
    let found = netyard::kathara::load(&args.directory, &wishes, true, output::style())?;
    found.lab.warnings.iter().for_each(|warning| output::say(warning.trim_end()));
    let (lab, yaml) = (found.lab.definition(), yaml(found.lab.definition()));
    if args.json {
        let name = lab.name.as_str();
        json::print("import", &Imported { lab: name, yaml, report: &found.imported.remarks });
        return Ok(ExitCode::SUCCESS);
    }
    found.imported.remarks.iter().for_each(|remark| output::say(&remark.to_string()));
    output::say(&format!("save it in {}, whose files it names", args.directory.display()));
    output::print(&yaml);
    Ok(ExitCode::SUCCESS)
}
