//! Programs of our own inside the kernel (bpf(2)), for root and whoever has CAP_BPF and CAP_PERFMON.
//!
//! An object that clang has made is read (`object`), the places of fields are put in that the running kernel has
//! (`btf`, `relocate`), and the program is loaded and attached to a tracepoint. All of it is held by descriptors: it ends
//! with the process.
//!
//! It is done here in a few hundred lines because the loaders that there are need a minute to be compiled, and read all
//! types of the kernel into memory to use five.

pub mod btf;
mod map;
mod object;
mod relocate;
mod ring;
mod symbols;
mod syscall;

pub use btf::Btf;
pub use map::{Kind, Map};
pub use object::Object;
pub use ring::Ring;
pub use symbols::Symbols;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// A program that is attached to a tracepoint; it goes with this value.
#[derive(Debug)]
pub struct Attached {
    _link: OwnedFd,
}

impl Object {
    /// Loads the program of the section `tp_btf/TRACEPOINT` and attaches it there. `maps` are by the names that the object
    /// has for them.
    ///
    /// # Errors
    /// `NotFound` when the kernel has no such tracepoint, or lacks a field that the program reads; `EPERM` without
    /// CAP_BPF and CAP_PERFMON; `EACCES` or `EINVAL` with the last words of the verifier when it refuses the program.
    pub fn attach(&self, tracepoint: &str, kernel: &Btf, maps: &[(&str, &Map)]) -> io::Result<Attached> {
        let missing = |what: String| io::Error::new(io::ErrorKind::NotFound, what);
        let target = kernel
            .find(btf::KIND_TYPEDEF, &format!("btf_trace_{tracepoint}"))
            .ok_or_else(|| missing(format!("this kernel has no tracepoint {tracepoint}")))?;
        let section = format!("tp_btf/{tracepoint}");
        let mut code =
            self.section(&section).ok_or_else(|| missing(format!("no section {section}")))?.to_vec();
        relocate::fields(self, &section, &mut code, kernel)?;
        relocate::maps(self, &section, &mut code, maps)?;
        let program = syscall::load_tracing(&code, self.section("license").unwrap_or(b"\0"), target)?;
        let link = syscall::open_raw_tracepoint(program.as_raw_fd())?;
        Ok(Attached { _link: link })
    }
}
