//! What is written down of a started service, below [`super::STATES`].

use super::{STATES, processes};
use netyard_core::unit::{Activity, Outcome, UnitName, UnitState};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The most that is kept of what a service prints, in bytes.
const LOG_LEN_MAX: u64 = 256 * 1024;

/// Seconds after 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |span| span.as_secs())
}

/// The folder in which a service's state is.
#[derive(Debug, Clone)]
pub struct Record {
    folder: PathBuf,
}

impl Record {
    /// That of a unit, whether it exists or not.
    #[must_use]
    pub fn of(name: &UnitName) -> Self {
        Self { folder: Path::new(STATES).join(name.as_str()) }
    }

    /// Units that were started since the node is up.
    #[must_use]
    pub fn all() -> Vec<UnitName> {
        let entries = fs::read_dir(STATES).into_iter().flatten().flatten();
        let mut names: Vec<UnitName> = entries
            .filter(|entry| entry.path().is_dir())
            .filter_map(|entry| UnitName::new(entry.file_name().to_str()?))
            .collect();
        names.sort();
        names
    }

    /// Makes the folder, and waits until nobody else starts or stops the service. The lock ends with the file.
    ///
    /// # Errors
    /// Those of mkdir(2) and open(2).
    pub fn lock(&self) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let file = File::options().create(true).append(true).open(self.folder.join("lock"))?;
        rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive))?;
        Ok(file)
    }

    /// The state as it is: what was written, or that its keeper has gone without a word.
    #[must_use]
    pub fn state(&self) -> UnitState {
        let Some(mut state) = self.written() else { return UnitState::default() };
        let is_settled = matches!(state.activity, Activity::Inactive | Activity::Failed);
        if !is_settled && !is_alive(state.keeper) {
            state.activity = Activity::Failed;
            "failed".clone_into(&mut state.sub);
            state.outcome = Outcome::Signal(9);
            state.failure = Some("its keeper was killed".to_owned());
            state.main_pid = None;
        }
        state
    }

    /// The state as its keeper wrote it.
    fn written(&self) -> Option<UnitState> {
        serde_json::from_slice(&fs::read(self.folder.join("state")).ok()?).ok()
    }

    /// Whether the service's keeper lives.
    #[must_use]
    pub fn has_keeper(&self) -> bool {
        self.written().is_some_and(|state| is_alive(state.keeper))
    }

    /// All processes of the service. Those that a killed keeper has left behind are found by their environment.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        match self.written() {
            Some(state) if is_alive(state.keeper) => processes::all_of(state.keeper.0),
            Some(state) if !state.invocation.is_empty() => processes::of_invocation(&state.invocation),
            _ => Vec::new(),
        }
    }

    /// The same, with their words.
    #[must_use]
    pub fn described_processes(&self) -> Vec<netyard_core::unit::Process> {
        self.processes().into_iter().map(processes::described).collect()
    }

    /// Writes the state down, all of it or nothing.
    ///
    /// # Errors
    /// Those of writing.
    pub fn write(&self, state: &UnitState) -> io::Result<()> {
        let fresh = self.folder.join("state.new");
        fs::write(&fresh, serde_json::to_vec(state)?)?;
        fs::rename(fresh, self.folder.join("state"))
    }

    /// Forgets how the service ended.
    ///
    /// # Errors
    /// Those of unlink(2).
    pub fn forget(&self) -> io::Result<()> {
        match fs::remove_file(self.folder.join("state")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Where its keeper listens.
    pub(super) fn control(&self) -> PathBuf {
        self.folder.join("control")
    }

    /// Where it tells its keeper that it is ready.
    pub(super) fn notify(&self) -> PathBuf {
        self.folder.join("notify")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Appends to the log; of a long one the first half is forgotten.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn add_to_log(&self, bytes: &[u8]) -> io::Result<()> {
        let path = self.log_path();
        let mut file = File::options().create(true).append(true).read(true).open(&path)?;
        if file.metadata()?.len() + bytes.len() as u64 > LOG_LEN_MAX {
            let mut kept = Vec::new();
            file.seek(SeekFrom::End(-((LOG_LEN_MAX / 2).min(file.metadata()?.len()).cast_signed())))?;
            file.read_to_end(&mut kept)?;
            let line = kept.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            fs::write(&path, &kept[line..])?;
            file = File::options().append(true).open(&path)?;
        }
        file.write_all(&bytes[bytes.len().saturating_sub(LOG_LEN_MAX as usize / 2)..])
    }

    /// How long the log is, in bytes.
    #[must_use]
    pub fn log_len(&self) -> u64 {
        fs::metadata(self.log_path()).map_or(0, |file| file.len())
    }

    /// The whole lines that the service has printed after so many bytes, and where to go on. A log that has become shorter
    /// was cut in between, and is told from its beginning.
    #[must_use]
    pub fn log_from(&self, after: u64) -> (String, u64) {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        let after = usize::try_from(after).ok().filter(|after| *after <= bytes.len()).unwrap_or(0);
        let end = bytes[after..].iter().rposition(|byte| *byte == b'\n').map_or(after, |at| after + at + 1);
        (String::from_utf8_lossy(&bytes[after..end]).into_owned(), end as u64)
    }

    /// The last lines of what the service printed, after so many bytes.
    #[must_use]
    pub fn log(&self, lines: usize, after: u64) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        let after = usize::try_from(after).unwrap_or(0);
        // A log that has become shorter was cut in between.
        let text = String::from_utf8_lossy(bytes.get(after..).unwrap_or(&bytes));
        let all: Vec<&str> = text.lines().collect();
        let mut tail = all[all.len().saturating_sub(lines)..].join("\n");
        if !tail.is_empty() {
            tail.push('\n');
        }
        tail
    }
}

fn is_alive((pid, start_time): (u32, u64)) -> bool {
    pid != 0 && processes::start_time(pid) == Some(start_time)
}
