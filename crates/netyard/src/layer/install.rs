//! Installing packages as root of a user namespace, over the machine's files and without touching them.
//!
//! The root file system is one in memory, with the machine's `/usr` below an upper folder that takes what is written,
//! and copies of what anybody may read of `/etc` and of the state of packages. In a user namespace nobody may write into
//! folders of the machine's root: those of `/usr` are made anew, empty, in a layer between, which gives its owner to
//! what is seen of both.

use super::build::{Order, Stage};
use super::tree::{copy_folders, copy_readable, make_folder, replace_by_copy};
use crate::error::{Error, Result};
use netyard_core::layer::account::{self, Account};
use netyard_core::layer::content::{NOT_UNPACKED, VAR, VAR_COPIED};
use netyard_core::layer::dpkg;
use netyard_kernel::{mount, rootfs};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// What came of it, besides files.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Installed {
    pub packages: Vec<dpkg::Package>,
    pub users: Vec<Account>,
    pub groups: Vec<Account>,
}

/// Where things are while a layer is built, below its folder.
pub(super) struct Site {
    folder: PathBuf,
}

impl Site {
    pub(super) fn of(folder: &Path) -> Self {
        Self { folder: folder.join(".site") }
    }

    /// Everything.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What is written to a folder at the top.
    pub(super) fn written(&self, top: &str) -> PathBuf {
        self.folder.join("written").join(top)
    }

    fn work(&self, top: &str) -> PathBuf {
        self.folder.join("work").join(top)
    }

    /// Folders that make the machine's writable.
    fn folders(&self, top: &str) -> PathBuf {
        self.folder.join("folders").join(top)
    }

    fn root(&self) -> PathBuf {
        self.folder.join("root")
    }
}

/// Folders at the top that are the machine's, with what is written above. Where `/usr` has all, most are links.
pub(super) const OVER_MACHINE: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/// Folders at the top that begin with copies, or empty.
pub(super) const OWN: [&str; 4] = ["etc", "opt", "srv", "var"];
/// Where the programs that install find each other.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Installs the packages. For a process that is alone in its mount and pid namespaces.
pub(super) fn install(folder: &Path, order: &Order, tell: &mut dyn FnMut(Stage)) -> Result<Installed> {
    tell(Stage::Preparing);
    let site = Site::of(folder);
    prepare(&site).map_err(|error| {
        let error = Error::io("cannot arrange a root file system for installing packages", &error);
        error.note("layers need a file system that overlayfs can write to: ext4, xfs, btrfs; not NFS, not an overlay")
            .help("`XDG_DATA_HOME` names another folder for layers; `netyard doctor` tells what this machine allows")
    })?;
    let failed = |error: io::Error| Error::io("cannot install packages", &error);
    let users = read("/etc/passwd").map_err(failed)?;
    let groups = read("/etc/group").map_err(failed)?;
    let before = forget(&order.packages).map_err(failed)?;
    tell(Stage::Lists);
    // Lists that cannot be fetched are as they were on the machine: installing tells what is missing.
    let lists = run_apt(&["update".to_owned()], tell).map_err(failed)?;
    let mut words = vec!["install".to_owned(), "--".to_owned()];
    words.extend(order.packages.iter().cloned());
    replace_by_copies(&words, tell).map_err(failed)?;
    let ended = run_apt(&words, tell).map_err(failed)?;
    if !ended.status.success() {
        return Err(refusal(&ended, &lists));
    }
    Ok(Installed {
        packages: dpkg::added(&before, &read(STATUS).map_err(failed)?),
        users: account::added(&users, &read("/etc/passwd").map_err(failed)?),
        groups: account::added(&groups, &read("/etc/group").map_err(failed)?),
    })
}

