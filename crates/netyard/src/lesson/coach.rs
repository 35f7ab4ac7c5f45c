//! The coach: watches the sandbox from inside, and answers the words that are typed there.

use super::coach_text::Writer;
pub use super::coach_text::{Screen, Tone};
use super::errand::{Errand, News, Pace, Start};
use super::eyes::Eyes;
use super::judge::Judge;
use super::proof;
use super::word::{Answer, SOCKET, Typed};
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
use std::os::unix::net::{UnixListener, UnixStream};
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
        text.push_str(&writer.reveal(step, picture.as_deref(), self.is_last()));
        self.send(&News::Passed { step: step.id.clone(), was_right, script: script(&self.now) })?;
        if self.pace == Pace::Talk && !self.is_last() {
            text.push_str(&self.begin(self.at + 1, width)?);
        }
        self.screen.tell(&text);
        Ok(())
    }

    fn answer(&mut self, stream: &UnixStream) -> io::Result<()> {
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        let (typed, _) = wire::receive::<Typed>(stream, &mut Inbox::default())?;
        let width = typed.width.max(20);
        let is_help = matches!(typed.word.as_str(), "hint" | "solve" | "back" | "goto" | "reset");
        let answer = match typed.word.as_str() {
            _ if is_help && self.pace == Pace::Exam => {
                let writer = self.writer(width);
                let words = writer.say("not in an exam", "試験中は使えません");
                Answer { text: writer.paragraph(words), code: 1 }
            }
            "task" => text(self.task(width)),
            "hint" => text(self.hint(width)),
            "check" => self.check(width),
            "picture" => text(self.screen.picture(&Picture::of_sight(&self.now, Some(&self.before)), width)),
            "steps" => text(self.steps()),
            "quiz" => self.quiz(&typed.rest, width)?,
            "solve" => self.solve(width)?,
            "next" => self.next(width)?,
            "back" => self.go(self.at.checked_sub(1), width)?,
            "reset" => self.go(Some(self.at), width)?,
            "goto" => {
                let wanted = typed.rest.first().and_then(|word| self.position(word));
                self.go(wanted, width)?
            }
            _ => Answer { text: String::new(), code: 2 },
        };
        wire::send(stream.as_fd(), &answer, &[])
    }

    /// The position in the order of a number or an id.
    fn position(&self, word: &str) -> Option<usize> {
        let number = word.parse::<usize>().ok().filter(|n| (1..=self.start.order.len()).contains(n));
        let by_id = || {
            let index = self.start.lesson.steps.iter().position(|step| step.id == word)?;
            self.start.order.iter().position(|at| *at == index)
        };
        number.map(|n| n - 1).or_else(by_id)
    }

    fn hint(&mut self, width: usize) -> String {
        let (step, writer) = (self.step(), self.writer(width));
        let Some(hint) = step.hints.get(self.hints.min(step.hints.len().saturating_sub(1))) else {
            return writer
                .paragraph(writer.say("there is nothing to do here but to look", "ここでは見るだけです"));
        };
        let number = (self.hints + 1).min(step.hints.len());
        self.hints += 1;
        let all = step.hints.len();
        let mut out = writer.paragraph(&format!("{number}/{all}  {}", hint.of(self.start.language)));
        if self.hints >= all {
            out.push_str(&writer.paragraph(writer.say(
                "that was the last one; `solve` does it for you",
                "ヒントはこれで最後です。`solve` と打てば代わりに実行します",
            )));
        }
        out
    }

    fn check(&mut self, width: usize) -> Answer {
        let (step, writer) = (self.step(), self.writer(width));
        if self.is_passed {
            return text(writer.done(step));
        }
        let judge = self.judge();
        let mut out = String::new();
        for check in &step.checks {
            if judge.holds(check) {
                continue;
            }
            let missing = check.missing(&self.now, self.start.language);
            let _ = writeln!(out, "{} {missing}", self.screen.paint(Tone::Bad, "✗"));
        }
        if step.checks.is_empty() {
            out = writer.paragraph(writer.say(
                "answer with `quiz`, or go on with `next`",
                "`quiz` で答えるか、`next` で進んでください",
            ));
        }
        Answer { text: out, code: 1 }
    }

    fn quiz(&mut self, rest: &[String], width: usize) -> io::Result<Answer> {
        let (step, writer) = (self.step(), self.writer(width));
        let Some(predict) = &step.predict else {
            let words =
                writer.say("there is nothing to foretell here", "このステップには予想問題がありません");
            return Ok(Answer { text: writer.paragraph(words), code: 1 });
        };
        let chosen = rest.first().and_then(|word| word.parse::<usize>().ok());
        let Some(chosen) = chosen.filter(|n| (1..=predict.choices.len()).contains(n)) else {
            return Ok(Answer { text: writer.question(predict), code: u8::from(!rest.is_empty()) });
        };
        self.foretold = Some(chosen - 1);
        if predict.is_about_start || step.checks.is_empty() {
            let seen = self.judge().observe(predict).0;
            self.seen = Some(seen);
            let mut out = writer.verdict(predict, self.foretold, seen);
            if step.checks.is_empty() && !self.is_passed {
                self.is_passed = true;
                let was_right = Some(seen == self.foretold);
                self.send(&News::Passed { step: step.id.clone(), was_right, script: script(&self.now) })?;
                out.push_str(&writer.reveal(step, None, self.is_last()));
            }
            return Ok(text(out));
        }
        let words = writer.say("noted; now do it, and see", "予想を受け付けました。では、やってみましょう");
        Ok(text(writer.paragraph(words)))
    }

    fn solve(&mut self, width: usize) -> io::Result<Answer> {
        let (step, writer) = (self.step(), self.writer(width));
        let shown: Vec<&str> = [step.solve.as_str(), step.attempt.as_str()]
            .into_iter()
            .flat_map(str::lines)
            .filter(|line| !line.trim().is_empty())
            .collect();
        proof::run_script(&self.eyes, self.traveller, &step.solve)?;
        proof::run_script(&self.eyes, self.traveller, &step.attempt)?;
        Ok(text(writer.commands(&shown.join("\n")) + "\n"))
    }

    fn next(&mut self, width: usize) -> io::Result<Answer> {
        let writer = self.writer(width);
        let must_do = !self.step().checks.is_empty() && self.pace != Pace::Talk;
        if must_do && !self.is_passed {
            let mut answer = self.check(width);
            let words = writer.say(
                "not yet; `hint` helps, `solve` does it for you, `goto N` leaves it out",
                "まだ完了していません。`hint` でヒント、`solve` で代わりに実行、`goto N` で飛ばせます",
            );
            answer.text.push_str(&self.screen.paint(Tone::Quiet, &writer.paragraph(words)));
            return Ok(answer);
        }
        if self.is_last() {
            let words = writer.say(
                "there is no other step; `exit` ends the lesson",
                "次のステップはありません。`exit` で終了します",
            );
            return Ok(text(writer.paragraph(words)));
        }
        if !self.is_passed && !self.step().checks.is_empty() {
            // A speaker goes on: what comes next needs what was left out.
            proof::run_script(&self.eyes, self.traveller, &self.step().solve)?;
        } else if !self.is_passed {
            let step = self.step().id.clone();
            self.send(&News::Passed { step, was_right: None, script: String::new() })?;
        }
        Ok(text(self.begin(self.at + 1, width)?))
    }

    /// Another step is begun in a fresh sandbox, which takes this one's place.
    fn go(&mut self, wanted: Option<usize>, width: usize) -> io::Result<Answer> {
        let writer = self.writer(width);
        let Some(wanted) = wanted else {
            let words = writer.say(
                "there is no such step; `steps` lists them",
                "そのステップはありません。`steps` で一覧を表示します",
            );
            return Ok(Answer { text: writer.paragraph(words), code: 1 });
        };
        self.send(&News::Goto(wanted))?;
        // The sandbox ends, and with it the one who waits for this answer: no prompt is to come in between.
        std::thread::sleep(ENDING);
        Ok(Answer::default())
    }

    fn steps(&self) -> String {
        let mut out = String::new();
        for (position, index) in self.start.order.iter().enumerate() {
            let step = &self.start.lesson.steps[*index];
            let mark = if position == self.at { "→" } else { " " };
            let title = if self.start.lesson.is_shuffled && position > self.at {
                "…"
            } else {
                step.title.of(self.start.language)
            };
            let _ = writeln!(out, "{mark} {:>2}  {title}", position + 1);
        }
        out
    }
}

fn text(text: String) -> Answer {
    Answer { text, code: 0 }
}
