//! `netyard logs`: what a lab's programs printed.

use super::{node_name, running};
use crate::args::Logs;
use crate::output::{self, Reader, json};
use netyard::Result;
use netyard::protocol::LogChunk;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Serialize)]
struct Printed {
    logs: Vec<LogChunk>,
}

pub fn run(args: &Logs, lab: Option<&str>) -> Result<ExitCode> {
    let lab = running(None, lab)?;
    let node = args.node.as_deref().map(node_name).transpose()?;
    if let Some(node) = &node {
        lab.node(node.as_str())?;
    }
    let program = args.program.as_deref();
    let mut all = Vec::new();
    let told = lab.logs(node.as_ref(), program, args.follow, |chunk| {
        if args.json && !args.follow {
            all.push(chunk.clone());
            return true;
        }
        let text = if args.json {
            format!("{}\n", serde_json::to_string(chunk).unwrap_or_default())
        } else {
            prefixed(chunk)
        };
        output::print(&text) == Reader::There
    });
    match told {
        // The lab is down: nothing will be printed any more, which is how following ends.
        Err(error) if args.follow && error.code == "K009" => {}
        told => told?,
    }
    if args.json && !args.follow {
        json::print("logs", &Printed { logs: all });
    }
    Ok(ExitCode::SUCCESS)
}

/// Every line with its node and program before it.
fn prefixed(chunk: &LogChunk) -> String {
    let line = |line: &str| format!("{} {} | {line}\n", chunk.node, chunk.program);
    chunk.text.lines().map(line).collect()
}
