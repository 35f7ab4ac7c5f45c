//! What the coach answers to each word.

use super::super::errand::{News, Pace};
use super::super::proof;
use super::super::word::{Answer, Typed};
use super::{Coach, ENDING, Tone};
use crate::wire::{self, Inbox};
use netyard_core::diagram::Picture;
use netyard_core::lesson::script;
use std::fmt::Write;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

impl Coach<'_> {
    pub(super) fn answer(&mut self, stream: &UnixStream) -> io::Result<()> {
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
