//! The pure part of the programs that netyard stands in for in a sandbox: what was typed, and what is printed.
//!
//! Each has the words, the output and the exit codes of the real program, as far as one meets them when learning how
//! networks work; anything else is refused by name, never passed over.

pub mod brctl;
pub mod curl;
pub mod iptables;
pub mod options;
pub mod ping;
pub mod systemctl;
pub mod tcpdump;
