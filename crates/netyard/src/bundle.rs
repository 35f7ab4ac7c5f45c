//! The files that a lab's nodes get, read by whoever starts the lab and packed for its holder.
//!
//! A tar archive in memory (memfd_create(2)): the first part of each path is the node, the rest is the place in it. Only
//! what is below the lab file's folder is read, whatever symbolic links say.

use crate::error::{Error, Result};
use netyard_core::lab::{FileContent, Lab, NodeFile};
use netyard_core::name::NodeName;
use netyard_kernel::beneath;
use rustix::fs::{FileType, MemfdFlags, memfd_create};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// What the Finder of macOS leaves in folders; Kathara copies no such file.
const FINDER: &str = ".DS_Store";
/// The most that all files together take, in bytes: they are in memory, once packed and once in the lab.
pub(crate) const BYTES_MAX: u64 = 512 << 20;
/// How deep folders may lie in each other: symbolic links that are followed can go in circles.
const DEPTH_MAX: usize = 64;

/// Packs the files of all nodes; none where no node has any.
///
/// # Errors
/// What cannot be read, or may not be.
pub(crate) fn of(lab: &Lab, folder: &Path) -> Result<Option<OwnedFd>> {
    if lab.nodes.iter().all(|node| node.root.files.is_empty()) {
        return Ok(None);
    }
    let failed = |what: &str, e: &io::Error| Error::io(format!("cannot {what} for the files of nodes"), e);
    let memory = memfd_create("netyard-files", MemfdFlags::CLOEXEC);
    let memory = memory.map_err(|e| failed("take memory", &e.into()))?;
    let base = Base::open(folder)?;
    let mut bundle = Bundle { base, archive: Builder::new(File::from(memory)), bytes: 0 };
    for node in &lab.nodes {
        for file in &node.root.files {
            bundle.add(&node.name, file)?;
        }
    }
    let mut memory = bundle.archive.into_inner().map_err(|e| failed("end the archive", &e))?;
    memory.seek(SeekFrom::Start(0)).map_err(|e| failed("go back", &e))?;
    Ok(Some(memory.into()))
}

/// Packs files and folders of the caller's, each under its own name.
///
/// # Errors
/// What cannot be read.
pub(crate) fn of_sources(node: &NodeName, sources: &[PathBuf]) -> Result<OwnedFd> {
    let failed =
        |what: &str, e: &io::Error| Error::io(format!("cannot {what} for the files to be copied"), e);
    let memory = memfd_create("netyard-files", MemfdFlags::CLOEXEC);
    let mut archive = Builder::new(File::from(memory.map_err(|e| failed("take memory", &e.into()))?));
    let mut bytes = 0;
    for source in sources {
        // A link that is named is followed; those in folders are copied as links.
        let real = source
            .canonicalize()
            .map_err(|e| unreadable(format!("cannot read {}: {e}", source.display())))?;
        let (folder, name) = match (real.parent(), real.file_name()) {
            (Some(folder), Some(name)) => (folder, Path::new(name)),
            _ => return Err(unreadable("the whole machine cannot be copied")),
        };
        let mut bundle = Bundle { base: Base::open(folder)?, archive, bytes };
        let place = source.file_name().map_or(name, Path::new);
        let content = FileContent::From { path: String::new(), fixes_text: false };
        let file = NodeFile { path: place.display().to_string(), content, mode: None, owner: None };
        bundle.add_from(&Copied { node, file: &file, fixes_text: false }, name, place, 0)?;
        (archive, bytes) = (bundle.archive, bundle.bytes);
    }
    let mut memory = archive.into_inner().map_err(|e| failed("end the archive", &e))?;
    memory.seek(SeekFrom::Start(0)).map_err(|e| failed("go back", &e))?;
    Ok(memory.into())
}

/// The lab file's folder.
struct Base {
    path: PathBuf,
    fd: File,
}

impl Base {
    fn open(path: &Path) -> Result<Self> {
        let fd = File::open(path)
            .map_err(|e| unreadable(format!("cannot open the lab file's folder {}: {e}", path.display())))?;
        Ok(Self { path: path.to_owned(), fd })
    }
}

struct Bundle {
    base: Base,
    archive: Builder<File>,
    /// How much the files take so far.
    bytes: u64,
}

/// A file or tree on its way into a node.
struct Copied<'a> {
    node: &'a NodeName,
    file: &'a NodeFile,
    /// Whether symbolic links are followed, and texts are put right.
    fixes_text: bool,
}

