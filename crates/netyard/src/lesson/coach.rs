//! The coach: watches the sandbox from inside, and answers the words that are typed there.

mod words;

use super::coach_text::Writer;
pub use super::coach_text::{Screen, Tone};
use super::errand::{Errand, News, Pace, Start};
use super::eyes::Eyes;
use super::judge::Judge;
use super::proof;
use super::word::SOCKET;
use crate::error::{Error, Result};
use crate::wire::{self, Inbox};
use netyard_core::diagram::Picture;
use netyard_core::lesson::{Sight, Step, Wants, script};
use netyard_kernel::signal::{self, SIGHUP, SIGINT, SIGQUIT, SIGTTOU};
use netyard_kernel::traveller::Traveller;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use std::fmt::Write;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often what the kernel tells nobody about is looked at.
const GLANCE: Duration = Duration::from_millis(80);
/// How often connections are looked at: that takes longer.
const GLANCE_AT_FLOWS: Duration = Duration::from_millis(150);
/// How long a sandbox may take to end.
const ENDING: Duration = Duration::from_secs(5);
/// How often everything is looked at, events or not.
const ROUND: Duration = Duration::from_secs(1);
/// How often probes are made although nothing has changed.
const PROBING: Duration = Duration::from_secs(2);
/// After an event more may follow that has none of its own: the file of a namespace comes before its mount.
const AFTERMATH: Duration = Duration::from_millis(100);
/// The pause between two looks then.
const AFTERMATH_GLANCE: Duration = Duration::from_millis(10);

/// Does the errand that comes over standard input.
///
/// # Errors
/// That there is none, or what could not be watched.
pub fn run(screen: &(dyn Screen + Sync)) -> Result<()> {
    let failed = |e: &io::Error| Error::io("the coach cannot work", e);
    signal::ignore(&[SIGINT, SIGQUIT, SIGHUP, SIGTTOU], true);
    let caller = rustix::stdio::stdin().try_clone_to_owned().map_err(|e| failed(&e))?;
    let (start, fds) = wire::receive::<Start>(&caller, &mut Inbox::default()).map_err(|e| failed(&e))?;
    let others = fds.into_iter().take(1).map(|fd| ("internet".to_owned(), fd)).collect();
    Traveller::run(|traveller| {
        let eyes = Eyes::new(traveller, others)?;
        let news = match &start.errand {
            Errand::Coach { at, pace } => {
                return Coach::new(&start, *pace, screen, eyes, traveller, caller)?.serve(*at);
            }
            Errand::Prove => proof::prove(&start, eyes, traveller)?,
            Errand::Draw => proof::draw(&start, eyes, traveller)?,
            Errand::Grade { script } => proof::grade(&start, script, eyes, traveller)?,
        };
        wire::send(caller.as_fd(), &news, &[])
    })
    .and_then(|done| done)
    .map_err(|e| failed(&e))
}

struct Coach<'a> {
    start: &'a Start,
    pace: Pace,
    screen: &'a dyn Screen,
    eyes: Eyes,
    traveller: &'a mut Traveller,
    caller: OwnedFd,
    listener: UnixListener,
    files: OwnedFd,
    /// Position in the order of the steps.
    at: usize,
    wants: Wants,
    /// What was seen when the step began, and now.
    before: Sight,
    now: Sight,
    is_passed: bool,
    foretold: Option<usize>,
    /// What came of a prediction about the step's beginning.
    seen: Option<Option<usize>>,
    hints: usize,
    /// When a probe was made last.
    probed: Option<Instant>,
}

impl<'a> Coach<'a> {
    fn new(
        start: &'a Start,
        pace: Pace,
        screen: &'a dyn Screen,
        eyes: Eyes,
        traveller: &'a mut Traveller,
        caller: OwnedFd,
    ) -> io::Result<Self> {
        let files = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        Ok(Self {
            start,
            pace,
            screen,
            eyes,
            traveller,
            caller,
            listener: UnixListener::bind(SOCKET)?,
            files,
            at: 0,
            wants: Wants::default(),
            before: Sight::default(),
            now: Sight::default(),
            is_passed: false,
            foretold: None,
            seen: None,
            hints: 0,
            probed: None,
        })
    }

