//! `netyard schema` and `netyard explain`: what is written down about files and errors.

use crate::args::SchemaOf;
use crate::output;
use netyard::{Error, Result};
use netyard_core::diagnostic::Code;
use netyard_core::explain::explain as explanation;
use netyard_core::schema::json_schema;
use std::process::ExitCode;

pub fn schema(of: SchemaOf) -> Result<ExitCode> {
    let schema = match of {
        SchemaOf::Lab => json_schema(),
        SchemaOf::Lesson => netyard_core::lesson::schema(),
    };
    let text = serde_json::to_string_pretty(&schema).expect("a JSON value is JSON");
    output::print(&format!("{text}\n"));
    Ok(ExitCode::SUCCESS)
}

pub fn explain(code: &str) -> Result<ExitCode> {
    let text = explanation(code).ok_or_else(|| unknown(code))?;
    output::print(&format!("{text}\n"));
    Ok(ExitCode::SUCCESS)
}

/// That no code is called so, with those that are like it.
fn unknown(code: &str) -> Error {
    let near = near(code);
    let error = Error::input("Y015", format!("`{code}` is no code of netyard"));
    if near.is_empty() {
        return error.help("a code is a letter and three digits, as in error[N014]");
    }
    near.iter().fold(error, |error, code| error.note(format!("{code}: {}", code.title())))
}

/// At most five codes of the same letter, the nearest numbers first.
fn near(code: &str) -> Vec<Code> {
    let code = code.trim().to_ascii_uppercase();
    let (letter, number) = match code.chars().next() {
        Some(letter) => (letter, code[letter.len_utf8()..].parse::<i32>().unwrap_or(0)),
        None => return Vec::new(),
    };
    let mut alike: Vec<Code> = Code::ALL.iter().copied().filter(|c| c.as_str().starts_with(letter)).collect();
    alike.sort_by_key(|code| {
        code.as_str()[1..].parse::<i32>().map_or(i32::MAX, |n| n.abs_diff(number).cast_signed())
    });
    alike.truncate(5);
    alike
}
