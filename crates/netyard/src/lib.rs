//! Small networks of real Linux kernel parts, from a description, as an ordinary user, gone without a trace.
//!
//! A [`Lab`] is described by YAML text, a file or a [`LabBuilder`]. [`Lab::up`] builds a private copy and returns when
//! every link carries packets; dropping the [`RunningLab`] removes it, as does the end of the process, however that
//! comes. Any number of labs may run side by side, so tests need no locks and no unique names.
//!
//! ```no_run
//! use netyard::Lab;
//! use std::io::Read;
//!
//! // A client behind a router that translates addresses: the server sees the router.
//! let lab = Lab::from_yaml("
//! networks: { lan: 192.168.1.0/24, wan: 203.0.113.0/24 }
//! nodes:
//!   client: { links: { lan: 192.168.1.10 } }
//!   router: { links: { lan: 192.168.1.1, wan: 203.0.113.1 }, masquerade: { from: lan, out: wan } }
//!   server: { links: { wan: 203.0.113.9 }, gateway: none }
//! ")?.up()?;
//! let listener = lab.node("server")?.tcp_listen("203.0.113.9:7000")?;
//! let _client = lab.node("client")?.tcp_connect("203.0.113.9:7000")?;
//! let (_, seen) = listener.accept()?;
//! assert_eq!(seen.ip().to_string(), "203.0.113.1");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What works everywhere, as an ordinary user too: [`Node::command`] runs programs in a node, [`Node::tcp_connect`],
//! [`Node::tcp_listen`] and [`Node::udp_bind`] give sockets of a node. [`Node::run`] moves a closure into a node; for
//! ordinary users it takes the cargo feature `test-userns`, in the `[dev-dependencies]` of the crate under test:
//!
//! ```toml
//! [dev-dependencies]
//! netyard = { version = "0.1", features = ["test-userns"] }
//! ```

#[doc(hidden)]
pub mod apply;
pub mod builder;
mod bundle;
pub mod capture;
pub mod command;
mod connection;
pub mod deep;
mod definition;
pub mod dns;
pub mod error;
pub mod expect;
#[doc(hidden)]
pub mod fault;
mod full_node;
mod holder;
pub mod internet;
pub mod kathara;
pub mod layer;
pub mod lesson;
#[doc(hidden)]
pub mod live;
pub mod look;
#[doc(hidden)]
pub mod namespaces;
pub mod nat;
pub mod node;
mod node_files;
mod own_folders;
mod preflight;
pub mod probe;
#[doc(hidden)]
pub mod protocol;
mod ready;
mod request;
pub mod running;
pub mod sandbox;
pub mod scout;
pub mod service;
pub mod show;
pub mod store;
pub mod trace;
pub mod up;
pub mod why;
mod wire;

pub use builder::LabBuilder;
pub use command::{NodeChild, NodeCommand, Output};
pub use definition::Lab;
pub use error::{Error, ErrorKind, Result};
pub use netyard_core::diagnostic::Style;
pub use netyard_core::name::{IfName, LabName, NodeName};
pub use netyard_core::report::TestReport;
pub use netyard_core::state::State;
pub use netyard_core::step::Step;
pub use netyard_kernel::process::ExitStatus;
pub use node::{Link, Node};
pub use running::RunningLab;

#[cfg(test)]
#[path = "../tests/support/lab.rs"]
mod test_lab;

#[cfg(feature = "test-userns")]
netyard_kernel::userns_entry!();

/// Why the feature `test-userns` could not do its work; none without the feature.
fn test_userns_refusal() -> Option<std::io::Error> {
    netyard_kernel::userns::own_refusal()
}
