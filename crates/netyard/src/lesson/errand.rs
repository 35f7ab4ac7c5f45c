//! What the process outside tells the coach inside, and what the coach tells it.

use netyard_core::lesson::{Language, Lesson};
use serde::{Deserialize, Serialize};

/// The first and only message to a coach. The namespace of the internet travels with it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// The lesson.
    pub lesson: Lesson,
    /// The order in which its steps are taken.
    pub order: Vec<usize>,
    /// The language.
    pub language: Language,
    /// What is to be done.
    pub errand: Errand,
}

/// What a coach is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Errand {
    /// Coach a learner from this step on, by position in the order.
    Coach {
        /// Position in the order.
        at: usize,
        /// How.
        pace: Pace,
    },
    /// Prove the lesson.
    Prove,
    /// Solve the lesson and draw the network after each step.
    Draw,
    /// Run these commands and say which checks of the last step hold.
    Grade {
        /// Shell commands.
        script: String,
    },
}

/// How a lesson is gone through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// By a learner, who is asked and goes on with `next`.
    #[default]
    Learn,
    /// By a speaker on a stage: nothing is asked, and a step that is done is followed by the next.
    Talk,
    /// By a student in an exam: nobody helps, and what is there is kept at every change.
    Exam,
}

/// What a coach tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// The learner may begin.
    Ready,
    /// A step is done.
    Passed {
        /// Its id.
        step: String,
        /// Whether the prediction was right; none where there was none.
        was_right: Option<bool>,
        /// Commands that make what is there now.
        script: String,
    },
    /// Commands that make what is there now, in an exam.
    Seen(String),
    /// The learner wants to be at this position, in a fresh sandbox.
    Goto(usize),
    /// The lesson is proved, or not.
    Proved(Vec<super::proof::Finding>),
    /// The network after each step.
    Drawn(Vec<String>),
    /// Which checks of the last step hold.
    Graded(Vec<bool>),
}
