//! A lesson in the terminal: a sandbox with a coach in it, and a shell for the learner.

use super::super::exec;
use super::{load, say};
use crate::args::{Learn, PaceChoice};
use crate::output;
use netyard::lesson::progress::Progress;
use netyard::lesson::room::Coached;
use netyard::lesson::word::VARIABLE;
use netyard::lesson::{Errand, News, Pace, Start};
use netyard::sandbox::{self, Joined, MACHINE, WORDS};
use netyard::store::Store;
use netyard::{Error, Result, RunningLab};
use netyard_core::lesson::{Language, Lesson};
use netyard_core::name::LabName;
use netyard_kernel::process;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::thread;

/// The sandbox's name where none is given.
const NAME: &str = "learn";

/// What the coach tells, for whoever keeps it.
pub type OnNews<'a> = &'a mut (dyn FnMut(News) + Send);

/// A lesson on its way.
pub struct Session<'a> {
    pub lesson: &'a Lesson,
    pub order: Vec<usize>,
    pub language: Language,
    pub pace: Pace,
    pub name: LabName,
}

pub fn run(word: &str, args: &Learn, language: Language, lab: Option<&str>) -> Result<ExitCode> {
    let lesson = load(word)?;
    let mut progress = Progress::load();
    let order = order(&lesson, args.seed);
    let at = match &args.at {
        Some(word) => position(&lesson, &order, word)?,
        None => resumed(&lesson, &order, &progress, language),
    };
    let pace = match args.pace {
        PaceChoice::Learn => Pace::Learn,
        PaceChoice::Talk => Pace::Talk,
    };
    let session = Session { lesson: &lesson, order, language, pace, name: name(lab)? };
    session.run(at, &mut |news| {
        if let News::Passed { step, was_right, .. } = news {
            progress.passed(&lesson.name, &step, was_right);
            // A lesson goes on where progress cannot be kept.
            let _ = progress.save();
        }
    })
}

/// The name of the sandbox.
pub fn name(lab: Option<&str>) -> Result<LabName> {
    let text = lab.unwrap_or(NAME);
    LabName::new(text)
        .map_err(|error| Error::input("N001", format!("`{text}` is not the name of a lab: {error}")))
}

/// The order of the steps: as written, or shuffled.
fn order(lesson: &Lesson, seed: Option<u64>) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lesson.steps.len()).collect();
    if lesson.is_shuffled {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let mut seed = seed.unwrap_or_else(|| now.map_or(1, |now| u64::from(now.subsec_nanos())));
        // Fisher and Yates, with the numbers of splitmix64.
        for last in (1..order.len()).rev() {
            seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = (seed ^ seed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            let other = usize::try_from((mixed ^ mixed >> 31) % (last as u64 + 1)).unwrap_or(0);
            order.swap(last, other);
        }
    }
    order
}

fn position(lesson: &Lesson, order: &[usize], word: &str) -> Result<usize> {
    let by_number = word.parse::<usize>().ok().filter(|n| (1..=order.len()).contains(n)).map(|n| n - 1);
    let by_id = || lesson.find(word).and_then(|index| order.iter().position(|at| *at == index));
    by_number.or_else(by_id).ok_or_else(|| {
        Error::input("U021", format!("lesson `{}` has no step `{word}`", lesson.name))
            .help(format!("it has {}, by number or id", output::count(lesson.steps.len(), "step")))
    })
}

/// Where the learner left off.
fn resumed(lesson: &Lesson, order: &[usize], progress: &Progress, language: Language) -> usize {
    let last = progress.at.get(&lesson.name).filter(|_| !lesson.is_shuffled);
    let after = last.and_then(|id| lesson.find(id)).map_or(0, |at| at + 1);
    if after == 0 || after >= order.len() {
        return 0;
    }
    output::say(&format!(
        "{} {} ({})",
        say(language, "going on with step", "つづきから始めます: ステップ"),
        after + 1,
        say(language, "`goto 1` begins anew", "`goto 1` で最初から")
    ));
    after
}

impl Session<'_> {
    /// Lets the learner work from this step on, in one sandbox after the other.
    pub fn run(&self, mut at: usize, on_news: OnNews<'_>) -> Result<ExitCode> {
        let store = Store::of_user();
        loop {
            let Joined { lab, is_new } = sandbox::join(&self.name, false, &store, &mut |_, _| {})?;
            if !is_new {
                let title = format!("a sandbox `{}` is up", self.name);
                return Err(
                    Error::input("U002", title).help("`netyard learn LESSON --lab NAME` takes another one")
                );
            }
            let done = self.in_sandbox(&lab, at, on_news);
            netyard::up::down(&self.name, &store, false)?;
            drop(lab);
            match done? {
                Outcome::Ended(code) => return Ok(code),
                Outcome::Goto(wanted) => at = wanted,
            }
        }
    }

    fn in_sandbox(&self, lab: &RunningLab, at: usize, on_news: OnNews<'_>) -> Result<Outcome> {
        let start = Start {
            lesson: self.lesson.clone(),
            order: self.order.clone(),
            language: self.language,
            errand: Errand::Coach { at, pace: self.pace },
        };
        let mut coached = Coached::begin(lab, &start)?;
        let holder =
            lab.pidfd().try_clone_to_owned().map_err(|e| Error::io("cannot copy a descriptor", &e))?;
        loop {
            match coached.told() {
                Some(News::Ready) => break,
                Some(_) => {}
                None => return Err(Error::kernel("K010", "the coach of the lesson has ended")),
            }
        }
        thread::scope(|scope| {
            let told = scope.spawn(|| listen(coached, &holder, on_news));
            let node = lab.node(MACHINE)?;
            let shell = exec::shell_of_user();
            let mut command = node.command(&shell).first_in_path(WORDS).env(VARIABLE, "1");
            if exec::takes_prompt_from_environment(&shell) {
                command = command.env("PS1", format!("root@{MACHINE}:$PWD# "));
            }
            let code = exec::in_foreground(command);
            // The coach ends with its sandbox; then nobody tells anything any more.
            let _ = process::kill(holder.as_fd());
            let wanted = told.join().unwrap_or(None);
            wanted.map_or_else(|| code.map(Outcome::Ended), |at| Ok(Outcome::Goto(at)))
        })
    }
}

/// How the learner's shell came to its end.
enum Outcome {
    Ended(ExitCode),
    /// Another step is wanted, in a fresh sandbox.
    Goto(usize),
}

/// Takes in what the coach tells until it ends; where another step is wanted, the sandbox ends.
fn listen(mut coached: Coached, holder: &OwnedFd, on_news: OnNews<'_>) -> Option<usize> {
    let mut wanted = None;
    while let Some(news) = coached.told() {
        match news {
            News::Goto(at) => {
                wanted = Some(at);
                let _ = process::kill(holder.as_fd());
            }
            news => on_news(news),
        }
    }
    let _ = coached.end();
    wanted
}
