//! Programs of nodes: each with a name of its own.

use super::read::Problems;
use super::resolve::Draft;
use super::resolve_frr;
use super::syntax::ProgramDecl;
use crate::diagnostic::{Code, Diagnostic};
use crate::lab::Program;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// Gives every node its programs: those of FRR, then those of `run` in the order of the file.
pub(crate) fn add_programs(draft: &mut Draft, problems: &mut Problems) {
    for at in 0..draft.nodes.len() {
        let decl = Rc::clone(&draft.nodes[at].decl);
        let node = &mut draft.nodes[at].node;
        node.programs =
            decl.frr.as_ref().map(|frr| resolve_frr::programs(&node.name, frr)).unwrap_or_default();
        if let Some(run) = &decl.run {
            let own = programs(run, &node.programs, problems);
            node.programs.extend(own);
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
            after: Vec::new(),
        })
        .collect()
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