impl Bundle {
    fn add(&mut self, node: &NodeName, file: &NodeFile) -> Result<()> {
        let place = archive_path(node, &file.path);
        match &file.content {
            FileContent::Text(text) => {
                let header = header(EntryType::Regular, file.mode.unwrap_or(0o644), 0, file.owner.as_deref());
                self.add_bytes(node, header, &place, text.as_bytes())
            }
            FileContent::From { path, fixes_text } => {
                let copied = Copied { node, file, fixes_text: *fixes_text };
                self.add_from(&copied, Path::new(path), &place, 0)
            }
        }
    }

    /// Adds what is at a path below the lab file's folder. What the file itself names is followed; links in a tree are
    /// copied as links, but in Kathara's trees.
    fn add_from(&mut self, copied: &Copied<'_>, source: &Path, place: &Path, depth: usize) -> Result<()> {
        let follows = depth == 0 || copied.fixes_text;
        let told = |e: &io::Error| self.base.told(copied, source, e);
        let kind = beneath::file_type(self.base.fd.as_fd(), source, follows).map_err(|e| told(&e))?;
        match kind {
            FileType::RegularFile | FileType::Directory if depth <= DEPTH_MAX => {}
            FileType::Symlink => {
                let target = beneath::read_link(self.base.fd.as_fd(), source).map_err(|e| told(&e))?;
                return self.add_link(copied, place, OsStr::from_bytes(target.as_bytes()));
            }
            FileType::Directory | FileType::RegularFile => return Err(self.base.too_deep(source)),
            other => {
                let title = format!("{} is {}", self.base.shown(source), name_of(other));
                return Err(unreadable(title)
                    .note(wanted_for(copied))
                    .help("only files, folders and symbolic links can be copied"));
            }
        }
        let opened = beneath::open(self.base.fd.as_fd(), source, follows).map_err(|e| told(&e))?;
        let mut opened = File::from(opened);
        let metadata = opened.metadata().map_err(|e| told(&e))?;
        // What is there now: it may have been replaced since it was looked at.
        if metadata.is_dir() {
            self.add_folder(copied, source, place, &opened, depth)
        } else if metadata.is_file() {
            self.make_room(copied.node, metadata.len())?;
            let mut content = Vec::new();
            Read::by_ref(&mut opened).take(BYTES_MAX + 1).read_to_end(&mut content).map_err(|e| told(&e))?;
            if copied.fixes_text {
                content = without_windows_marks(content);
            }
            let header = copied.header(EntryType::Regular, &metadata);
            self.add_bytes(copied.node, header, place, &content)
        } else {
            Err(unreadable(format!("{} changes while it is read", self.base.shown(source))))
        }
    }

    fn add_folder(
        &mut self,
        copied: &Copied<'_>,
        source: &Path,
        place: &Path,
        folder: &File,
        depth: usize,
    ) -> Result<()> {
        let told = |e: &io::Error| self.base.told(copied, source, e);
        let metadata = folder.metadata().map_err(|e| told(&e))?;
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(folder).map_err(|e| told(&e.into()))? {
            let entry = entry.map_err(|e| told(&e.into()))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
            let is_left_out = copied.fixes_text && name == FINDER;
            if name != "." && name != ".." && !is_left_out {
                names.push(name);
            }
        }
        // The same folder gives the same archive.
        names.sort();
        // The root of the node is there, as it should be.
        if place != Path::new(copied.node.as_str()) {
            self.add_bytes(copied.node, copied.header(EntryType::Directory, &metadata), place, &[])?;
        }
        names
            .iter()
            .try_for_each(|name| self.add_from(copied, &source.join(name), &place.join(name), depth + 1))
    }

    fn add_link(&mut self, copied: &Copied<'_>, place: &Path, target: &OsStr) -> Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, 0, copied.file.owner.as_deref());
        self.make_room(copied.node, 0)?;
        let added = self.archive.append_link(&mut header, place, Path::new(target));
        added.map_err(|e| not_packed(copied.node, &e))
    }

    fn add_bytes(&mut self, node: &NodeName, mut header: Header, place: &Path, bytes: &[u8]) -> Result<()> {
        self.make_room(node, bytes.len() as u64)?;
        self.bytes += bytes.len() as u64;
        header.set_size(bytes.len() as u64);
        self.archive.append_data(&mut header, place, bytes).map_err(|e| not_packed(node, &e))
    }

    fn make_room(&self, node: &NodeName, bytes: u64) -> Result<()> {
        if self.bytes.saturating_add(bytes) <= BYTES_MAX {
            return Ok(());
        }
        let title =
            format!("with those of `{}` the files of nodes take more than {} MiB", node, BYTES_MAX >> 20);
        Err(unreadable(title)
            .note("they are kept in memory, for each node of a range once")
            .help("`binds` shows a node a folder of the machine without a copy"))
    }
}

