//! `netyard list`: running labs.

use crate::args::Json;
use crate::output::table::{aligned, heading};
use crate::output::theme::{Cell, Label, Theme};
use crate::output::{self, json};
use netyard::store::Store;
use netyard::{Result, RunningLab};
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

#[derive(Serialize)]
struct Labs {
    labs: Vec<Lab>,
}

#[derive(Serialize)]
struct Lab {
    name: String,
    nodes: usize,
    pid: u32,
    up_since: u64,
    file: Option<PathBuf>,
}

pub fn run(args: &Json) -> Result<ExitCode> {
    let store = Store::of_user();
    let mut labs = Vec::new();
    for name in store.labs()? {
        let found = RunningLab::find(&name, &store).and_then(|lab| Ok((lab.description()?, lab)));
        let (description, lab) = match found {
            Ok(found) => found,
            Err(error) if error.code == "K015" => {
                output::report(&error);
                continue;
            }
            // One that ends while we look is not in the list.
            Err(_) => continue,
        };
        labs.push(Lab {
            name: name.to_string(),
            nodes: description.lab.nodes.len(),
            pid: lab.pid(),
            up_since: description.up_since,
            file: description.file,
        });
    }
    if args.json {
        json::print("list", &Labs { labs });
    } else if labs.is_empty() {
        output::say("no lab runs; `netyard up FILE` makes one");
    } else {
        output::print(&table(&labs));
    }
    Ok(ExitCode::SUCCESS)
}

fn table(labs: &[Lab]) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut rows = vec![heading(["LAB", "NODES", "PID", "UP FOR", "FILE"])];
    for lab in labs {
        let file = lab.file.as_ref().map_or_else(|| "-".to_owned(), |file| file.display().to_string());
        rows.push([
            Cell::new(Label::Node, &lab.name),
            Cell::plain(lab.nodes),
            Cell::plain(lab.pid),
            Cell::plain(age(now.saturating_sub(Duration::from_secs(lab.up_since)))),
            Cell::new(Label::Quiet, file),
        ]);
    }
    aligned(&rows, Theme::of_output())
}

/// `12 s`, `3 min`, `2 h`, `5 d`.
pub(super) fn age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}
