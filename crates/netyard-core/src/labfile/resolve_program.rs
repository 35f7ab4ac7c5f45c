//! Programs of nodes: each with a name of its own, and in an order.

use super::read::Problems;
use super::resolve::Draft;
use super::resolve_frr;
use super::syntax::ProgramDecl;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::Program;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Gives every node its programs.
pub(crate) fn add_programs(draft: &mut Draft, problems: &mut Problems) {
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        let node = &mut draft.nodes[at].node;
        node.programs = decl.frr.as_ref().map(resolve_frr::programs).unwrap_or_default();
        if let Some(run) = &decl.run {
            let own = programs(run, &node.programs, problems);
            node.programs.extend(own);
            check_order(run, &node.programs, problems);
        }
        if let Some(stop) = &decl.stop {
            node.on_down = programs(stop, &[], problems);
        }
    }
}

/// The programs that a file names, beside those of FRR.
fn programs(run: &[ProgramDecl], of_frr: &[Program], problems: &mut Problems) -> Vec<Program> {
    let mut given = HashMap::new();
    for word in run.iter().filter_map(|decl| decl.name.as_ref()) {
        if let Some(why) = flaw_of_name(&word.value) {
            problems.push(Diagnostic::new(Code::BadProgramName, word.span).label(why));
        }
        if of_frr.iter().any(|program| program.name == word.value) {
            let problem = Diagnostic::new(Code::ProgramTwice, word.span);
            problems.push(problem.label(format!("`frr` starts `{}`", word.value)));
        }
        if let Some(first) = given.insert(word.value.as_str(), word.span) {
            let problem =
                Diagnostic::new(Code::ProgramTwice, word.span).label(format!("`{}` again", word.value));
            problems.push(problem.related(first, "first here"));
        }
    }
    let of_frr = of_frr.iter().map(|program| program.name.clone());
    let mut taken: HashSet<String> = given.keys().map(|name| (*name).to_owned()).chain(of_frr).collect();
    let mut name_of = |decl: &ProgramDecl| match &decl.name {
        Some(word) => word.value.clone(),
        None => {
            let base = first_word(&decl.argv);
            let numbered = (1..).map(|n| if n == 1 { base.clone() } else { format!("{base}-{n}") });
            let name = numbered.into_iter().find(|name| !taken.contains(name)).unwrap_or(base.clone());
            taken.insert(name.clone());
            name
        }
    };
    run.iter()
        .map(|decl| Program {
            name: name_of(decl),
            argv: decl.argv.clone(),
            restart: decl.restart,
            env: decl.env.clone(),
            ready: decl.ready.clone(),
            after: decl.after.iter().map(|word| word.value.clone()).collect(),
        })
        .collect()
}

/// Reports programs that wait for one that is not there, or for each other.
fn check_order(run: &[ProgramDecl], programs: &[Program], problems: &mut Problems) {
    let index: HashMap<&str, usize> =
        programs.iter().enumerate().map(|(at, program)| (program.name.as_str(), at)).collect();
    // Those of FRR come first, and wait for none of the file's.
    let mut waits_for: Vec<Vec<(usize, Span)>> = vec![Vec::new(); programs.len() - run.len()];
    for decl in run {
        let mut known = Vec::new();
        for word in &decl.after {
            match index.get(word.value.as_str()) {
                Some(other) => known.push((*other, word.span)),
                None => {
                    let names = programs.iter().map(|program| program.name.as_str());
                    problems.unknown(Code::UnknownProgram, &word.value, word.span, names);
                }
            }
        }
        waits_for.push(known);
    }
    if let Some(cycle) = find_cycle(&waits_for) {
        let names: Vec<&str> = cycle.iter().map(|(at, _)| programs[*at].name.as_str()).collect();
        let label = match names.as_slice() {
            [name] => format!("`{name}` waits for itself"),
            names => format!("each waits for the one before: {}", names.join(", ")),
        };
        let span = cycle.iter().map(|(_, span)| *span).min().unwrap_or_default();
        problems.push(Diagnostic::new(Code::CyclicPrograms, span).label(label));
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

/// Why a program cannot be called so: its log is a file of this name.
fn flaw_of_name(name: &str) -> Option<&'static str> {
    match name {
        "" => Some("an empty name"),
        "." | ".." => Some("this is a folder"),
        _ if name.contains('/') => Some("a `/` may not stand here: the program's log is a file of this name"),
        _ if name.chars().any(char::is_control) => Some("a control character may not stand here"),
        _ if name.starts_with('-') => Some("commands take a word that begins with `-` for an option"),
        _ if name.len() > 100 => Some("more than 100 bytes"),
        _ => None,
    }
}

/// The file name of the program, or of the first word that the shell is given.
fn first_word(argv: &[String]) -> String {
    let program = match argv {
        [sh, flag, text] if sh == "sh" && flag == "-c" => {
            let mut words = text.split_whitespace();
            // `LANG=C prog` and `exec prog` run `prog`.
            words.find(|word| !word.contains('=') && *word != "exec").unwrap_or("sh")
        }
        [program, ..] => program,
        [] => "sh",
    };
    let name = program.rsplit('/').next().unwrap_or(program);
    let name: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).collect();
    if name.is_empty() { "program".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_called_as_its_file() {
        let check = |argv: &[&str], name: &str| {
            let argv: Vec<String> = argv.iter().map(|arg| (*arg).to_owned()).collect();
            assert_eq!(first_word(&argv), name);
        };
        check(&["/usr/sbin/nginx", "-g"], "nginx");
        check(&["sh", "-c", "LANG=C exec python3 -m http.server"], "python3");
        check(&["sh", "-c", "$(x)"], "x");
        check(&["sh", "-c", "(:)"], "program");
    }
}
