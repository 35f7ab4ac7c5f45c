//! What can be asked of a holder, and what it answers.

use crate::error::Error;
use crate::own_folders::OwnFolder;
use crate::probe::SocketKind;
use netyard_core::lab::{Lab, NodeKind};
use netyard_core::name::{IfName, LabName, NodeName};
use netyard_core::state::{Ns, State};
use netyard_core::step::Step;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// One request. Each is answered by one [`Reply`], after any number of [`Reply::Progress`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The first message of the process that started the holder: build this. Answered when the lab is ready.
    Build(Box<Spec>),
    /// From the process that started the holder: the lab is known to others now.
    Commit {
        /// Whether the lab lives on when that process ends.
        outlives_caller: bool,
    },
    /// What the lab is.
    Describe,
    /// The namespaces for a program that a person starts: inner user namespace (where there is one), network, mount
    /// and uts namespace travel with the answer.
    Enter {
        /// The node; none for the fabric, with all nodes listed by `ip netns`.
        node: Option<NodeName>,
        /// Folders that the program is to see with their owners.
        folders: Vec<OwnFolder>,
        /// When the answer was [`Reply::WantsFolders`]: where the trees of mounts go that travel with the request.
        trees: Option<Vec<PathBuf>>,
    },
    /// One more connection to the holder, which travels with the answer: for a conversation of its own.
    Connect,
    /// Sockets made inside nodes; they travel with the answer in this order. At most 250.
    Sockets(Vec<(NodeName, SocketKind)>),
    /// The network namespace of a node; it travels with the answer.
    Namespace(NodeName),
    /// A new terminal of a full node: the side on which a person types travels with the answer.
    Terminal(NodeName),
    /// All network namespaces from this place in their order on, at most 200; they travel with the answer, then the
    /// lab's user namespace and the mount namespaces of what persons have started.
    Namespaces {
        /// How many are known already.
        after: usize,
    },
    /// The live state of the kernel.
    Live,
    /// The steps that would make this of the running lab.
    Plan(Box<Spec>),
    /// Make this of the running lab, or leave it as it is.
    Apply(Box<Spec>),
    /// Pull or plug the cable of an interface: the node's end goes down or up.
    SetLink {
        /// The node.
        node: NodeName,
        /// Its interface.
        interface: IfName,
        /// Plugged or pulled.
        is_up: bool,
    },
    /// Answered when all programs that say when they are ready are so, or one has failed.
    AwaitReady,
    /// Runs what the lab file has for the lab's end (`stop:`); answered when all of that has ended, or its time is over.
    Stop,
    /// Files and folders of a full node; they travel with the answer as an archive (tar), by their paths without the
    /// first `/`.
    ReadFiles {
        /// The node.
        node: NodeName,
        /// Absolute paths.
        paths: Vec<PathBuf>,
        /// With all that is in folders.
        is_deep: bool,
    },
    /// Write the files of the archive (tar) that travels with the request into a full node.
    WriteFiles {
        /// The node.
        node: NodeName,
        /// Where: a folder that is there, or what the one that comes is to be.
        to: PathBuf,
        /// Whether it is a folder in any case.
        into_folder: bool,
    },
    /// What differs in a full node from the files that it began with.
    Differences(NodeName),
    /// The programs of the lab.
    Programs,
    /// What programs printed.
    Logs {
        /// Of this node only.
        node: Option<NodeName>,
        /// Of this program only.
        program: Option<String>,
        /// Go on with what they print from now on, until the connection closes.
        follow: bool,
    },
}

/// One answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It is done.
    Done,
    /// It cannot be done, and nothing has changed.
    Failed(Box<Error>),
    /// Steps done so far, of how many.
    Progress(usize, usize),
    /// For [`Request::Describe`].
    Description(Box<Description>),
    /// For [`Request::Enter`].
    Entrance(Entrance),
    /// For [`Request::Enter`]: the lab would keep these folders; the same again, with their trees.
    WantsFolders,
    /// For [`Request::Namespaces`].
    Namespaces(NamespaceNames),
    /// For [`Request::Live`].
    State(Box<State>),
    /// For [`Request::Plan`] and [`Request::Apply`].
    Changes(Changes),
    /// For [`Request::Programs`].
    Programs(Vec<ProgramStatus>),
    /// For [`Request::Differences`].
    Differences(Vec<Difference>),
    /// For [`Request::Logs`].
    Logs(Vec<LogChunk>),
}

