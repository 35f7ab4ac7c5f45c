//! What the coach says, in both languages.

use super::errand::Pace;
use netyard_core::diagram::Picture;
use netyard_core::lesson::{Language, Lesson, Predict, Step, wrap};
use std::fmt::Write;

/// What a piece of the coach's text is, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// The title of a step.
    Title,
    /// Something is done, or right.
    Good,
    /// Something is missing, or wrong.
    Bad,
    /// A command.
    Command,
    /// A word in passing.
    Quiet,
}

/// The terminal, as the coach uses it.
pub trait Screen {
    /// The text in the colour of its tone.
    fn paint(&self, tone: Tone, text: &str) -> String;
    /// The picture, no wider than that.
    fn picture(&self, picture: &Picture, width: usize) -> String;
    /// Columns.
    fn width(&self) -> usize;
    /// Prints while somebody else has the terminal: below what is there, and what is being typed is shown again.
    fn tell(&self, text: &str);
}

/// The widest lines of text: longer ones are hard to read.
const WIDTH_MAX: usize = 92;

/// Writes texts of one lesson.
pub(super) struct Writer<'a> {
    pub(super) lesson: &'a Lesson,
    pub(super) language: Language,
    pub(super) pace: Pace,
    pub(super) screen: &'a dyn Screen,
    pub(super) width: usize,
}

impl Writer<'_> {
    /// One of two wordings.
    pub(super) fn say<'t>(&self, en: &'t str, ja: &'t str) -> &'t str {
        if self.language == Language::Ja { ja } else { en }
    }

    pub(super) fn paragraph(&self, text: &str) -> String {
        wrap(text, self.width.min(WIDTH_MAX)).into_iter().map(|line| line + "\n").collect()
    }

    /// The beginning of a lesson.
    pub(super) fn welcome(&self) -> String {
        let words = match self.pace {
            Pace::Exam => self.say(
                "words here: task, check, picture, next; `exit` hands in",
                "使える言葉: task, check, picture, next（提出するときは exit）",
            ),
            _ => self.say(
            "words here: task, hint, check, picture, quiz, next, back, goto N, reset, solve, steps; `exit` ends",
            "使える言葉: task, hint, check, picture, quiz, next, back, goto N, reset, solve, steps（終わるときは exit）",
            ),
        };
        let title = self.screen.paint(Tone::Title, self.lesson.title.of(self.language));
        let about = self.paragraph(self.lesson.about.of(self.language));
        format!("\n{title}\n{about}{}", self.screen.paint(Tone::Quiet, &self.paragraph(words)))
    }

    /// What a step is about and what is to do.
    pub(super) fn step(&self, number: usize, all: usize, step: &Step, picture: Option<&str>) -> String {
        let slides =
            step.slides.as_ref().map(|slides| format!("  [{} {slides}]", self.say("slides", "スライド")));
        let title = format!("{number}/{all}  {}{}", step.title.of(self.language), slides.unwrap_or_default());
        let mut out = format!("\n{}\n", self.screen.paint(Tone::Title, &title));
        out.push_str(&self.paragraph(step.text.of(self.language)));
        if let Some(picture) = picture {
            let _ = write!(out, "\n{picture}");
        }
        if let (Some(predict), Pace::Learn) = (&step.predict, self.pace) {
            out.push('\n');
            out.push_str(&self.question(predict));
        }
        // A fault is to be found: its remedy is not shown.
        let is_open = step.start.is_empty() || !step.commands.is_empty();
        if is_open && !step.shown_commands().is_empty() {
            let _ = writeln!(out, "\n{}", self.commands(&step.shown_commands()));
        }
        out
    }

    pub(super) fn commands(&self, text: &str) -> String {
        let lines =
            text.lines().map(|line| format!("  {}", self.screen.paint(Tone::Command, &format!("# {line}"))));
        lines.collect::<Vec<_>>().join("\n")
    }

    pub(super) fn question(&self, predict: &Predict) -> String {
        let mut out = self.paragraph(&format!("? {}", predict.question.of(self.language)));
        for (index, choice) in predict.choices.iter().enumerate() {
            let _ = writeln!(out, "  {}) {}", index + 1, choice.text.of(self.language));
        }
        let how = self.say("answer with `quiz NUMBER`", "`quiz 番号` で答えてください");
        let _ = writeln!(out, "  {}", self.screen.paint(Tone::Quiet, how));
        out
    }

    /// How a prediction came out.
    pub(super) fn verdict(&self, predict: &Predict, foretold: Option<usize>, seen: Option<usize>) -> String {
        let text = |at: usize| predict.choices[at].text.of(self.language);
        let Some(seen) = seen else {
            let words = self.say(
                "the kernel did something that no answer stands for",
                "カーネルの動きは、どの選択肢とも違いました",
            );
            return self.paragraph(words);
        };
        match foretold {
            Some(foretold) if foretold == seen => {
                let words = format!("{} {}", self.say("you foresaw it:", "予想どおりです:"), text(seen));
                self.screen.paint(Tone::Good, &self.paragraph(&words))
            }
            Some(foretold) => {
                let expected = format!("{} {}", self.say("you expected:", "予想:"), text(foretold));
                let came = format!("{} {}", self.say("the kernel did:", "実際の動き:"), text(seen));
                self.screen.paint(Tone::Bad, &(self.paragraph(&expected) + &self.paragraph(&came)))
            }
            None => {
                let words = format!("{} {}", self.say("the kernel did:", "カーネルの動き:"), text(seen));
                self.paragraph(&words)
            }
        }
    }

    /// What has happened, and what comes next.
    pub(super) fn reveal(&self, step: &Step, picture: Option<&str>, is_last: bool) -> String {
        let mut out = String::new();
        if let Some(picture) = picture {
            let _ = write!(out, "\n{picture}");
        }
        out.push_str(&self.paragraph(step.reveal.of(self.language)));
        if !step.modern.is_empty() && step.modern.trim() != step.shown_commands().trim() {
            let title = self.say("the same with today's commands:", "いまのコマンドで書くと:");
            let _ =
                write!(out, "{}\n{}\n", self.screen.paint(Tone::Quiet, title), self.commands(&step.modern));
        }
        if let Some(differs) = &step.differs {
            out.push_str(&self.screen.paint(Tone::Quiet, &self.paragraph(differs.of(self.language))));
        }
        let next = match (is_last, self.pace) {
            (true, _) => {
                self.say("that was the last step: well done!", "これが最後のステップです。お疲れさまでした！")
            }
            (false, Pace::Learn | Pace::Exam) => self.say("→ `next` goes on", "→ `next` で次へ進みます"),
            (false, Pace::Talk) => "",
        };
        if !next.is_empty() {
            let _ = writeln!(out, "{}", self.screen.paint(Tone::Good, next));
        }
        out
    }

    /// The connections that a step is about, as the kernel tracks them.
    pub(super) fn flows(&self, flows: &[String]) -> String {
        if flows.is_empty() {
            return String::new();
        }
        let title = self.say(
            "vm tracks (first how it came in, then how the answer must look):",
            "vm の接続追跡表（前半が行き、後半が帰り）:",
        );
        let lines: String = flows.iter().map(|line| format!("  {line}\n")).collect();
        format!("{}\n{lines}", self.screen.paint(Tone::Quiet, title))
    }

    pub(super) fn done(&self, step: &Step) -> String {
        self.screen.paint(Tone::Good, &format!("✓ {}", step.title.of(self.language))) + "\n"
    }
}
