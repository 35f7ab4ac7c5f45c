//! The machine that sifts packets inside of the kernel: classic BPF (linux/filter.h, networking/filter.rst).

use serde::{Deserialize, Serialize};

/// One instruction (`struct sock_filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instruction {
    /// What is done (`BPF_LD | BPF_W | BPF_ABS` ...).
    pub code: u16,
    /// Instructions to skip where a condition holds.
    pub yes: u8,
    /// Instructions to skip where it does not.
    pub no: u8,
    /// The operand.
    pub operand: u32,
}

impl Instruction {
    /// One without a condition.
    #[must_use]
    pub const fn new(code: u16, operand: u32) -> Self {
        Self { code, yes: 0, no: 0, operand }
    }
}

/// The most instructions that the kernel takes (`BPF_MAXINSNS`).
pub const INSTRUCTIONS_MAX: usize = 4096;
