//! What `netyard show` tells of a running lab: its definition, the kernel's state, its programs.

use crate::error::Result;
use crate::protocol::{ProgramState, ProgramStatus};
use crate::running::RunningLab;
use netyard_core::show::{self, ProgramView, View};

/// The lab as it is now.
///
/// # Errors
/// What could not be read.
pub fn view(lab: &RunningLab) -> Result<View> {
    let mut view = View::new(&lab.definition()?, &lab.state()?);
    for program in lab.programs()? {
        if let Some(node) = view.nodes.iter_mut().find(|node| node.name == program.node) {
            node.programs.push(program_view(program));
        }
    }
    Ok(view)
}

fn program_view(program: ProgramStatus) -> ProgramView {
    let (state, status) = match program.state {
        ProgramState::Running => (show::ProgramState::Running, None),
        ProgramState::Waiting => (show::ProgramState::Waiting, None),
        ProgramState::Exited(code) => (show::ProgramState::Exited, Some(code)),
    };
    ProgramView { name: program.name, argv: program.argv, state, status, restarts: program.restarts }
}