/// What a holder is to build, and for whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// The lab.
    pub lab: Lab,
    /// The file it came from, absolute; none for standard input and for labs built by a program.
    pub file: Option<PathBuf>,
    /// The folder that the lab's programs see and start in.
    pub folder: PathBuf,
    /// The caller's home folders, hidden from the lab's programs.
    pub homes: Vec<PathBuf>,
    /// Whether a node may be the machine itself.
    pub allows_host: bool,
    /// Whether persons are to play in its nodes: they find small programs there in place of those that the machine
    /// lacks, and daemons can give up root.
    pub is_sandbox: bool,
    /// Whether what its nodes have changed by themselves stays when the lab changes.
    #[serde(default)]
    pub keeps_changes: bool,
    /// The change to the kernel that shall fail, for tests.
    pub fail_at: Option<usize>,
    /// Where the package layers are that full nodes name: a folder with `usr`, `etc`, `var` and so on, by name.
    #[serde(default)]
    pub layers: BTreeMap<String, PathBuf>,
    /// What travels with the lab: one for each descriptor, in their order.
    #[serde(default)]
    pub enclosed: Vec<Enclosed>,
    /// What of the machine's `/etc` and `/var` belongs to others than root, for the copies of full nodes.
    #[serde(default)]
    pub owned: Vec<Owned>,
}

/// A descriptor that travels with a lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Enclosed {
    /// The lab file's folder, a tree of mounts in which the lab's ids own what the same ids own outside.
    Folder,
    /// The files of full nodes: an archive (tar) in memory. The first part of each path in it is the node's name, the
    /// rest is the place in the node; owners are names of the node's accounts where there are names, else numbers.
    Bundle,
    /// An archive of a root file system that full nodes are made of.
    Archive {
        /// As the lab has it, absolute.
        source: PathBuf,
    },
    /// A folder that full nodes are made of or share, as a tree of mounts like that of the lab file's folder.
    Tree {
        /// As the lab has it, absolute.
        source: PathBuf,
        /// Whether nobody in the lab may write there.
        is_read_only: bool,
    },
}

/// A file or folder of the machine, and whose it is. The lab itself sees only that it is somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owned {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Its user's id.
    pub uid: u32,
    /// Its group's id.
    pub gid: u32,
    /// Its permission bits.
    pub mode: u32,
}

impl Spec {
    /// Whether a node has files and processes of its own.
    #[must_use]
    pub fn has_full_nodes(&self) -> bool {
        self.lab.nodes.iter().any(|node| node.kind == NodeKind::Full)
    }

    /// The folder of the lab file as its programs see it: not at all where that would show a home folder.
    #[must_use]
    pub fn shown_folder(&self) -> Option<&Path> {
        let shows_home = self.homes.iter().any(|home| home.starts_with(&self.folder));
        (!shows_home).then_some(self.folder.as_path())
    }
}

/// What it takes, or took, to make another lab of a running one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// To the kernel.
    pub steps: Vec<Step>,
    /// To what runs in the nodes.
    pub services: Vec<ServiceChange>,
}

impl Changes {
    /// Whether the lab is as it should be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.services.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.steps.len() + self.services.len()
    }
}

/// A change to what runs in a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceChange {
    /// A program that did not run.
    StartProgram {
        /// Its node.
        node: NodeName,
        /// Its name.
        program: String,
    },
    /// A program that the file says other things of than before.
    RestartProgram {
        /// Its node.
        node: NodeName,
        /// Its name.
        program: String,
    },
    /// A program that is no longer in the file.
    StopProgram {
        /// Its node.
        node: NodeName,
        /// Its name.
        program: String,
    },
    /// A full node that is made of something else than before: its processes end, and its files are new.
    RemakeNode {
        /// The node.
        node: NodeName,
    },
    /// Files that the lab file has for a full node, and that it says something else of than before.
    WriteFiles {
        /// The node.
        node: NodeName,
        /// Where they are in it.
        files: Vec<PathBuf>,
    },
    /// Programs that are started from now on see this host name.
    SetHostname {
        /// The node.
        node: NodeName,
        /// Its new host name.
        hostname: String,
    },
}