    fn step(&self) -> &'a Step {
        &self.start.lesson.steps[self.start.order[self.at]]
    }

    fn is_last(&self) -> bool {
        self.at + 1 >= self.start.order.len()
    }

    fn writer(&self, width: usize) -> Writer<'a> {
        Writer {
            lesson: &self.start.lesson,
            language: self.start.language,
            pace: self.pace,
            screen: self.screen,
            width,
        }
    }

    /// Makes the network in which that step begins, then watches until the sandbox ends.
    fn serve(mut self, at: usize) -> io::Result<()> {
        self.replay(at)?;
        let mut text = if at == 0 { self.writer(self.screen.width()).welcome() } else { String::new() };
        text.push_str(&self.begin(at, self.screen.width())?);
        self.screen.tell(&text);
        self.send(&News::Ready)?;
        let mut last_event = Instant::now();
        loop {
            self.watch_files();
            let is_near = last_event.elapsed() < AFTERMATH;
            let pause = match (is_near, self.is_passed, self.wants.is_silent()) {
                (true, ..) => AFTERMATH_GLANCE,
                (false, false, true) if self.wants.flows.is_empty() => GLANCE,
                (false, false, true) => GLANCE_AT_FLOWS,
                _ => ROUND,
            };
            let (is_event, is_word, is_over) = self.wait(pause)?;
            if is_over {
                return Ok(());
            }
            if is_event {
                last_event = Instant::now();
            }
            self.see()?;
            if is_word && let Ok((stream, _)) = self.listener.accept() {
                // One who asks and goes away is nobody's business.
                let _ = self.answer(&stream);
                last_event = Instant::now();
            }
            if !Path::new(SOCKET).exists()
                && let Ok(listener) = UnixListener::bind(SOCKET)
            {
                self.listener = listener;
            }
        }
    }

    fn send(&self, news: &News) -> io::Result<()> {
        wire::send(self.caller.as_fd(), news, &[])
    }

    /// All steps before that one, solved; of a shuffled lesson none.
    fn replay(&mut self, at: usize) -> io::Result<()> {
        let lesson = &self.start.lesson;
        let mut all = lesson.setup.clone();
        if !lesson.is_shuffled {
            for index in &self.start.order[..at] {
                let step = &lesson.steps[*index];
                let _ = write!(all, "\n{}\n{}", step.start, step.solve);
            }
        }
        proof::run_script(&self.eyes, self.traveller, &all)
    }

    /// Begins a step; returns what there is to say.
    fn begin(&mut self, at: usize, width: usize) -> io::Result<String> {
        self.at = at;
        let step = self.step();
        proof::run_script(&self.eyes, self.traveller, &step.start)?;
        self.wants = Wants::of_step(step);
        self.eyes.refresh(self.traveller);
        self.now = self.eyes.look(self.traveller, &self.wants);
        self.before = self.now.clone();
        (self.is_passed, self.foretold, self.seen, self.hints, self.probed) = (false, None, None, 0, None);
        Ok(self.task(width))
    }

    fn task(&self, width: usize) -> String {
        let step = self.step();
        let is_drawn = step.has_picture || self.pace == Pace::Talk;
        let picture = is_drawn.then(|| self.screen.picture(&Picture::of_sight(&self.now, None), width));
        self.writer(width).step(self.at + 1, self.start.order.len(), step, picture.as_deref())
    }

    /// Watches for namespaces that come and go. The folders may be made and removed at any time.
    fn watch_files(&self) {
        let flags = inotify::WatchFlags::CREATE | inotify::WatchFlags::DELETE | inotify::WatchFlags::ATTRIB;
        for folder in ["/run", "/run/netns"] {
            // The same watch again is no other one.
            let _ = inotify::add_watch(&self.files, folder, flags);
        }
    }

    /// Waits for an event, a word, or the end: which of them there was.
    fn wait(&mut self, pause: Duration) -> io::Result<(bool, bool, bool)> {
        let fixed: [BorrowedFd<'_>; 3] = [self.caller.as_fd(), self.listener.as_fd(), self.files.as_fd()];
        let mut fds: Vec<PollFd<'_>> = fixed
            .into_iter()
            .chain(self.eyes.events())
            .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
            .collect();
        let pause = Timespec { tv_sec: pause.as_secs().cast_signed(), tv_nsec: pause.subsec_nanos().into() };
        match poll(&mut fds, Some(&pause)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let heard: Vec<usize> =
            ready.iter().enumerate().skip(3).filter(|(_, is)| **is).map(|(at, _)| at - 3).collect();
        for position in &heard {
            self.eyes.hear(*position);
        }
        if ready[2] {
            let mut room = [std::mem::MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(&self.files, &mut room);
            while reader.next().is_ok() {}
        }
        Ok((ready[2] || !heard.is_empty(), ready[1], ready[0]))
    }

    /// Looks, and says so when the step is done.
    fn see(&mut self) -> io::Result<()> {
        self.eyes.refresh(self.traveller);
        let now = self.eyes.look(self.traveller, &self.wants);
        let has_changed = now.settled() != self.now.settled();
        self.now = now;
        if has_changed && self.pace == Pace::Exam {
            self.send(&News::Seen(script(&self.now)))?;
        }
        let step = self.step();
        if self.is_passed || step.checks.is_empty() {
            return Ok(());
        }
        let has_probe = step.checks.iter().any(|check| check.probe().is_some());
        // What a probe would find changes with the state only; but not all of the state is seen.
        let is_stale = self.probed.is_none_or(|at| at.elapsed() >= PROBING);
        if has_probe && !has_changed && !is_stale {
            return Ok(());
        }
        if has_probe {
            self.probed = Some(Instant::now());
        }
        if !self.judge().hold(&step.checks) {
            return Ok(());
        }
        if has_probe {
            // Probes take their time, in which the learner goes on: what is told and kept is what is there now.
            self.eyes.refresh(self.traveller);
            self.now = self.eyes.look(self.traveller, &self.wants);
            let still = step.checks.iter().all(|check| check.holds(&self.now, &self.before) != Some(false));
            if !still {
                return Ok(());
            }
        }
        self.pass(true)?;
        Ok(())
    }

    fn judge(&self) -> Judge<'_> {
        Judge { eyes: &self.eyes, now: &self.now, start: &self.before }
    }

    /// The step is done: says so at once, then what came of the prediction, and why.
    fn pass(&mut self, is_told: bool) -> io::Result<()> {
        self.is_passed = true;
        let step = self.step();
        let width = self.screen.width();
        let writer = self.writer(width);
        if is_told {
            self.screen.tell(&writer.done(step));
        }
        let mut text = String::new();
        let mut was_right = None;
        if let (Some(predict), Pace::Learn) = (&step.predict, self.pace) {
            let seen = match self.seen {
                Some(seen) => seen,
                None if predict.is_about_start => None,
                None => {
                    let seen = self.judge().observe(predict).0;
                    text.push_str(&writer.verdict(predict, self.foretold, seen));
                    seen
                }
            };
            was_right = self.foretold.map(|foretold| seen == Some(foretold));
        }
        let has_news = self.now != self.before && self.pace == Pace::Learn && !step.solve.is_empty();
        let picture =
            has_news.then(|| self.screen.picture(&Picture::of_sight(&self.now, Some(&self.before)), width));
        let flows: Vec<String> = step.checks.iter().flat_map(|check| check.flows(&self.now)).collect();
        text.push_str(&writer.flows(&flows));
        text.push_str(&writer.reveal(step, picture.as_deref(), self.is_last()));
        self.send(&News::Passed { step: step.id.clone(), was_right, script: script(&self.now) })?;
        if self.pace == Pace::Talk && !self.is_last() {
            text.push_str(&self.begin(self.at + 1, width)?);
        }
        self.screen.tell(&text);
        Ok(())
    }
}
