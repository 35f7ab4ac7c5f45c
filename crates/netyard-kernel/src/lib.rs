//! The kernel door of netyard: namespaces, netlink, nf_tables, mounts, processes.
//!
//! All system calls and all `unsafe` of the workspace are here. Of netyard-core it uses the kernel's own nouns only:
//! this crate does not know what a lab is.

pub mod feature;
pub mod netlink;