impl fmt::Display for ServiceChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartProgram { node, program } => write!(f, "start program {program} in {node}"),
            Self::RestartProgram { node, program } => write!(f, "restart program {program} in {node}"),
            Self::StopProgram { node, program } => write!(f, "stop program {program} in {node}"),
            Self::WriteFiles { node, files } => {
                let shown: Vec<String> =
                    files.iter().take(3).map(|file| file.display().to_string()).collect();
                write!(f, "write {} in {node}", shown.join(", "))?;
                match files.len() - shown.len() {
                    0 => Ok(()),
                    more => write!(f, " and {more} more"),
                }
            }
            Self::RemakeNode { node } => write!(f, "make {node} anew"),
            Self::SetHostname { node, hostname } => write!(f, "host name of {node} becomes {hostname}"),
        }
    }
}

/// A lab that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Description {
    /// Its definition.
    pub lab: Lab,
    /// The file it came from.
    pub file: Option<PathBuf>,
    /// When it became ready, in seconds since 1970.
    pub up_since: u64,
    /// Whether it is a sandbox.
    pub is_sandbox: bool,
    /// Whether it lives on when the process that started it ends.
    pub outlives_caller: bool,
}

/// How a program gets into a node, besides the descriptors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entrance {
    /// The lab.
    pub lab: LabName,
    /// `NAME`, `VALUE` of the node's environment.
    pub env: Vec<(String, String)>,
    /// Whether an inner user namespace comes before the network namespace.
    pub has_user_namespace: bool,
    /// Whether the node has files and processes of its own: pid, ipc and cgroup namespace come after the uts namespace.
    #[serde(default)]
    pub is_full: bool,
    /// The folder of programs in place of those that the machine lacks, where there is one.
    pub stand_ins: Option<PathBuf>,
    /// Whether setgroups(2) is to succeed although the user namespace has given it up.
    pub grants_setgroups: bool,
    /// Whether the folders asked for are not shown there: it is for the caller to show them.
    pub lacks_folders: bool,
}

/// Some of a lab's namespaces, in the order of the descriptors.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NamespaceNames {
    /// Their names.
    pub names: Vec<Ns>,
    /// How many there are in all.
    pub all: usize,
    /// Whether the lab's user namespace follows.
    pub has_user_namespace: bool,
}

/// A program of the lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// Its node.
    pub node: NodeName,
    /// Its name.
    pub name: String,
    /// What is executed.
    pub argv: Vec<String>,
    /// `running`, `waiting` (for its next start), `exited`.
    pub state: ProgramState,
    /// Whether it is ready; none where it says nothing of that.
    #[serde(default)]
    pub ready: Option<ReadyState>,
    /// How often it was started again.
    pub restarts: u32,
}

/// What a program does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgramState {
    /// It has not been started: others must be ready first.
    Held,
    /// It runs.
    Running,
    /// It has ended and will be started again.
    Waiting,
    /// It has ended, with this code (128 and the number of a signal).
    Exited(i32),
}

/// Whether a program is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadyState {
    /// Not yet.
    Pending,
    /// It is, or was once.
    Ready,
    /// It was not in time, has ended before, or waits for one that has.
    Failed,
}

/// A file that a node has added, changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Where it is in the node.
    pub path: PathBuf,
    /// What became of it.
    pub change: Change,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was not there.
    Added,
    /// It was there, and is something else now.
    Changed,
    /// It is no longer there.
    Removed,
}

/// Something that a program printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogChunk {
    /// Its node.
    pub node: NodeName,
    /// Its name.
    pub program: String,
    /// What it printed, whole lines where it printed whole lines; invalid UTF-8 is replaced.
    pub text: String,
}
