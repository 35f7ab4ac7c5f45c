//! A lab that is described and not yet running.

use crate::error::{Error, Result};
use crate::holder::unknown_node;
use crate::protocol::Spec;
use crate::running::RunningLab;
use crate::store::Store;
use crate::up::{self, OnStep, Upped};
use netyard_core::diagnostic::{Code, Source, Style};
use netyard_core::labfile;
use netyard_kernel::account;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A described lab: from a file, from text, or from a builder.
///
/// ```no_run
/// let lab = netyard::Lab::from_yaml("
/// networks: { lan: 10.0.0.0/24 }
/// nodes:
///   pc:      { links: { lan: 10.0.0.1 } }
///   printer: { links: { lan: 10.0.0.2 } }
/// ")?.up()?;
/// let output = lab.node("pc")?.command("ping").args(["-c1", "printer"]).output()?;
/// assert_eq!(output.status, netyard::ExitStatus::Code(0));
/// # Ok::<(), netyard::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Lab {
    pub(crate) definition: netyard_core::lab::Lab,
    file: Option<PathBuf>,
    folder: PathBuf,
    /// What is probably not meant so, rendered.
    pub warnings: Vec<String>,
    /// Whether nodes of kind `host`, which are this machine itself, are wanted.
    allows_host: bool,
    /// Whether persons are to play in its nodes.
    pub(crate) is_sandbox: bool,
    pub(crate) keeps_changes: bool,
    /// The change to the kernel that shall fail, for tests of what happens then.
    #[doc(hidden)]
    pub fail_at: Option<usize>,
}

impl Lab {
    /// Reads a lab from YAML text (`docs/lab-file.md`).
    ///
    /// # Errors
    /// Every problem of the text, each with its place.
    pub fn from_yaml(text: &str) -> Result<Self> {
        Self::parse(&Source::new("lab", text), None, Style::Plain)
    }

    /// Reads a lab file; `-` is standard input.
    ///
    /// # Errors
    /// That it cannot be read, or every problem of its text.
    pub fn from_file(path: &Path, style: Style) -> Result<Self> {
        let name = path.display().to_string();
        let unreadable = |error: &std::io::Error| {
            Error::input("U007", format!("cannot read {name}: {error}"))
                .help("give the path of a lab file, or `-` for standard input")
        };
        if path == Path::new("-") {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
            return Self::parse(&Source::new("<stdin>", text(bytes, "<stdin>")?), None, style);
        }
        let text = text(std::fs::read(path).map_err(|e| unreadable(&e))?, &name)?;
        let file = path.canonicalize().map_err(|e| unreadable(&e))?;
        Self::parse(&Source::new(name.clone(), text), Some(file), style)
    }

    fn parse(source: &Source, file: Option<PathBuf>, style: Style) -> Result<Self> {
        let parsed = labfile::parse(source).map_err(|problems| {
            let rendered = problems.iter().map(|problem| (problem.code, problem.render(source, style)));
            refused(rendered, &source.name)
        })?;
        let count = parsed.warnings.len();
        let shown = parsed.warnings.iter().take(PROBLEMS_SHOWN_MAX);
        let mut warnings: Vec<String> = shown.map(|warning| warning.render(source, style)).collect();
        if count > PROBLEMS_SHOWN_MAX {
            warnings.push(format!("{} more warnings than are shown", count - PROBLEMS_SHOWN_MAX));
        }
        let mut lab = Self::from_definition(parsed.lab);
        if let Some(folder) = file.as_deref().and_then(Path::parent) {
            lab.folder = folder.to_owned();
        }
        lab.file = file;
        lab.warnings = warnings;
        let has_programs = lab.definition.nodes.iter().any(|node| !node.programs.is_empty());
        if has_programs && lab.spec().shown_folder().is_none() {
            lab.warnings.push(format!(
                "warning: the programs of lab {lab} do not see {}, where a home folder is shown\n  \
                 = help: put the lab file into a folder of its own",
                lab.folder.display()
            ));
        }
        Ok(lab)
    }

    /// Takes a lab that was put together by other means.
    #[must_use]
    pub fn from_definition(definition: netyard_core::lab::Lab) -> Self {
        let folder = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        Self {
            definition,
            file: None,
            folder,
            warnings: Vec::new(),
            allows_host: false,
            is_sandbox: false,
            keeps_changes: false,
            fail_at: None,
        }
    }

    /// Says which file it came from, absolute; its folder is what its files are found in.
    #[must_use]
    pub(crate) fn of_file(mut self, file: PathBuf) -> Self {
        if let Some(folder) = file.parent() {
            self.folder = folder.to_owned();
        }
        self.file = Some(file);
        self
    }

