//! A terminal in which a shell of `netyard play` is typed into.

use super::{PROGRAM, Yard};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The longest that a command may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// The end of the prompt of `/bin/sh`.
const PROMPT: &str = "# ";

pub struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Mutex<String>>,
    /// Reads the screen until the last program that had the terminal has ended.
    reader: JoinHandle<()>,
}

impl Terminal {
    /// A terminal with `netyard play WORDS` in it, at its first prompt.
    pub fn new(yard: &Yard, words: &[&str], stand_ins: &str) -> Self {
        Self::of(yard, "play", words, stand_ins)
    }

    /// A terminal with another verb of netyard in it, in a sandbox of the yard, at its first prompt.
    pub fn of(yard: &Yard, verb: &str, words: &[&str], stand_ins: &str) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let path = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = || -> OwnedFd { File::options().read(true).write(true).open(&path).unwrap().into() };
        let mut command = yard.command("setsid");
        command.args(["--ctty", "--wait", PROGRAM, "--lab", &yard.lab, verb]).args(words);
        command.env("SHELL", "/bin/sh").env("NETYARD_STAND_INS", stand_ins).env("TERM", "dumb");
        command.current_dir(&yard.folder);
        command.stdin(theirs()).stdout(theirs()).stderr(Stdio::from(theirs()));
        let child = command.spawn().unwrap();
        drop(command);
        let keyboard = File::from(ours);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut reader, shared) = (keyboard.try_clone().unwrap(), Arc::clone(&screen));
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails (EIO) when the last program that had the terminal has ended.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).replace('\r', "");
                shared.lock().unwrap().push_str(&text);
            }
        });
        let terminal = Self { child, keyboard, screen, reader };
        terminal.wait_until("the first prompt", |screen| screen.ends_with(PROMPT));
        terminal
    }

    /// Types a line and gives what is shown until the next prompt, without the line itself.
    #[track_caller]
    pub fn says(&mut self, line: &str) -> String {
        self.begins(line);
        self.ends()
    }

    /// Types a line, and does not wait for its end.
    pub fn begins(&mut self, line: &str) {
        self.screen.lock().unwrap().clear();
        self.keyboard.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// Waits until the text is shown.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        self.wait_until(text, |screen| screen.contains(text));
    }

    /// Waits until what is shown is as it should be.
    #[track_caller]
    pub fn shows_as(&self, what: &str, is_true: impl Fn(&str) -> bool) {
        self.wait_until(what, is_true);
    }

    /// Types Ctrl-C.
    pub fn interrupt(&mut self) {
        self.keyboard.write_all(b"\x03").unwrap();
    }

    /// What is shown until the next prompt.
    #[track_caller]
    pub fn ends(&self) -> String {
        self.wait_until("the next prompt", |screen| screen.ends_with(PROMPT));
        let screen = self.screen.lock().unwrap();
        let (_, shown) = screen.split_once('\n').unwrap_or_default();
        shown.rsplit_once('\n').map_or_else(String::new, |(shown, _)| format!("{shown}\n"))
    }

    /// Ends the shell, and gives what is shown last.
    pub fn leave(mut self) -> String {
        self.begins("exit");
        self.gone()
    }

    /// Waits for the end of netyard, and gives what is shown last.
    pub fn gone(mut self) -> String {
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() || !self.reader.is_finished() {
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.screen.lock().unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
        self.screen.lock().unwrap().clone()
    }

    #[track_caller]
    fn wait_until(&self, what: &str, is_true: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !is_true(&self.screen.lock().unwrap()) {
            assert!(begun.elapsed() < PATIENCE, "in vain for {what}: {}", self.screen.lock().unwrap());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
