//! What went wrong, in words for the person at the keyboard.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// What kind of failure it is; decides the exit code of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The caller asked for something that cannot be: a wrong file, an unknown name.
    Input,
    /// The kernel refused.
    Kernel,
    /// An expectation did not come true.
    Expectation,
}

/// A failure: what was being done, to which object, the kernel's own words, and what to do about it.
///
/// One pointer wide, so that results stay small; the facts are in [`Details`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Error(Box<Details>);

/// The facts of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Details {
    /// What kind of failure it is.
    pub kind: ErrorKind,
    /// Code for `netyard explain`.
    pub code: String,
    /// What was being done, to what, and what came of it: a lower-case fragment.
    pub title: String,
    /// Facts on lines of their own: the kernel's words, the equivalent command.
    pub notes: Vec<String>,
    /// What to do.
    pub help: Option<String>,
    /// A whole text to show instead: the problems of a lab file, rendered.
    pub report: Option<String>,
}

/// The result of what the engine does.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A failure of the caller's making.
    pub fn input(code: &str, title: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, code, title)
    }

    /// A refusal by the kernel.
    pub fn kernel(code: &str, title: impl Into<String>) -> Self {
        Self::new(ErrorKind::Kernel, code, title)
    }

    /// A refusal by the kernel, with the error that a system call gave. A limit that is reached is named.
    pub fn io(title: impl fmt::Display, source: &std::io::Error) -> Self {
        Self::kernel("K001", format!("{title}: {source}"))
            .with_limit(source.raw_os_error().unwrap_or_default())
    }

    /// Says which limit an error number speaks of (getrlimit(2), namespaces(7)).
    #[must_use]
    pub(crate) fn with_limit(self, errno: i32) -> Self {
        use rustix::io::Errno;
        const LIMITS: [(Errno, &str); 3] = [
            (
                Errno::MFILE,
                "the limit of open files is reached: `ulimit -Hn` shows it, a lab holds two for each node",
            ),
            (Errno::NFILE, "the machine's limit of open files is reached (sysctl fs.file-max)"),
            (Errno::USERS, "user namespaces are nested too deep here"),
        ];
        match LIMITS.iter().find(|(limit, _)| limit.raw_os_error() == errno) {
            Some((_, words)) if self.help.is_none() => self.help(*words),
            _ => self,
        }
    }

    fn new(kind: ErrorKind, code: &str, title: impl Into<String>) -> Self {
        let (code, title) = (code.into(), title.into());
        Self(Box::new(Details { kind, code, title, notes: Vec::new(), help: None, report: None }))
    }

    /// Adds a fact.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Deref for Error {
    type Target = Details;
    fn deref(&self) -> &Details {
        &self.0
    }
}

impl DerefMut for Error {
    fn deref_mut(&mut self) -> &mut Details {
        &mut self.0
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(report) = &self.report {
            return f.write_str(report.trim_end());
        }
        write!(f, "error[{}]: {}", self.code, self.title)?;
        for note in &self.notes {
            write!(f, "\n  = {note}")?;
        }
        self.help.as_ref().map_or(Ok(()), |help| write!(f, "\n  = help: {help}"))
    }
}

impl fmt::Debug for Error {
    /// As it reads: `unwrap` in a test shows what a person would be told.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{self}")
    }
}

impl std::error::Error for Error {}
