//! The files that a lab's nodes get, packed for its holder.

use crate::error::{Error, Result};
use netyard_core::lab::{FileContent, Lab};
use rustix::fs::{MemfdFlags, memfd_create};
use std::fs::File;
use std::io::{self, Seek};
use std::os::fd::OwnedFd;
use std::path::Path;
use tar::{Builder, Header};

/// Packs the files of all nodes; none where no node has any.
///
/// # Errors
/// Those of writing to memory.
pub(crate) fn of(lab: &Lab, _folder: &Path) -> Result<Option<OwnedFd>> {
    if lab.nodes.iter().all(|node| node.root.files.is_empty()) {
        return Ok(None);
    }
    let failed = |e: &io::Error| Error::io("cannot pack the files of nodes", e);
    let memory = memfd_create("netyard-files", MemfdFlags::CLOEXEC).map_err(|e| failed(&e.into()))?;
    let mut archive = Builder::new(File::from(memory));
    for node in &lab.nodes {
        for file in &node.root.files {
            let FileContent::Text(text) = &file.content else { continue };
            let mut header = Header::new_ustar();
            header.set_mode(file.mode.unwrap_or(0o644));
            header.set_size(text.len() as u64);
            (header.set_uid(0), header.set_gid(0));
            let (user, group) = file
                .owner
                .as_deref()
                .unwrap_or("root")
                .split_once(':')
                .unwrap_or_else(|| (file.owner.as_deref().unwrap_or("root"), ""));
            let _ = header.set_username(user);
            let _ = header.set_groupname(group);
            let place = Path::new(node.name.as_str()).join(file.path.trim_start_matches('/'));
            archive.append_data(&mut header, place, text.as_bytes()).map_err(|e| failed(&e))?;
        }
    }
    let mut memory = archive.into_inner().map_err(|e| failed(&e))?;
    memory.rewind().map_err(|e| failed(&e))?;
    Ok(Some(memory.into()))
}
