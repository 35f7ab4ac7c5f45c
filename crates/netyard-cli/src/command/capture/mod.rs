//! `netyard capture`: packets at every interface, in the order in which they passed.

mod session;
mod sink;

pub use session::{Limits, Session};
pub use sink::Sink;

use super::running;
use crate::args::Capture;
use netyard::capture::{Scene, Settings};
use netyard::look::{self, Scope};
use netyard::store::Store;
use netyard::{Error, Result, RunningLab};
use netyard_core::capture::{Selection, select};
use netyard_core::stand_in::tcpdump::Style;
use netyard_kernel::signal::{SIGHUP, SIGINT, SIGTERM, SignalFd};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;

pub fn run(args: &Capture, lab: Option<&str>) -> Result<ExitCode> {
    // Scouts are sent out first: later the process may have threads.
    let plan = Plan::of(lab, args.host, &args.words)?;
    let settings = Settings { snap: args.kept.snap, ring_len: args.kept.ring };
    let sink = match &args.write {
        Some(path) if path == Path::new("-") => {
            if std::io::stdout().is_terminal() {
                return Err(Error::input("U030", "a capture file is not written to a terminal")
                    .help("`netyard capture -w - | wireshark -k -i -`, or name a file"));
            }
            Sink::to_output()
        }
        Some(path) => Sink::to_file(path, args.force)?,
        None if args.json => Sink::json(),
        None => Sink::text(Style {
            is_numeric: true,
            is_verbose: args.verbose,
            has_link_header: args.link_header,
            ..Style::default()
        }),
    };
    let limits = Limits { count: args.count, time: args.r#for };
    Session::open(plan, settings, sink)?.run(limits)
}

/// What is captured, and the signals that end it.
pub struct Plan {
    pub scene: Scene,
    pub selection: Selection,
    pub signals: SignalFd,
}

impl Plan {
    /// Finds what is meant, and reads the words about it.
    pub fn of(lab: Option<&str>, is_host: bool, words: &[String]) -> Result<Self> {
        let lab = meant(lab, is_host)?;
        let scope = match &lab {
            Some(lab) => Scope::Lab(lab),
            None if is_host => Scope::Host,
            None => Scope::Here,
        };
        // Before there are threads, each of which would otherwise be interrupted by itself.
        let signals = SignalFd::new(&[SIGINT, SIGTERM, SIGHUP])
            .map_err(|e| Error::io("cannot listen to signals", &e))?;
        let scene = Scene::of(scope)?;
        let selection = select(words, &scene.nodes).map_err(|words| {
            let error = Error::input("U031", words);
            error.help("`netyard capture --help` shows what can be written")
        })?;
        Ok(Self { scene, selection, signals })
    }
}

/// The lab that is meant, where one is: by name, or the one that runs.
fn meant(lab: Option<&str>, is_host: bool) -> Result<Option<RunningLab>> {
    if let Some(name) = lab {
        return running(Some(name), None).map(Some);
    }
    if is_host || look::is_inside_lab() {
        return Ok(None);
    }
    let is_named = std::env::var_os("NETYARD_LAB").is_some_and(|name| !name.is_empty());
    if !is_named && Store::of_user().labs()?.is_empty() {
        return Ok(None);
    }
    running(None, None).map(Some)
}
