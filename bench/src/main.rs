//! Measures netyard beside the quickest program that builds the same network, `ip -batch`, and a shell script.
//!
//! `bench/run` prints the table and exits with 1 when a figure misses its target. The other builders run in a
//! throw-away user namespace (the module `sandbox`), in turns with netyard, so that a busy machine slows all of them.

mod capture;
mod figures;
mod floor;
mod full;
mod kathara;
mod lab;
mod rows;
mod sandbox;
mod scripts;
mod stopwatch;
mod table;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "Usage: netyard-bench [--quick] [WORD]...

Measures netyard (the program beside this one) and prints a table.
With words, only the groups of rows that are called so: up, big, answers, memory, down, exec, test, ping, capture, full, kathara.

  --quick   few repetitions, for CI: figures are rough";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        // How this program starts itself inside a sandbox.
        ["floor", hosts] => floor::main(hosts),
        ["sandbox"] => sandbox::main(),
        ["--help" | "-h"] => {
            println!("{USAGE}");
            Ok(true)
        }
        words => measure(words),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("netyard-bench: {error}");
            ExitCode::from(3)
        }
    }
}

/// Measures and prints all rows asked for; false when a figure misses its target.
fn measure(words: &[&str]) -> io::Result<bool> {
    let is_quick = words.contains(&"--quick");
    let groups: Vec<&str> = words.iter().copied().filter(|word| !word.starts_with("--")).collect();
    if let Some(unknown) = words.iter().find(|word| word.starts_with("--") && **word != "--quick") {
        return Err(io::Error::other(format!("unknown option {unknown}\n{USAGE}")));
    }
    let bench = rows::Bench { netyard: program_beside_us()?, is_quick };
    table::print_machine();
    let mut is_good = true;
    for (name, group) in rows::GROUPS {
        if groups.is_empty() || groups.contains(name) {
            for row in group(&bench)? {
                row.print();
                is_good &= row.is_good();
            }
        }
    }
    table::print_load();
    Ok(is_good)
}

fn program_beside_us() -> io::Result<PathBuf> {
    let netyard = std::env::current_exe()?.with_file_name("netyard");
    if netyard.exists() {
        return Ok(netyard);
    }
    Err(io::Error::other(format!("{} is missing; `bench/run` builds it", netyard.display())))
}
