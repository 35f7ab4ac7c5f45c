//! Netlink: messages, sockets, and one module for each kind of kernel object.
//!
//! Every operation is a function that appends one request to [`Messages`]; a [`Socket`] sends many of them with one
//! system call and reads all answers. One builder serves rtnetlink, nf_tables and generic netlink alike.

pub mod address;
pub mod bridge;
pub mod conntrack;
pub mod ethtool;
pub mod link;
mod message;
pub mod monitor;
pub mod neighbour;
pub mod nft;
pub mod qdisc;
pub mod ready;
pub mod route;
pub mod rule;
pub mod sockdiag;
mod socket;

pub use message::{Attributes, Message, Messages, Nest};
pub use socket::{Protocol, Refusal, Socket};
