//! Netlink: messages, sockets, and one module for each kind of kernel object.
//!
//! Every operation is a function that appends one request to [`Messages`]; a [`Socket`] sends many of them with one
//! system call and reads all answers. One builder serves rtnetlink, nf_tables and generic netlink alike.

pub mod conntrack;
mod message;
pub mod nft;
pub mod sockdiag;
mod socket;

pub use message::{Attributes, Message, Messages, Nest};
pub use socket::{Protocol, Refusal, Socket};
