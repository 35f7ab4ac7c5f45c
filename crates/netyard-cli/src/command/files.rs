//! `netyard cp`, `netyard diff` and `netyard save`: files of full nodes.

use super::{node_name, running};
use crate::args::{Cp, Diff, Save};
use crate::output::{self, json};
use netyard::protocol::{Change, Difference};
use netyard::{Error, Result};
use netyard_core::name::NodeName;
use serde::Serialize;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Serialize)]
struct Told<'a> {
    node: &'a str,
    files: &'a [Difference],
}

/// One end of a copy.
enum End {
    Node(NodeName, String),
    Here(PathBuf),
}

impl End {
    /// `NODE:PATH`, or a path; one with a colon in it begins with `./`.
    fn of(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some((node, path)) if !node.contains('/') => Ok(Self::Node(node_name(node)?, path.to_owned())),
            _ => Ok(Self::Here(text.into())),
        }
    }
}

pub fn cp(args: &Cp, lab: Option<&str>) -> Result<ExitCode> {
    let (to, from) = args.paths.split_last().expect("clap asks for two at least");
    let from = from.iter().map(|text| End::of(text)).collect::<Result<Vec<End>>>()?;
    let lab = running(None, lab)?;
    match End::of(to)? {
        End::Node(node, path) => {
            let here = from.into_iter().map(|end| match end {
                End::Here(path) => Ok(path),
                End::Node(..) => Err(one_side("the other end is a node too")),
            });
            lab.known_node(node).copy_in(&here.collect::<Result<Vec<_>>>()?, &path)?;
        }
        End::Here(to) => {
            for end in from {
                let End::Node(node, path) = end else { return Err(one_side("no end is a node")) };
                lab.known_node(node).copy_out(&[path.into()], &to)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn one_side(why: &str) -> Error {
    Error::input("U011", format!("files are copied into a node or out of one, and {why}"))
        .help("for example `netyard cp site.conf web:/etc/apache2/` or `netyard cp web:/var/log/apache2 .`")
}

pub fn diff(args: &Diff, lab: Option<&str>) -> Result<ExitCode> {
    let lab = running(None, lab)?;
    let differences = lab.known_node(node_name(&args.node)?).differences()?;
    if args.json {
        json::print("diff", &Told { node: &args.node, files: &differences });
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    for difference in &differences {
        let letter = match difference.change {
            Change::Added => 'A',
            Change::Changed => 'C',
            Change::Removed => 'D',
        };
        text += &format!("{letter} {}\n", difference.path.display());
    }
    output::print(&text);
    Ok(ExitCode::SUCCESS)
}

pub fn save(args: &Save, lab: Option<&str>) -> Result<ExitCode> {
    let lab = running(None, lab)?;
    let to = args.to.clone().unwrap_or_else(|| PathBuf::from(&args.node));
    let count = lab.known_node(node_name(&args.node)?).save(&to)?;
    output::say(&format!("{count} files and folders of {} are in {}", args.node, to.display()));
    Ok(ExitCode::SUCCESS)
}
