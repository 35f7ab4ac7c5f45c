//! What nodes cost, and those with files and processes of their own.

use crate::figures::median;
use crate::lab::BenchLab;
use crate::rows::Bench;
use crate::table::{Row, Target};
use std::fs;
use std::io;

/// How many nodes are made to tell what one costs.
const NODES: u32 = 100;

/// The rows of the group.
pub fn rows(bench: &Bench) -> io::Result<Vec<Row>> {
    let rounds = bench.rounds(9, 3);
    let (net, _, _) = measured(bench, "net", rounds)?;
    let (full, pss_kib, down) = measured(bench, "full", rounds)?;
    let row = |name: &str, figure: f64, most: f64, unit: &'static str| Row {
        name: name.to_owned(),
        figure,
        target: Target::AtMost(most),
        unit,
        detail: format!("{NODES} nodes"),
    };
    Ok(vec![
        row("up: each net node", net, 1.0, "ms"),
        row("up: each full node", full, 4.0, "ms"),
        row("idle full node: memory of its own (PSS)", pss_kib, 150.0, "KiB"),
        row("down of full nodes", down, 100.0, "ms"),
    ])
}

/// Milliseconds for each node beyond the first, KiB of each node's first process, milliseconds to take all down.
fn measured(bench: &Bench, kind: &str, rounds: usize) -> io::Result<(f64, f64, f64)> {
    let up = |count: u32| -> io::Result<(f64, f64, f64)> {
        let lab = BenchLab::of_kind(&bench.netyard, kind, count)?;
        let taken = lab.up()?.wall_ms;
        let memory = memory_of_children(lab.running()?.pid())? / f64::from(count);
        let down = lab.down()?.wall_ms;
        // What the kernel still takes apart would be waited for with the next lab.
        lab.up()?;
        lab.down_wait()?;
        Ok((taken, memory, down))
    };
    let (mut each, mut memory, mut down) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let (first, _, _) = up(1)?;
        let (all, kib, gone) = up(NODES + 1)?;
        each.push((all - first) / f64::from(NODES));
        memory.push(kib);
        down.push(gone);
    }
    Ok((median(each), median(memory), median(down)))
}

/// KiB that the children of a process have together, each page counted by its share (proc(5), `smaps_rollup`).
fn memory_of_children(pid: u32) -> io::Result<f64> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let mut all = 0.0;
    for child in children.split_whitespace() {
        let rollup = fs::read_to_string(format!("/proc/{child}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:")).unwrap_or_default();
        all += line.trim().trim_end_matches("kB").trim().parse().unwrap_or(f64::INFINITY);
    }
    Ok(all)
}
