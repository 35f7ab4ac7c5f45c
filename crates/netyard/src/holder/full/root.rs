//! The mounts of a full node's root file system.

use super::base::{Base, DEVICES};
use super::home;
use crate::holder::files::{bind, keep, path_text};
use crate::holder::sandbox;
use netyard_core::lab::Node;
use netyard_kernel::mount::overlay;
use netyard_kernel::process::{Mount, NodePlan};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// What the node's first process arranges. The node's own folders are made in `folder`.
///
/// # Errors
/// Those of making folders.
pub(super) fn plan(base: &Base, node: &Node, folder: &Path, binds: &[PathBuf]) -> io::Result<NodePlan> {
    let root = home().join("root");
    let lower = [base.tree.clone()].into_iter().chain(base.below.clone()).collect();
    let upper = [(folder.to_owned(), lower, root.clone())].into_iter();
    let tops = base.tops.iter().map(|(name, lower)| (folder.join(name), lower.clone(), root.join(name)));
    let mut mounts = Vec::new();
    for (own, lower, target) in upper.chain(tops) {
        fs::create_dir_all(own.join("upper"))?;
        fs::create_dir_all(own.join("work"))?;
        let lower: Vec<&Path> = lower.iter().map(|path| path.as_path()).collect();
        let options = overlay(&lower, &own.join("upper"), &own.join("work"));
        mounts.push(Mount::Overlay { target: path_text(&target), options });
    }
    fs::create_dir_all(folder.join("upper/etc"))?;
    for name in &base.read_only {
        mounts.push(bind(&Path::new("/").join(name), &root.join(name)));
        mounts.push(Mount::ReadOnly { target: path_text(&root.join(name)) });
    }
    let dev = root.join("dev");
    for device in DEVICES.iter().filter(|device| base.tree.join("dev").join(device).exists()) {
        mounts.push(bind(&Path::new("/dev").join(device), &dev.join(device)));
    }
    let options = c"newinstance,ptmxmode=0666,mode=0620".into();
    mounts.push(Mount::Terminals { target: path_text(&dev.join("pts")), options });
    mounts.push(Mount::Sysfs { target: path_text(&root.join("sys")) });
    mounts.push(bind(&sandbox::stand_ins(), &root.join(sandbox::SHOWN.trim_start_matches('/'))));
    let proc = root.join("proc");
    let (settings, network) = (proc.join("sys"), proc.join("sys/net"));
    mounts.push(Mount::Proc { target: path_text(&proc) });
    mounts.push(keep(&network, &network, false));
    mounts.push(bind(&settings, &settings));
    mounts.push(Mount::ReadOnly { target: path_text(&settings) });
    for (seen, shared) in binds.iter().zip(&node.root.binds) {
        let target = root.join(shared.path.trim_start_matches('/'));
        mounts.push(Mount::Folder { path: path_text(&target) });
        mounts.push(bind(seen, &target));
        if shared.is_read_only {
            mounts.push(Mount::ReadOnly { target: path_text(&target) });
        }
    }
    Ok(NodePlan { mounts, root: path_text(&root), hostname: node.hostname().to_owned() })
}
