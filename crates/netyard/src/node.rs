//! A node of a running lab: programs, sockets and closures inside it.

use crate::command::NodeCommand;
use crate::connection::unexpected;
use crate::error::{Error, Result};
use crate::probe::{NodeSockets, SocketKind};
use crate::protocol::Request;
use crate::running::RunningLab;
use netyard_core::name::{IfName, NodeName};
use netyard_kernel::traveller::Traveller;
use std::ffi::OsStr;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};

/// A node of a running lab.
#[derive(Debug, Clone)]
pub struct Node<'a> {
    lab: &'a RunningLab,
    name: NodeName,
}

impl<'a> Node<'a> {
    pub(crate) fn new(lab: &'a RunningLab, name: NodeName) -> Self {
        Self { lab, name }
    }

    /// The lab that it is a node of.
    pub(crate) fn lab(&self) -> &'a RunningLab {
        self.lab
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    /// A program to run in it, as [`std::process::Command`] would outside.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> NodeCommand<'a> {
        NodeCommand::new(self.lab, Some(self.name.clone()), program.as_ref())
    }

    /// Runs `f` on a fresh thread inside the node: every socket that it makes is the node's, and names are looked up in
    /// the node's `/etc/hosts` and `/etc/resolv.conf`.
    ///
    /// # Errors
    /// That this process may not enter the node: ordinary users need the cargo feature `test-userns`.
    ///
    /// # Panics
    /// When `f` does.
    pub fn run<R: Send>(&self, f: impl FnOnce() -> R + Send) -> Result<R> {
        let doors = self.lab.doors(Some(&self.name), &[])?;
        let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
        let entered = Traveller::run(|traveller| {
            traveller.enter(doors.net.as_fd())?;
            traveller.enter_mounts(doors.room.mounts.as_fd(), &cwd)?;
            Ok(f())
        });
        entered.and_then(|result| result).map_err(|error| self.not_entered(&error))
    }

    fn not_entered(&self, error: &io::Error) -> Error {
        let result = Error::io(format!("cannot run a closure in node `{}`", self.name), error);
        if error.kind() != io::ErrorKind::PermissionDenied {
            return result;
        }
        let mut result = result;
        result.code = "K013".into();
        if let Some(refusal) = crate::test_userns_refusal() {
            return result
                .note(format!("the feature `test-userns` is on, but the kernel refused: {refusal}"));
        }
        if cfg!(feature = "test-userns") {
            return result
                .note("the feature `test-userns` acts in test programs, which cargo keeps in a folder `deps`")
                .help("set NETYARD_TEST_USERNS=1 for a program that is kept elsewhere");
        }
        result.note("an ordinary user's process may enter a lab only from a user namespace of its own").help(
            "add to Cargo.toml:\n      [dev-dependencies]\n      \
                 netyard = { version = \"0.1\", features = [\"test-userns\"] }\n    \
                 or use command(), tcp_connect(), tcp_listen(), udp_bind(), which work without",
        )
    }

    /// A TCP connection from this node. `to` is `ADDRESS:PORT`, or `NODE:PORT`.
    ///
    /// # Errors
    /// Those of connect(2).
    pub fn tcp_connect(&self, to: &str) -> io::Result<TcpStream> {
        let to = self.socket_address(to)?;
        let socket = self.socket(if to.is_ipv4() { SocketKind::Tcp4 } else { SocketKind::Tcp6 })?;
        rustix::net::connect(&socket, &to)?;
        Ok(socket.into())
    }

    /// A socket of this node that accepts TCP connections. `at` is `ADDRESS:PORT`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// Those of bind(2) and listen(2).
    pub fn tcp_listen(&self, at: &str) -> io::Result<TcpListener> {
        let at = self.socket_address(at)?;
        let socket = self.socket(if at.is_ipv4() { SocketKind::Tcp4 } else { SocketKind::Tcp6 })?;
        rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &at)?;
        rustix::net::listen(&socket, 128)?;
        Ok(socket.into())
    }

    /// A UDP socket of this node. `at` is `ADDRESS:PORT`; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// Those of bind(2).
    pub fn udp_bind(&self, at: &str) -> io::Result<UdpSocket> {
        let at = self.socket_address(at)?;
        let socket = self.socket(if at.is_ipv4() { SocketKind::Udp4 } else { SocketKind::Udp6 })?;
        rustix::net::bind(&socket, &at)?;
        Ok(socket.into())
    }

    /// A socket made inside the node.
    ///
    /// # Errors
    /// Those of socket(2).
    pub fn socket(&self, kind: SocketKind) -> io::Result<OwnedFd> {
        self.lab.socket(&self.name, kind)
    }

    /// Its network namespace.
    ///
    /// # Errors
    /// That the lab has ended.
    pub fn namespace(&self) -> Result<OwnedFd> {
        let (reply, mut fds) = self.lab.ask(&Request::Namespace(self.name.clone()))?;
        fds.pop().ok_or_else(|| unexpected(&reply))
    }

    /// `ADDRESS:PORT`, or `NODE:PORT` with the address that this node would use for that one.
    fn socket_address(&self, text: &str) -> io::Result<SocketAddr> {
        if let Ok(address) = text.parse() {
            return Ok(address);
        }
        let unknown = || {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("`{text}` is neither ADDRESS:PORT nor NODE:PORT"),
            )
        };
        let (node, port) = text.rsplit_once(':').ok_or_else(unknown)?;
        let port = port.parse().map_err(|_| unknown())?;
        let lab = self.lab.definition().map_err(io::Error::other)?;
        let target = netyard_core::expect::Target::Node(node.parse().map_err(|_| unknown())?);
        let address = target.address(&lab, &self.name).ok_or_else(unknown)?;
        Ok(SocketAddr::new(address, port))
    }
}

/// The cable of an interface.
#[derive(Debug, Clone)]
pub struct Link<'a> {
    lab: &'a RunningLab,
    node: NodeName,
    interface: IfName,
}

impl<'a> Link<'a> {
    pub(crate) fn of(lab: &'a RunningLab, node: &str, interface: &str) -> Result<Self> {
        let node = lab.node(node)?.name;
        let interface = IfName::new(interface).map_err(|error| {
            Error::input("N012", format!("`{interface}` is not the name of an interface: {error}"))
        })?;
        Ok(Self { lab, node, interface })
    }

    /// Pulls the cable.
    ///
    /// # Errors
    /// That the node has no such interface.
    pub fn down(&self) -> Result<()> {
        self.lab.set_link(&self.node, &self.interface, false)
    }

    /// Plugs the cable in; returns when the link carries packets, its routes are there again.
    ///
    /// # Errors
    /// That the node has no such interface.
    pub fn up(&self) -> Result<()> {
        self.lab.set_link(&self.node, &self.interface, true)
    }
}
