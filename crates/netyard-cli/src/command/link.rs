//! `netyard link`: pull and plug cables.

use super::{node_name, running};
use crate::args::{Link, Plug};
use netyard::{Error, Result};
use netyard_core::name::IfName;
use std::process::ExitCode;

pub fn run(args: &Link, lab: Option<&str>) -> Result<ExitCode> {
    let interface = IfName::new(&args.interface).map_err(|error| {
        Error::input("N012", format!("`{}` is not the name of an interface: {error}", args.interface))
    })?;
    let is_up = matches!(args.state, Plug::Up);
    running(None, lab)?.set_link(&node_name(&args.node)?, &interface, is_up)?;
    Ok(ExitCode::SUCCESS)
}
