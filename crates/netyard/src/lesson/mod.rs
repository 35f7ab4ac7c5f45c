//! Lessons in a sandbox: what is there is watched, judged and told.
//!
//! Two processes work together. The one that the learner started makes the sandbox, keeps progress, and gives the
//! terminal to a shell ([`room`]). The **coach** runs inside of the sandbox, on the machine `vm`, with the rights that
//! the learner has there: it goes into every namespace that is made, reads it and listens to it ([`eyes`]), and speaks
//! with the words that are typed in the shell ([`word`]). Nothing of what is typed reaches it.

pub mod coach;
mod coach_text;
mod errand;
pub mod eyes;
mod judge;
pub mod progress;
pub mod proof;
mod raw;
pub mod room;
mod shipped;
pub mod word;

pub use errand::{Errand, News, Pace, Start};
pub use shipped::{load, shipped, shipped_names};
