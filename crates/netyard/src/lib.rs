//! The engine of netyard.

pub mod apply;
pub mod command;
mod connection;
mod definition;
pub mod dns;
pub mod error;
pub mod expect;
pub mod fault;
mod holder;
pub mod internet;
pub mod live;
pub mod namespaces;
pub mod probe;
pub mod protocol;
mod ready;
mod request;
pub mod running;
pub mod store;
pub mod up;
mod wire;

pub use command::{NodeChild, NodeCommand, Output};
pub use definition::Lab;
pub use error::{Error, ErrorKind, Result};
pub use netyard_kernel::process::ExitStatus;
pub use running::{Node, RunningLab};