fn read(path: &str) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// Makes the root file system and enters it.
fn prepare(site: &Site) -> io::Result<()> {
    mount::make_private()?;
    for folder in [site.folder().to_owned(), site.written(""), site.work(""), site.folders(""), site.root()] {
        make_folder(&folder, 0o755)?;
    }
    let root = site.root();
    mount::mount_tmpfs(&site.folders(""), c"mode=0755,size=1g")?;
    mount::mount_tmpfs(&root, c"mode=0755,size=64m")?;
    for (name, mode) in [("dev", 0o755), ("proc", 0o555), ("sys", 0o555), ("run", 0o755), ("tmp", 0o1777)] {
        make_folder(&root.join(name), mode)?;
    }
    for (name, mode) in [("home", 0o755), ("mnt", 0o755), ("root", 0o700)] {
        make_folder(&root.join(name), mode)?;
    }
    make_folder(&root.join("run/lock"), 0o1777)?;
    for top in OVER_MACHINE {
        show_machine(site, top)?;
    }
    for top in OWN {
        make_folder(&site.written(top), 0o755)?;
        make_folder(&root.join(top), 0o755)?;
        mount::bind(&site.written(top), &root.join(top))?;
    }
    fill_etc(&root.join("etc"))?;
    fill_var(&root.join("var"))?;
    let policy = root.join("usr/sbin/policy-rc.d");
    write_new(&policy, "#!/bin/sh\nexit 101\n", 0o755)?;
    rootfs::devices(&root.join("dev"))?;
    rootfs::processes(&root.join("proc"))?;
    rootfs::enter(&root)
}

/// One folder of the machine, with an upper folder for what is written; or the link that it is.
fn show_machine(site: &Site, top: &str) -> io::Result<()> {
    let (machine, target) = (Path::new("/").join(top), site.root().join(top));
    let Ok(metadata) = machine.symlink_metadata() else { return Ok(()) };
    if metadata.is_symlink() {
        return symlink(fs::read_link(&machine)?, target);
    }
    let (written, work, folders) = (site.written(top), site.work(top), site.folders(top));
    for folder in [&written, &work, &folders, &target] {
        make_folder(folder, 0o755)?;
    }
    copy_folders(&machine, &folders)?;
    rootfs::overlay(&[&folders, &machine], &written, &work, &target)
}

/// A file in place of whatever is there.
fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::remove_file(path);
    fs::write(path, text)?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// The machine's configuration, with accounts that have no passwords and settings for installing in silence.
fn fill_etc(etc: &Path) -> io::Result<()> {
    copy_readable(Path::new("/etc"), etc)?;
    let accounts = [("passwd", "shadow", "19000:0:99999:7:::"), ("group", "gshadow", ":")];
    for (file, shadow, fields) in accounts {
        let text = String::from_utf8_lossy(&fs::read(etc.join(file))?).into_owned();
        write_new(&etc.join(shadow), &account::shadow(&text, fields), 0o640)?;
    }
    // May be a link into /run, where nothing is.
    write_new(&etc.join("resolv.conf"), &fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), 0o644)?;
    fs::create_dir_all(etc.join("apt/apt.conf.d"))?;
    fs::create_dir_all(etc.join("dpkg/dpkg.cfg.d"))?;
    write_new(&etc.join("apt/apt.conf.d/zzz-netyard"), APT_SETTINGS, 0o644)?;
    let excluded: String = NOT_UNPACKED.iter().map(|path| format!("path-exclude={path}/*\n")).collect();
    write_new(
        &etc.join("dpkg/dpkg.cfg.d/zzz-netyard"),
        &(excluded + "force-confnew\nforce-unsafe-io\n"),
        0o644,
    )
}

/// What the machine does before and after each installation is its own business (apt.conf(5) `#clear`).
const APT_SETTINGS: &str = r#"#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
#clear DPkg::Pre-Install-Pkgs;
APT::Sandbox::User "root";
APT::Install-Recommends "false";
APT::Get::Assume-Yes "true";
Acquire::Languages "none";
Acquire::Retries "2";
Dpkg::Use-Pty "false";
"#;