    /// Keeps what its nodes have changed by themselves (addresses, routes, links ...) when it changes while it runs.
    #[must_use]
    pub(crate) fn keeping_changes(mut self) -> Self {
        self.keeps_changes = true;
        self
    }

    /// Allows nodes of kind `host`, which are the machine itself (needs root).
    #[must_use]
    pub fn allowing_host(mut self, allows: bool) -> Self {
        self.allows_host = allows;
        self
    }

    /// What the lab is: networks, nodes, expectations.
    #[must_use]
    pub fn definition(&self) -> &netyard_core::lab::Lab {
        &self.definition
    }

    /// Refuses the name of a node that the lab does not have.
    ///
    /// # Errors
    /// That there is none, with the nearest that there is.
    pub fn refuse_unknown_node(&self, name: &str) -> Result<()> {
        if self.definition.node(name).is_some() {
            return Ok(());
        }
        Err(unknown_node(&self.definition, name))
    }

    /// Builds a copy of the lab that nobody else finds, and returns when it is ready.
    ///
    /// It ends when the returned value is dropped, or with this process, however that ends. Any number may run at
    /// the same time.
    ///
    /// # Errors
    /// What the kernel refused; nothing is left then.
    pub fn up(&self) -> Result<RunningLab> {
        up::up_private(self.spec(), &mut |_, _| {}).map(RunningLab::ending_with_us)
    }

    /// As [`Lab::up`], telling of steps done.
    ///
    /// # Errors
    /// As [`Lab::up`].
    pub fn up_with_progress(&self, on_step: OnStep<'_>) -> Result<RunningLab> {
        up::up_private(self.spec(), on_step).map(RunningLab::ending_with_us)
    }

    /// Makes the lab run under its name for everybody to find, also after this process has ended; where it runs
    /// already, changes only what differs.
    ///
    /// # Errors
    /// What is wrong; a running lab stays as it was then.
    pub fn up_named(&self, store: &Store, on_step: OnStep<'_>) -> Result<Upped> {
        up::up(self.spec(), store, true, on_step)
    }

    /// As [`Lab::up_named`], but a new lab ends with this process, however that ends.
    ///
    /// # Errors
    /// As [`Lab::up_named`].
    pub fn up_named_for_now(&self, store: &Store, on_step: OnStep<'_>) -> Result<Upped> {
        up::up(self.spec(), store, false, on_step)
    }

    /// What the holder is told.
    #[must_use]
    pub fn spec(&self) -> Spec {
        Spec {
            lab: self.definition.clone(),
            file: self.file.clone(),
            folder: self.folder.clone(),
            homes: homes(),
            allows_host: self.allows_host,
            is_sandbox: self.is_sandbox,
            keeps_changes: self.keeps_changes,
            fail_at: self.fail_at,
            layers: BTreeMap::new(),
            enclosed: Vec::new(),
            owned: Vec::new(),
        }
    }
}

/// The error of a file with problems, each by its code and as it reads.
pub(crate) fn refused(problems: impl ExactSizeIterator<Item = (Code, String)>, file: &str) -> Error {
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    let mut error = Error::input("", format!("{count} {noun} in {file}"));
    let mut report = String::new();
    for (at, (code, text)) in problems.take(PROBLEMS_SHOWN_MAX).enumerate() {
        if at == 0 {
            error.code = code.to_string();
        }
        report.push_str(&text);
        report.push('\n');
    }
    report.push_str(&error.title);
    if count > PROBLEMS_SHOWN_MAX {
        report.push_str(&format!("; {} more than are shown", count - PROBLEMS_SHOWN_MAX));
    }
    error.report = Some(report);
    error
}

/// Most problems of a file that are shown; whoever has more has made one mistake many times.
const PROBLEMS_SHOWN_MAX: usize = 50;

fn text(bytes: Vec<u8>, name: &str) -> Result<String> {
    let foreign = |flaw: String, bytes: &[u8]| {
        let looks_like = labfile::foreign_encoding(bytes);
        Error::input("Y001", format!("{name} is not UTF-8 text: {flaw}"))
            .help(format!("this looks like {looks_like}; save the file as UTF-8"))
    };
    // Latin letters in UTF-16 are UTF-8 too, with zero bytes between them.
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        return Err(foreign(format!("byte {at} is zero"), &bytes));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        foreign(format!("byte {at} begins no character"), error.as_bytes())
    })
}

/// The caller's home folders: of the environment, and of the account.
fn homes() -> Vec<PathBuf> {
    let of_environment = std::env::var_os("HOME").map(PathBuf::from);
    let mut homes: Vec<PathBuf> = of_environment.into_iter().chain(account::home()).collect();
    homes.retain(|home| home.is_absolute() && home.parent().is_some());
    homes.sort();
    homes.dedup();
    homes
}

impl fmt::Display for Lab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.definition.name.fmt(f)
    }
}
