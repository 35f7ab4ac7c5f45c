//! The engine.

pub mod dns;
pub mod expect;
pub mod probe;
