//! What `netyard show` tells of a running lab: its definition, the kernel's state, its sockets, programs, connections.

use crate::error::{Error, Result};
use crate::probe::SocketKind;
use crate::protocol::{ProgramState, ProgramStatus, ReadyState};
use crate::running::RunningLab;
use netyard_core::name::NodeName;
use netyard_core::show::{self, Connection, Listening, NodeView, ProgramView, View};
use netyard_kernel::netlink::conntrack;
use netyard_kernel::netlink::sockdiag::{self, Transport};
use netyard_kernel::netlink::{Refusal, Socket};

/// The lab as it is now. Of what the kernel cannot tell there is a note.
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

/// Adds the listening sockets of the view's nodes.
///
/// # Errors
/// That the lab has ended.
pub fn add_sockets(lab: &RunningLab, view: &mut View) -> Result<()> {
    let names: Vec<NodeName> = view.nodes.iter().map(|node| node.name.clone()).collect();
    for (node, mut socket) in view.nodes.iter_mut().zip(sockets(lab, &names, SocketKind::SockDiag)?) {
        match sockdiag::listeners(&mut socket) {
            Ok(listeners) => node.sockets = listeners.into_iter().map(listening).collect(),
            // One answer holds for all nodes: it is about the kernel.
            Err(refusal) => {
                view.notes.push(format!("the kernel does not tell of listening sockets: {refusal}"));
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Adds the tracked connections of the view's nodes that translate addresses.
///
/// # Errors
/// That the kernel does not tell of them.
pub fn add_connections(lab: &RunningLab, view: &mut View) -> Result<()> {
    let definition = lab.definition()?;
    let translating = |node: &&mut NodeView| !node.nat.is_empty();
    let nodes: Vec<&mut NodeView> = view.nodes.iter_mut().filter(translating).collect();
    let names: Vec<NodeName> = nodes.iter().map(|node| node.name.clone()).collect();
    for (node, mut socket) in nodes.into_iter().zip(sockets(lab, &names, SocketKind::Netfilter)?) {
        let listed = conntrack::list(&mut socket).map_err(|refusal| untold(&node.name, &refusal))?;
        let owner = |address| definition.node_with_address(address).map(|node| node.name.clone());
        let known = listed.iter().map(|connection| Connection::of(connection, owner));
        node.connections = Some(known.collect());
    }
    Ok(())
}

fn sockets(lab: &RunningLab, nodes: &[NodeName], kind: SocketKind) -> Result<Vec<Socket>> {
    let wanted: Vec<(NodeName, SocketKind)> = nodes.iter().map(|node| (node.clone(), kind)).collect();
    Ok(lab.sockets(&wanted)?.into_iter().map(Socket::from_fd).collect())
}

fn untold(node: &NodeName, refusal: &Refusal) -> Error {
    Error::kernel("K002", format!("the kernel does not tell of the connections of node `{node}`"))
        .note(format!("kernel: {refusal}"))
        .help("`netyard doctor` tells what this kernel lacks")
}

fn listening(listener: sockdiag::Listener) -> Listening {
    let protocol = match listener.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    Listening { protocol, address: listener.address }
}

fn program_view(program: ProgramStatus) -> ProgramView {
    let (state, status) = match program.state {
        ProgramState::Held => (show::ProgramState::Held, None),
        ProgramState::Running => (show::ProgramState::Running, None),
        ProgramState::Waiting => (show::ProgramState::Waiting, None),
        ProgramState::Exited(code) => (show::ProgramState::Exited, Some(code)),
    };
    let ready = program.ready.map(|ready| match ready {
        ReadyState::Pending => show::ReadyState::Pending,
        ReadyState::Ready => show::ReadyState::Ready,
        ReadyState::Failed => show::ReadyState::Failed,
    });
    ProgramView { name: program.name, argv: program.argv, state, status, ready, restarts: program.restarts }
}
