//! A program in a namespace that belongs to no lab.

use super::Trace;
use crate::command::not_executed;
use crate::error::{Error, Result};
use netyard_core::state::Ns;
use netyard_kernel::nsfs;
use netyard_kernel::process::{Doors, Launch, Running};
use std::ffi::{CString, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// A program to be started in a namespace, with the caller's own environment and files.
#[derive(Debug)]
pub struct Program<'a> {
    /// The words, of which the first is the program.
    pub words: &'a [OsString],
}

impl Program<'_> {
    /// Starts it; it ends with the calling thread. Same as `nsenter --net=FILE WORDS`.
    ///
    /// # Errors
    /// That there is no such namespace, that it may not be entered, that the program cannot be executed.
    pub fn start(&self, trace: &Trace, node: &Ns) -> Result<Running> {
        let discovery = trace.discovery();
        let found = discovery.found.values().find(|found| found.name.as_ref() == Some(node));
        let net = found.and_then(|found| found.fd.as_ref()).ok_or_else(|| {
            Error::input("U018", format!("there is no network namespace `{node}`"))
                .help("`netyard look` shows those that there are")
        })?;
        // Who may enter the network namespace needs no user namespace for it.
        let owner = nsfs::owners_below_own(net.as_fd()).ok().and_then(|mut chain| chain.pop());
        let owner = owner.filter(|_| !netyard_kernel::userns::may_enter_namespaces());
        let word = |word: &OsString| {
            CString::new(word.as_bytes())
                .map_err(|_| Error::input("U008", format!("{} has a zero byte in it", word.display())))
        };
        let env = std::env::vars_os().filter_map(|(mut name, value)| {
            name.push("=");
            name.push(value);
            CString::new(name.as_bytes()).ok()
        });
        let cwd = std::env::current_dir().ok();
        let launch = Launch {
            argv: self.words.iter().map(word).collect::<Result<_>>()?,
            env: env.collect(),
            cwd: cwd.and_then(|folder| CString::new(folder.as_os_str().as_bytes()).ok()),
            dies_with_caller: true,
            ..Launch::default()
        };
        let doors =
            Doors { holder: None, user: owner.as_ref().map(AsFd::as_fd), net: Some(net.as_fd()), room: None };
        launch.start(&doors).map_err(|error| match (error.is_program, self.words.first()) {
            (true, Some(program)) => not_executed(program, &error.source),
            _ => Error::io(format!("cannot {}", error.doing), &error.source),
        })
    }
}
