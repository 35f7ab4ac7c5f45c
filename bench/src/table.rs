//! The table: one line for each figure, with its target.

use std::fs;

/// One figure and what it should be.
pub struct Row {
    /// What is measured.
    pub name: String,
    pub figure: f64,
    pub target: Target,
    pub unit: &'static str,
    /// What the figure was made of.
    pub detail: String,
}

/// What a figure should be.
pub enum Target {
    AtMost(f64),
    AtLeast(f64),
    /// It is told for comparison.
    None,
}

impl Row {
    /// Whether the figure is as it should be.
    pub fn is_good(&self) -> bool {
        match self.target {
            Target::AtMost(most) => self.figure <= most,
            Target::AtLeast(least) => self.figure >= least,
            Target::None => true,
        }
    }

    fn mark(&self) -> &'static str {
        if self.is_good() { "pass" } else { "FAIL" }
    }

    /// Prints the row at once: a person who waits sees how far it is.
    pub fn print(&self) {
        let (mark, target) = match self.target {
            Target::AtMost(most) => (self.mark(), format!("<= {} {}", number(most), self.unit)),
            Target::AtLeast(least) => (self.mark(), format!(">= {} {}", number(least), self.unit)),
            Target::None => ("    ", String::new()),
        };
        let figure = format!("{} {}", number(self.figure), self.unit);
        println!("{mark}  {:<46} {figure:>13}   {target:<12} {}", self.name, self.detail);
    }
}

/// Two digits after the point where they say something.
fn number(value: f64) -> String {
    if value.fract().abs() < 0.005 || value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Prints what it is measured on.
pub fn print_machine() {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let user = if rustix::process::geteuid().is_root() { "root" } else { "an ordinary user" };
    println!("Linux {}, {cpus} CPUs, as {user}, netyard {}", kernel.trim(), env!("CARGO_PKG_VERSION"));
    print_load();
}

/// Prints how busy the machine is: by far the largest disturbance of all figures.
pub fn print_load() {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("load {}", load.trim());
}
