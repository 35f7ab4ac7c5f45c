//! The sandbox of a lesson, from outside, and the way to the coach in it.

use super::errand::{Errand, News, Start};
use crate::command::NodeChild;
use crate::error::{Error, Result};
use crate::running::RunningLab;
use crate::sandbox::{self, MACHINE, PROGRAM};
use crate::up;
use crate::wire::{self, Inbox};
use netyard_core::lesson::{Language, Lesson};
use netyard_core::name::LabName;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// A coach in a sandbox.
#[derive(Debug)]
pub struct Coached {
    stream: UnixStream,
    inbox: Inbox,
    child: NodeChild,
}

impl Coached {
    /// Starts a coach in the sandbox.
    ///
    /// # Errors
    /// That it cannot be started.
    pub fn begin(lab: &RunningLab, start: &Start) -> Result<Self> {
        let cannot = |e: &io::Error| Error::io("cannot speak to the coach", e);
        let (ours, theirs) = UnixStream::pair().map_err(|e| cannot(&e))?;
        let internet = lab.node("internet")?.namespace()?;
        let command = lab.node(MACHINE)?.command(PROGRAM).arg("coach").stdin(OwnedFd::from(theirs));
        let child = command.dies_with_caller().spawn()?;
        wire::send(ours.as_fd(), start, &[internet.as_fd()]).map_err(|e| cannot(&e))?;
        Ok(Self { stream: ours, inbox: Inbox::default(), child })
    }

    /// What it tells next; none when it has ended.
    pub fn told(&mut self) -> Option<News> {
        wire::receive(&self.stream, &mut self.inbox).ok().map(|(news, _)| news)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// Those of waitid(2).
    pub fn end(mut self) -> Result<()> {
        drop(self.stream);
        self.child.wait().map(drop)
    }
}

/// Does an errand in a sandbox of its own that ends with it.
///
/// # Errors
/// That no sandbox can be made, or that the coach ended without an answer.
pub fn alone(lesson: &Lesson, language: Language, errand: Errand) -> Result<News> {
    let name = LabName::new("lesson").expect("letters are a name");
    let lab = up::up_private(sandbox::lab(&name).spec(), &mut |_, _| {})?.ending_with_us();
    let order = (0..lesson.steps.len()).collect();
    let start = Start { lesson: lesson.clone(), order, language, errand };
    let mut coached = Coached::begin(&lab, &start)?;
    coached.told().ok_or_else(|| Error::kernel("K010", "the coach of a lesson ended without an answer"))
}
