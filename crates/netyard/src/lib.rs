//! The engine.

pub mod dns;
pub mod probe;
