//! The kernel door of netyard: namespaces, netlink, nf_tables, mounts, processes.
//!
//! All system calls and all `unsafe` of the workspace are here. Of netyard-core it uses the kernel's own nouns only:
//! this crate does not know what a lab is.

pub mod account;
pub mod beneath;
pub mod bpf;
pub mod capture;
pub mod entry;
pub mod fds;
pub mod feature;
pub mod holder;
pub mod inside;
pub mod limit;
pub mod lock;
pub mod mount;
pub mod netlink;
pub mod netns;
pub mod nsfs;
pub mod peer;
pub mod process;
pub mod procnet;
pub mod rootfs;
mod seccomp;
pub mod signal;
pub mod socket;
pub mod subid;
pub mod sysctl;
pub mod tap;
pub mod terminal;
pub mod traveller;
pub mod tun;
pub mod userns;
pub mod visit;
pub mod xtables;