/// The folders that every system has, and the state of packages.
fn fill_var(var: &Path) -> io::Result<()> {
    for (path, mode) in VAR {
        let mut folder = var.to_owned();
        for part in Path::new(path) {
            folder.push(part);
            let is_last = folder == var.join(path);
            make_folder(&folder, if is_last { *mode } else { 0o755 })?;
        }
    }
    symlink("/run", var.join("run"))?;
    symlink("/run/lock", var.join("lock"))?;
    // What no layer has needs no disk.
    for path in ["lib/apt", "lib/dpkg"] {
        mount::mount_tmpfs(&var.join(path), c"mode=0755,size=1g")?;
    }
    fs::create_dir_all(var.join("lib/apt/lists/partial"))?;
    for path in VAR_COPIED {
        let machine = Path::new("/var").join(path);
        if machine.is_dir() {
            fs::create_dir_all(var.join(path))?;
            copy_readable(&machine, &var.join(path))?;
        }
    }
    Ok(())
}

const STATUS: &str = "/var/lib/dpkg/status";

/// Takes packages that the machine has out of sight, with their files, so that they are installed into the layer. What
/// the system does not work without stays. Returns the status that is left.
fn forget(packages: &[String]) -> io::Result<String> {
    let (status, gone) = dpkg::without(&read(STATUS)?, packages);
    for entry in fs::read_dir("/var/lib/dpkg/info")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((package, kind)) = name.rsplit_once('.') else { continue };
        let package = package.split(':').next().unwrap_or(package);
        if gone.iter().any(|other| other == package) {
            if kind == "list" {
                remove_files(&read(&entry.path().to_string_lossy())?);
            }
            fs::remove_file(entry.path())?;
        }
    }
    fs::write(STATUS, &status)?;
    Ok(status)
}

/// Removes the files of a list, but no folders. What cannot be removed is replaced, or told by dpkg.
fn remove_files(list: &str) {
    for path in list.lines() {
        // The lists name folders too, some of which are links (`/lib`).
        if !Path::new(path).is_dir() {
            let _ = fs::remove_file(path);
        }
    }
}

/// Replaces the files of packages that this run of apt would bring up to date by copies: dpkg links each to a name beside
/// it first, and nobody may link files of the machine's root (proc_sys_fs(5), `protected_hardlinks`).
fn replace_by_copies(words: &[String], tell: &mut dyn FnMut(Stage)) -> io::Result<()> {
    let simulated = run_apt(&[&["--simulate".to_owned()], words].concat(), tell)?;
    let packages = dpkg::upgraded(&simulated.said);
    for entry in fs::read_dir("/var/lib/dpkg/info")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let package = name.strip_suffix(".list").and_then(|package| package.split(':').next());
        if package.is_some_and(|package| packages.contains(&package)) {
            for path in read(&entry.path().to_string_lossy())?.lines() {
                // What may not be read is told by dpkg, if it is in the way.
                let _ = replace_by_copy(Path::new(path));
            }
        }
    }
    Ok(())
}

/// What a run of apt came to.
struct Ended {
    status: ExitStatus,
    /// What it printed.
    said: String,
}

/// Runs apt-get(8), telling how far it is.
fn run_apt(words: &[String], tell: &mut dyn FnMut(Stage)) -> io::Result<Ended> {
    let log = File::options().read(true).write(true).create(true).truncate(true).open("/tmp/apt.log")?;
    let (mut progress, writer) = io::pipe()?;
    // The only descriptor besides the standard ones that apt gets (apt.conf(5) `APT::Status-Fd`).
    rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty())?;
    let mut command = Command::new("/usr/bin/apt-get");
    command.arg("-o").arg(format!("APT::Status-Fd={}", writer.as_raw_fd())).args(words);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log.try_clone()?);
    for (name, value) in [
        ("PATH", PATH),
        ("HOME", "/root"),
        ("LC_ALL", "C.UTF-8"),
        ("TERM", "dumb"),
        ("DEBIAN_FRONTEND", "noninteractive"),
    ] {
        command.env(name, value);
    }
    for name in [
        "TMPDIR",
        "XDG_RUNTIME_DIR",
        "XDG_DATA_HOME",
        "DEBIAN_PRIORITY",
        "DPKG_ROOT",
        "APT_CONFIG",
        "LANGUAGE",
    ] {
        command.env_remove(name);
    }
    let mut child = command.spawn()?;
    drop(writer);
    let status = follow(&mut child, &mut progress, tell)?;
    let said = String::from_utf8_lossy(&fs::read("/tmp/apt.log")?).into_owned();
    Ok(Ended { status, said })
}

