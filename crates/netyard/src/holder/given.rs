//! The descriptors that travel with a lab, each by what it is.

use crate::protocol::{Enclosed, Spec};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What came with a lab.
#[derive(Default)]
pub(super) struct Given {
    /// The lab file's folder.
    pub(super) folder: Option<OwnedFd>,
    /// The files of full nodes.
    pub(super) bundle: Option<OwnedFd>,
    /// Archives of root file systems, each with its path on the machine.
    pub(super) archives: Vec<(PathBuf, OwnedFd)>,
    /// Folders of the machine for full nodes: each with its path there, and whether it is read-only.
    pub(super) trees: Vec<(PathBuf, bool, OwnedFd)>,
}

impl Given {
    pub(super) fn new(spec: &Spec, fds: Vec<OwnedFd>) -> Self {
        let mut given = Self::default();
        for (enclosed, fd) in spec.enclosed.iter().zip(fds) {
            match enclosed {
                Enclosed::Folder => given.folder = Some(fd),
                Enclosed::Bundle => given.bundle = Some(fd),
                Enclosed::Archive { source } => given.archives.push((source.clone(), fd)),
                Enclosed::Tree { source, is_read_only } => {
                    given.trees.push((source.clone(), *is_read_only, fd))
                }
            }
        }
        given
    }
}
