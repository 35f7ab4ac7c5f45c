//! Instructions with labels to jump to.
//!
//! A condition of classic BPF reaches 255 instructions ahead. Where that is not enough, it jumps to a jump.

use super::super::Instruction;

const JUMP: u16 = 0x05;
/// The farthest that a condition reaches.
const REACH: usize = 255;

/// A place in a program, which may be placed after it was jumped to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Label(usize);

#[derive(Debug, Clone, Copy)]
enum Line {
    Plain(Instruction),
    Jump(Label),
    Branch { code: u16, operand: u32, yes: Label, no: Label },
}

/// A program that is being written.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    lines: Vec<Line>,
    /// The line of each label.
    labels: Vec<Option<usize>>,
}

impl Assembly {
    /// A label, to be placed later; only ahead of where it is jumped to from.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// The next instruction is at this label.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.lines.len());
    }

    pub(super) fn push(&mut self, code: u16, operand: u32) {
        self.lines.push(Line::Plain(Instruction::new(code, operand)));
    }

    pub(super) fn jump(&mut self, to: Label) {
        self.lines.push(Line::Jump(to));
    }

    pub(super) fn branch(&mut self, code: u16, operand: u32, yes: Label, no: Label) {
        self.lines.push(Line::Branch { code, operand, yes, no });
    }

    /// The program.
    pub(super) fn finish(&self) -> Vec<Instruction> {
        let mut is_long = vec![false; self.lines.len()];
        // A condition that becomes longer moves others apart; each turns long once at most.
        loop {
            let starts = self.starts(&is_long);
            let distance = |from: usize, to: Label| starts[self.line_of(to)] - starts[from] - 1;
            let mut has_changed = false;
            for (at, line) in self.lines.iter().enumerate() {
                if let Line::Branch { yes, no, .. } = line
                    && !is_long[at]
                    && (distance(at, *yes) > REACH || distance(at, *no) > REACH)
                {
                    is_long[at] = true;
                    has_changed = true;
                }
            }
            if !has_changed {
                return self.write(&is_long, &starts);
            }
        }
    }

    fn line_of(&self, label: Label) -> usize {
        self.labels[label.0].expect("every label that is jumped to is placed")
    }

    /// Where each line's instructions begin, and the end.
    fn starts(&self, is_long: &[bool]) -> Vec<usize> {
        let mut starts = vec![0];
        for is_long in is_long {
            let last = starts[starts.len() - 1];
            starts.push(last + if *is_long { 3 } else { 1 });
        }
        starts
    }

    fn write(&self, is_long: &[bool], starts: &[usize]) -> Vec<Instruction> {
        let mut program = Vec::new();
        for (line, is_long) in self.lines.iter().zip(is_long) {
            let here = program.len();
            let distance = |to: Label, from: usize| starts[self.line_of(to)] - from - 1;
            let jump = |to: Label, from: usize| {
                Instruction::new(JUMP, u32::try_from(distance(to, from)).expect("programs are short"))
            };
            let short = |to: Label| u8::try_from(distance(to, here)).expect("longer ones are long");
            match *line {
                Line::Plain(instruction) => program.push(instruction),
                Line::Jump(to) => program.push(jump(to, here)),
                Line::Branch { code, operand, yes, no } if *is_long => {
                    program.push(Instruction { code, yes: 0, no: 1, operand });
                    program.push(jump(yes, here + 1));
                    program.push(jump(no, here + 2));
                }
                Line::Branch { code, operand, yes, no } => {
                    program.push(Instruction { code, yes: short(yes), no: short(no), operand });
                }
            }
        }
        program
    }
}
