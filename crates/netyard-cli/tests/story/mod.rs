//! A running lab of a test's own: its files, its folder of sockets, its name; gone with the value.

// Not every test program uses all of it, and a test may panic.
#![allow(dead_code, clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Story {
    pub folder: PathBuf,
    pub lab: String,
}

impl Story {
    /// A lab file whose text follows the line with its name.
    pub fn new(text: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let lab = format!("story-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = std::env::temp_dir().join(&lab);
        for below in ["lab", "home", "run"] {
            std::fs::create_dir_all(folder.join(below)).unwrap();
        }
        let story = Self { folder, lab };
        std::fs::write(story.file(), format!("lab: {}\n{text}", story.lab)).unwrap();
        story
    }

    pub fn file(&self) -> PathBuf {
        self.folder.join("lab/lab.yaml")
    }

    /// `netyard` with these words, in an environment of this story's own.
    pub fn netyard(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netyard"));
        command.args(words).env("NETYARD_LAB", &self.lab);
        command.env("XDG_RUNTIME_DIR", self.folder.join("run")).env("HOME", self.folder.join("home"));
        command.current_dir(self.folder.join("lab")).stdin(Stdio::null());
        command
    }

    /// What the command printed; it must end with code 0.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> String {
        let output = self.netyard(words).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{words:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    /// Brings the lab up; the process id of its holder.
    #[track_caller]
    pub fn up(&self) -> u32 {
        let said = self.says(&["up", "--json", "lab.yaml"]);
        let (_, pid) = said.split_once("\"pid\":").unwrap_or_else(|| panic!("no pid in {said}"));
        let digits: String = pid.trim_start().chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap()
    }

    pub fn start(&self, words: &[&str]) -> Child {
        let mut command = self.netyard(words);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let _ = self.netyard(&["down", &self.lab]).output();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until it is true.
#[track_caller]
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < PATIENCE, "in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What became of a child; it must end.
#[track_caller]
pub fn end_of(mut child: Child) -> Output {
    until("the command has ended", || child.try_wait().unwrap().is_some());
    child.wait_with_output().unwrap()
}

/// Whether a program with this word among its own is alive.
pub fn lives(word: &str) -> bool {
    !pids_of(word).is_empty()
}

/// The programs with this word among their own. The netyard that starts one has the same word, and so has its child
/// until that has become the program; neither is told.
pub fn pids_of(word: &str) -> Vec<u32> {
    let has_word = |pid: &u32| {
        // A zombie has no words.
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0);
        let is_netyard = words.next().is_some_and(|program| program.ends_with(b"netyard"));
        !is_netyard && words.any(|own| own == word.as_bytes())
    };
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(has_word).collect()
}

/// Same as `kill -SIGNAL PID`; with STOP it has stopped when this returns.
pub fn signal(name: &str, pid: u32) {
    let status = Command::new("sh").args(["-c", &format!("kill -{name} {pid}")]).status().unwrap();
    assert!(status.success(), "kill -{name} {pid}");
    if name == "STOP" {
        // proc_pid_stat(5): PID (NAME) STATE
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        until("the process has stopped", || {
            stat().rsplit(')').next().is_some_and(|rest| rest.starts_with(" T"))
        });
    }
}
