//! What the nodes of a sandbox have besides: programs in place of those that the machine lacks, and accounts that
//! daemons can change to.

use super::files::{self, ROOT, bind, keep};
use crate::lesson::word::WORDS;
use crate::namespaces::Namespaces;
use crate::sandbox::{STAND_INS, VERBS};
use netyard_core::lab::{Lab, Role};
use netyard_core::state::Ns;
use netyard_kernel::process::Mount;
use netyard_kernel::{mount, userns::IdMap};
use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Where programs find the stand-ins.
pub(super) const SHOWN: &str = "/run/netyard-programs";
/// Its name in `/run`.
pub(super) const SHOWN_NAME: &str = "netyard-programs";
/// The files of accounts, and which of their fields are ids (passwd(5), group(5)).
pub(super) const ACCOUNT_FILES: [(&str, &[usize]); 2] = [("passwd", &[2, 3]), ("group", &[2])];
/// User ids above these are of persons (login.defs(5) `SYS_UID_MAX`).
const SYSTEM_ID_MAX: u32 = 999;

/// Where the stand-ins are, as the holder sees it.
pub(super) fn stand_ins() -> PathBuf {
    Path::new(ROOT).join("shared/programs")
}

/// Makes the folder of stand-ins: this program under their names.
pub(super) fn make_stand_ins() -> io::Result<()> {
    let folder = stand_ins();
    fs::create_dir_all(&folder)?;
    let program = folder.join("netyard");
    fs::File::create(&program)?;
    // Not `/proc/self/exe` itself: that leads to the mount of the namespace that we come from, which cannot be bound
    // here (EINVAL). Where the way is barred, as that into root's home is for the lab's ids, a copy serves as well.
    let is_bound = fs::read_link("/proc/self/exe").and_then(|own| mount::bind(&own, &program)).is_ok();
    if !is_bound {
        fs::copy("/proc/self/exe", &program)?;
    }
    STAND_INS.iter().chain(&VERBS).try_for_each(|name| symlink("netyard", folder.join(name)))?;
    let words = folder.join("words");
    fs::create_dir_all(&words)?;
    WORDS.iter().try_for_each(|word| symlink("../netyard", words.join(word)))
}

/// Shows the nodes that are the internet below the folder of programs: whoever asks kernels in the sandbox finds them by
/// these files. Below `/run/netns` is what is made there.
pub(super) fn show_internet(lab: &Lab, namespaces: &Namespaces) -> io::Result<()> {
    let folder = stand_ins().join("netns");
    fs::create_dir_all(&folder)?;
    let is_internet = |ns: &Ns| match ns {
        Ns::Node(name) => lab.node(name.as_str()).is_some_and(|node| node.role == Role::Internet),
        Ns::Fabric => false,
    };
    for (ns, fd) in namespaces.iter().filter(|(ns, _)| is_internet(ns)) {
        files::name_namespace(fd.as_fd(), &folder.join(ns.as_str()))?;
    }
    Ok(())
}

/// Whether the lab's user namespace has one user only: nobody can give up root then, and setgroups(2) is denied
/// (user_namespaces(7)).
pub(super) fn has_one_id() -> bool {
    IdMap::of_self().is_some_and(|map| map.is_single())
}

/// What the nodes are shown.
pub(super) fn mounts() -> io::Result<Vec<Mount>> {
    let mut mounts = vec![keep(&stand_ins(), Path::new(SHOWN), true)];
    if has_one_id() {
        for (file, ids) in ACCOUNT_FILES {
            let path = Path::new("/etc").join(file);
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let own = Path::new(ROOT).join("shared").join(file);
            fs::write(&own, daemons_are_root(&text, ids))?;
            mounts.push(bind(&own, &path));
        }
    }
    Ok(mounts)
}

/// The accounts with those of daemons made root's: to become one of them is then to stay who one is.
pub(super) fn daemons_are_root(text: &str, id_fields: &[usize]) -> String {
    let of_line = |line: &str| {
        let mut fields: Vec<&str> = line.split(':').collect();
        for at in id_fields {
            let is_daemon = |id: &&str| id.parse::<u32>().is_ok_and(|id| id <= SYSTEM_ID_MAX);
            if let Some(id) = fields.get_mut(*at).filter(|id| is_daemon(id)) {
                *id = "0";
            }
        }
        fields.join(":") + "\n"
    };
    text.lines().map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daemons_become_root_and_persons_stay() {
        let text = "root:x:0:0:root:/root:/bin/bash\ntcpdump:x:105:111::/nonexistent:/usr/sbin/nologin\n\
                    nobody:x:65534:65534:nobody:/:/bin/false\nann:x:1000:1000::/home/ann:/bin/bash\n";
        let changed = text.replace("x:105:111", "x:0:0");
        assert_eq!(daemons_are_root(text, &[2, 3]), changed);
        assert_eq!(
            daemons_are_root("tcpdump:x:111:\nusers:x:1000:ann\n", &[2]),
            "tcpdump:x:0:\nusers:x:1000:ann\n"
        );
    }
}