/// Reads lines of progress until apt has ended. Somebody whom it has started may keep the pipe open.
fn follow(
    child: &mut std::process::Child,
    progress: &mut io::PipeReader,
    tell: &mut dyn FnMut(Stage),
) -> io::Result<ExitStatus> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let moment = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };
    let (mut text, mut last) = (String::new(), None);
    loop {
        let mut fds = [PollFd::new(&*progress, PollFlags::IN)];
        if poll(&mut fds, Some(&moment))? > 0 {
            let mut bytes = [0; 4096];
            let got = progress.read(&mut bytes)?;
            if got == 0 {
                return child.wait();
            }
            text.push_str(&String::from_utf8_lossy(&bytes[..got]));
            while let Some(end) = text.find('\n') {
                let line: String = text.drain(..=end).collect();
                let stage = stage(&line);
                if stage.is_some() && stage != last {
                    last.clone_from(&stage);
                    stage.into_iter().for_each(&mut *tell);
                }
            }
        } else if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
    }
}

/// `dlstatus:3:25.5:Retrieving file 3 of 12`, `pmstatus:frr:40.0:Unpacking frr`.
fn stage(line: &str) -> Option<Stage> {
    let mut fields = line.split(':');
    let kind = fields.next()?;
    let percent = fields.nth(1)?.split('.').next()?.parse().ok()?;
    match kind {
        "dlstatus" => Some(Stage::Fetching(percent)),
        "pmstatus" => Some(Stage::Installing(percent)),
        _ => None,
    }
}

/// What apt complains of, in its own words.
fn refusal(ended: &Ended, lists: &Ended) -> Error {
    let complaints = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with("E: ") || line.starts_with("dpkg: error"));
        lines.map(str::to_owned).collect()
    };
    let said = complaints(&ended.said);
    let unknown = said.iter().find_map(|line| line.strip_prefix("E: Unable to locate package "));
    let mut error = match unknown {
        Some(package) => Error::input("U041", format!("apt knows no package `{package}`"))
            .help(format!("`apt-cache search {package}` on this machine finds names of packages")),
        None => Error::input("U041", "apt could not install the packages"),
    };
    if unknown.is_none() {
        error =
            telling(&ended.said).into_iter().fold(error, |error, line| error.note(format!("apt: {line}")));
    }
    // Without lists nothing is known; what kept them away is the cause.
    for line in complaints(&lists.said).into_iter().take(3) {
        error = error.note(format!("apt update: {line}"));
    }
    error
}

/// The lines that tell what failed, each with the one before, which tells at what.
fn telling(said: &str) -> Vec<&str> {
    const LINES_MAX: usize = 12;
    let lines: Vec<&str> = said.lines().collect();
    let is_error = |line: &str| line.starts_with("E: ") || line.to_ascii_lowercase().contains("error");
    let is_shown = |at: usize| is_error(lines[at]) || lines.get(at + 1).is_some_and(|next| is_error(next));
    let shown: Vec<&str> =
        (0..lines.len()).filter(|at| is_shown(*at)).map(|at| lines[at]).take(LINES_MAX).collect();
    if shown.is_empty() { lines[lines.len().saturating_sub(3)..].to_vec() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_failure_the_telling_lines_are_told() {
        let said = "Reading\nSetting up x\nx: cannot open\ndpkg: error processing package x\n y\nE: failed\n";
        let told = ["x: cannot open", "dpkg: error processing package x", " y", "E: failed"];
        assert_eq!(telling(said), told);
        assert_eq!(telling("a\nb\nc\nd\n"), ["b", "c", "d"]);
    }

    #[test]
    fn progress_of_apt_is_understood() {
        assert_eq!(
            stage("dlstatus:3:25.4932:Retrieving file 3 of 12 (2s remaining)\n"),
            Some(Stage::Fetching(25))
        );
        assert_eq!(stage("pmstatus:libc6:100.0:Installed libc6:amd64\n"), Some(Stage::Installing(100)));
        assert_eq!(stage("media-change: x:y\n"), None);
        assert_eq!(stage(""), None);
    }
}
