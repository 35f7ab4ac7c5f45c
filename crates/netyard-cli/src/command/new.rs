//! `netyard new`: a lab file of a regular shape.

use crate::args::{New, Shape};
use crate::output;
use netyard::{Error, Result};
use netyard_core::generate::{self, generate};
use std::process::ExitCode;

pub fn run(args: &New) -> Result<ExitCode> {
    let shape = match args.shape {
        Shape::Star => generate::Shape::Star,
        Shape::Line => generate::Shape::Line,
        Shape::Ring => generate::Shape::Ring,
        Shape::Tree => generate::Shape::Tree,
    };
    output::print(&generate(shape, args.count).map_err(|error| Error::input("N008", error.to_string()))?);
    Ok(ExitCode::SUCCESS)
}