impl Base {
    fn shown(&self, path: &Path) -> String {
        self.path.join(path).display().to_string()
    }

    fn too_deep(&self, source: &Path) -> Error {
        let title = format!("the folders of {} lie too deep in each other", self.shown(source));
        unreadable(title).help("does a symbolic link lead to a folder above itself?")
    }

    /// Why something is not copied.
    fn told(&self, copied: &Copied<'_>, source: &Path, error: &io::Error) -> Error {
        let result = match rustix::io::Errno::from_io_error(error) {
            Some(rustix::io::Errno::XDEV) => {
                let title = format!("{} leads out of the lab file's folder", self.shown(source));
                unreadable(title).help("a lab takes files only from its own folder: copy what it needs there")
            }
            Some(rustix::io::Errno::NOENT) => {
                let title = format!("there is no {}", self.shown(source));
                unreadable(title).help(format!("paths behind `from` begin in {}", self.path.display()))
            }
            Some(rustix::io::Errno::LOOP) => self.too_deep(source),
            _ => unreadable(format!("cannot read {}: {error}", self.shown(source))),
        };
        result.note(wanted_for(copied))
    }
}

impl Copied<'_> {
    /// As its source, but for what the lab file says. A mode for a whole tree is one for files; folders get in addition
    /// what it takes to enter them.
    fn header(&self, kind: EntryType, metadata: &std::fs::Metadata) -> Header {
        let mode = match self.file.mode {
            Some(mode) if kind == EntryType::Directory => mode | (mode & 0o444) >> 2,
            Some(mode) => mode,
            None => metadata.mode() & 0o7777,
        };
        let mtime = u64::try_from(metadata.mtime()).unwrap_or(0);
        header(kind, mode, mtime, self.file.owner.as_deref())
    }
}

/// Owners are names, which the node knows; a number stays one, and root is who nobody names.
pub(crate) fn header(kind: EntryType, mode: u32, mtime: u64, owner: Option<&str>) -> Header {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(mtime);
    header.set_size(0);
    let (user, group) = owner
        .unwrap_or("root")
        .split_once(':')
        .map_or_else(|| (owner.unwrap_or("root"), ""), |(user, group)| (user, group));
    header.set_uid(user.parse().unwrap_or(0));
    header.set_gid(group.parse().unwrap_or(0));
    // The decoder of lab files lets no name pass that does not fit.
    if user.parse::<u32>().is_err() {
        let _ = header.set_username(user);
    }
    if group.parse::<u32>().is_err() {
        let _ = header.set_groupname(group);
    }
    header
}

fn archive_path(node: &NodeName, path: &str) -> PathBuf {
    Path::new(node.as_str()).join(path.trim_start_matches('/'))
}

/// A text without the mark and line ends of Windows; anything else as it is.
fn without_windows_marks(content: Vec<u8>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&content) else { return content };
    if text.contains('\0') || !text.contains(['\r', '\u{feff}']) {
        return content;
    }
    text.trim_start_matches('\u{feff}').replace("\r\n", "\n").into_bytes()
}

fn name_of(kind: FileType) -> &'static str {
    match kind {
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        _ => "no file",
    }
}

fn wanted_for(copied: &Copied<'_>) -> String {
    format!("wanted for {} of node `{}`", copied.file.path, copied.node)
}

fn unreadable(title: impl Into<String>) -> Error {
    Error::input("U043", title)
}

