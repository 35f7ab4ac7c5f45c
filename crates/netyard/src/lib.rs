//! The engine.

pub mod dns;
pub mod expect;
pub mod internet;
pub mod probe;

#[cfg(test)]
#[path = "../tests/support/lab.rs"]
mod test_lab;
