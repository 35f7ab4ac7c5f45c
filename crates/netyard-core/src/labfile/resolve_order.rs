//! The order of programs: which of them wait for which, in their own node and in others.

use super::expand::names;
use super::read::Problems;
use super::resolve::Draft;
use super::syntax::Word;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::ProgramOf;
use std::collections::HashMap;

/// Most programs that those of all nodes wait for, counted for each that waits.
const AWAITED_MAX: usize = 100_000;
/// Most circles that are reported.
const CYCLES_MAX: usize = 20;

/// Lets programs wait for those that `after` names. Reports names that no program has, and programs that wait for each
/// other.
pub(crate) fn add_order(draft: &mut Draft, problems: &mut Problems) {
    let all = all_programs(draft);
    let numbers = all.iter().zip(0..).map(|(of, number)| ((of.node.as_str(), of.program.as_str()), number));
    let finder = Finder { draft, numbers: numbers.collect() };
    let mut waits_for: Vec<Vec<(usize, Span)>> = Vec::with_capacity(all.len());
    let mut count = 0;
    for (at, owner) in draft.nodes.iter().enumerate() {
        let run = owner.decl.run.as_deref().unwrap_or_default();
        // Those of FRR come first, and wait for none of the file's.
        waits_for.resize(waits_for.len() + owner.node.programs.len() - run.len(), Vec::new());
        for decl in run {
            let mut found = Vec::new();
            for word in &decl.after {
                finder.find(at, word, &mut found, problems);
                count += found.len();
                if count > AWAITED_MAX {
                    let label = format!("with this more than {AWAITED_MAX} programs that are waited for");
                    return problems.push(Diagnostic::new(Code::NodesTooLarge, word.span).label(label));
                }
            }
            waits_for.push(found);
        }
    }
    report_cycles(waits_for.clone(), &all, problems);
    let programs = draft.nodes.iter_mut().flat_map(|owner| &mut owner.node.programs);
    for (program, found) in programs.zip(waits_for) {
        program.after.extend(found.into_iter().map(|(number, _)| all[number].clone()));
    }
}

/// The programs of all nodes, those of each in its order.
fn all_programs(draft: &Draft) -> Vec<ProgramOf> {
    let mut all = Vec::new();
    for owner in &draft.nodes {
        let of_node = |name: &String| ProgramOf { node: owner.node.name.clone(), program: name.clone() };
        all.extend(owner.node.programs.iter().map(|program| of_node(&program.name)));
    }
    all
}

/// Finds the numbers of programs, by their places among all.
struct Finder<'a> {
    draft: &'a Draft,
    numbers: HashMap<(&'a str, &'a str), usize>,
}

impl Finder<'_> {
    /// The programs that a word of `after` means at a node: `PROGRAM` of the node itself, or `NODE/PROGRAM`, where a
    /// range stands for many nodes.
    fn find(&self, at: usize, word: &Word, found: &mut Vec<(usize, Span)>, problems: &mut Problems) {
        let Some((nodes, program)) = word.value.split_once('/') else {
            return self.find_in(at, &word.value, word.span, found, problems);
        };
        for name in names(&Word::new(nodes.to_owned(), word.span), problems) {
            match self.draft.node_index.get(&name) {
                Some(at) => self.find_in(*at, program, word.span, found, problems),
                None if self.draft.may_be_node(&name) => {}
                None => {
                    let known = self.draft.nodes.iter().map(|owner| owner.node.name.as_str());
                    problems.unknown(Code::UnknownMember, &name, word.span, known);
                }
            }
        }
    }

    fn find_in(
        &self,
        at: usize,
        program: &str,
        span: Span,
        found: &mut Vec<(usize, Span)>,
        problems: &mut Problems,
    ) {
        let node = &self.draft.nodes[at].node;
        match self.numbers.get(&(node.name.as_str(), program)) {
            Some(number) => found.push((*number, span)),
            None => {
                let known = node.programs.iter().map(|program| program.name.as_str());
                problems.unknown(Code::UnknownProgram, program, span, known);
            }
        }
    }
}

/// Reports programs that wait for each other, one circle after another; each is cut where it was reported.
fn report_cycles(mut waits_for: Vec<Vec<(usize, Span)>>, all: &[ProgramOf], problems: &mut Problems) {
    for _ in 0..CYCLES_MAX {
        let Some(cycle) = find_cycle(&waits_for) else { return };
        let is_one_node = cycle.iter().all(|(at, _)| all[*at].node == all[cycle[0].0].node);
        let name = |at: usize| if is_one_node { all[at].program.clone() } else { all[at].to_string() };
        let names: Vec<String> = cycle.iter().map(|(at, _)| name(*at)).collect();
        let label = match names.as_slice() {
            [name] => format!("`{name}` waits for itself"),
            names => format!("each waits for the one before: {}", names.join(", ")),
        };
        let span = cycle.iter().map(|(_, span)| *span).min().unwrap_or_default();
        problems.push(Diagnostic::new(Code::CyclicPrograms, span).label(label));
        waits_for.iter_mut().for_each(|awaited| awaited.retain(|(_, other)| *other != span));
    }
}

/// Programs on a way from one back to itself, each with the place that names the one before it.
fn find_cycle(waits_for: &[Vec<(usize, Span)>]) -> Option<Vec<(usize, Span)>> {
    let is_stuck = stuck(waits_for);
    // Each of these has another to wait for, so that going on from one to the next comes back to where it was.
    let mut at = is_stuck.iter().position(|is_stuck| *is_stuck)?;
    let mut way: Vec<(usize, Span)> = Vec::new();
    let mut place = vec![None; waits_for.len()];
    while place[at].is_none() {
        place[at] = Some(way.len());
        let (next, span) = waits_for[at].iter().copied().find(|(other, _)| is_stuck[*other])?;
        way.push((at, span));
        at = next;
    }
    way.drain(..place[at]?);
    way.reverse();
    Some(way)
}

/// Which programs are never started: those left when all were taken away that wait for none that is left.
fn stuck(waits_for: &[Vec<(usize, Span)>]) -> Vec<bool> {
    let mut awaited_by: Vec<Vec<usize>> = vec![Vec::new(); waits_for.len()];
    for (at, others) in waits_for.iter().enumerate() {
        others.iter().for_each(|(other, _)| awaited_by[*other].push(at));
    }
    let mut missing: Vec<usize> = waits_for.iter().map(Vec::len).collect();
    let mut free: Vec<usize> = (0..missing.len()).filter(|at| missing[*at] == 0).collect();
    while let Some(at) = free.pop() {
        for later in &awaited_by[at] {
            missing[*later] -= 1;
            if missing[*later] == 0 {
                free.push(*later);
            }
        }
    }
    missing.into_iter().map(|count| count > 0).collect()
}
