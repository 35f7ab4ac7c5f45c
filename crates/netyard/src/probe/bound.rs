//! Sockets that are bound to an interface.

use super::{NodeSockets, SocketKind};
use netyard_core::name::{IfName, NodeName};
use netyard_kernel::socket::bind_to_interface;
use std::io;
use std::os::fd::OwnedFd;

/// Makes sockets that send and receive by one interface only, whatever the routes say (socket(7) `SO_BINDTODEVICE`).
#[derive(Clone, Copy)]
pub struct Bound<'a> {
    /// Who makes them.
    pub sockets: &'a dyn NodeSockets,
    /// The interface of the node; none leaves them free.
    pub interface: Option<&'a IfName>,
}

impl NodeSockets for Bound<'_> {
    fn socket(&self, node: &NodeName, kind: SocketKind) -> io::Result<OwnedFd> {
        let socket = self.sockets.socket(node, kind)?;
        if let Some(interface) = self.interface {
            bind_to_interface(&socket, interface.as_str())?;
        }
        Ok(socket)
    }
}