fn not_packed(node: &NodeName, error: &io::Error) -> Error {
    unreadable(format!("cannot pack the files of node `{node}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use netyard_core::labfile::{Source, parse};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// A folder of a test's own.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("netyard-bundle-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        fn packed(&self, text: &str) -> Result<Vec<String>> {
            let lab = parse(&Source::new("t.yaml", text)).unwrap().lab;
            packed(&lab, &self.0)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    /// What is in the archive: kind, mode, owner, path, content.
    fn packed(lab: &Lab, folder: &Path) -> Result<Vec<String>> {
        let Some(memory) = of(lab, folder)? else { return Ok(Vec::new()) };
        let mut archive = tar::Archive::new(File::from(memory));
        let told = |mut entry: tar::Entry<'_, File>| {
            let header = entry.header().clone();
            let name = |name: Option<&str>| name.unwrap_or_default().to_owned();
            let (user, group) = (name(header.username().unwrap()), name(header.groupname().unwrap()));
            let path = entry.path().unwrap().display().to_string();
            let link =
                entry.link_name().unwrap().map(|link| format!(" -> {}", link.display())).unwrap_or_default();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            let kind = match header.entry_type() {
                EntryType::Regular => '-',
                EntryType::Directory => 'd',
                EntryType::Symlink => 'l',
                _ => '?',
            };
            format!("{kind}{:04o} {user}:{group} {path}{link} {content}", header.mode().unwrap())
                .trim_end()
                .to_owned()
        };
        Ok(archive.entries().unwrap().map(|entry| told(entry.unwrap())).collect())
    }

    #[test]
    fn files_and_trees_are_packed_for_each_node() {
        let folder = Folder::new("all");
        fs::create_dir_all(folder.0.join("tree/etc/x")).unwrap();
        fs::write(folder.0.join("tree/etc/x/run"), "#!/bin/sh").unwrap();
        fs::set_permissions(folder.0.join("tree/etc/x/run"), fs::Permissions::from_mode(0o750)).unwrap();
        fs::set_permissions(folder.0.join("tree/etc/x"), fs::Permissions::from_mode(0o700)).unwrap();
        fs::set_permissions(folder.0.join("tree/etc"), fs::Permissions::from_mode(0o755)).unwrap();
        symlink("/etc/passwd", folder.0.join("tree/etc/link")).unwrap();
        fs::write(folder.0.join("zone"), "@ SOA").unwrap();
        let packed = folder.packed(
            "nodes: { 'h[1-2]': { files: [tree, { /etc/motd: hi, /z: { from: zone, mode: 0640, owner: 'bind:7' } }] } }",
        );
        let of_node = |node: &str| {
            [
                format!("d0755 root: {node}/etc"),
                format!("l0777 root: {node}/etc/link -> /etc/passwd"),
                format!("d0700 root: {node}/etc/x"),
                format!("-0750 root: {node}/etc/x/run #!/bin/sh"),
                format!("-0644 root: {node}/etc/motd hi"),
                format!("-0640 bind: {node}/z @ SOA"),
            ]
        };
        assert_eq!(packed.unwrap(), [of_node("h1"), of_node("h2")].concat());
        assert_eq!(folder.packed("nodes: { a: ~ }").unwrap(), [""; 0]);
    }

    #[test]
    fn nothing_outside_of_the_folder_is_packed() {
        let outer = Folder::new("outer");
        let folder = Folder(outer.0.join("lab"));
        fs::create_dir_all(folder.0.join("tree")).unwrap();
        fs::write(outer.0.join("secret"), "x").unwrap();
        symlink("../secret", folder.0.join("out")).unwrap();
        symlink("/etc/passwd", folder.0.join("tree/absolute")).unwrap();
        symlink(".", folder.0.join("tree/round")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            folder.0.join("pipe"),
            FileType::Fifo,
            rustix::fs::Mode::RUSR,
            0,
        )
        .unwrap();
        let refused = |from: &str, words: &str| {
            let error = folder
                .packed(&format!("nodes: {{ a: {{ files: {{ /x: {{ from: {from} }} }} }} }}"))
                .unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert!(error.to_string().contains("wanted for /x of node `a`"), "{error}");
        };
        refused("out", "leads out of the lab file's folder");
        refused("pipe", "is a named pipe");
        refused("missing", "there is no ");
    }

    #[test]
    fn where_links_are_followed_they_stay_below_and_texts_are_put_right() {
        let folder = Folder::new("fixed");
        fs::create_dir_all(folder.0.join("dev")).unwrap();
        fs::write(folder.0.join("text"), "\u{feff}a\r\nb\r\n").unwrap();
        fs::write(folder.0.join("dev/binary"), b"\0\r\n").unwrap();
        symlink("../text", folder.0.join("dev/link")).unwrap();
        let mut lab = parse(&Source::new("t.yaml", "nodes: { a: { files: dev } }")).unwrap().lab;
        let fix = |lab: &mut Lab| {
            let FileContent::From { fixes_text, .. } = &mut lab.nodes[0].root.files[0].content else {
                panic!()
            };
            *fixes_text = true;
        };
        fix(&mut lab);
        let texts = packed(&lab, &folder.0).unwrap();
        assert_eq!(texts, ["-0644 root: a/binary \0", "-0644 root: a/link a\nb"]);
        symlink("/etc/passwd", folder.0.join("dev/out")).unwrap();
        let error = packed(&lab, &folder.0).unwrap_err();
        assert!(error.to_string().contains("leads out"), "{error}");
        fs::remove_file(folder.0.join("dev/out")).unwrap();
        symlink(".", folder.0.join("dev/round")).unwrap();
        let error = packed(&lab, &folder.0).unwrap_err();
        assert!(error.to_string().contains("too deep"), "{error}");
    }
}
