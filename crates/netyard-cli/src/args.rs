//! What can be typed.

pub mod kathara;
pub mod layer;
mod packets;
mod quantity;
mod sandbox;

pub use packets::*;
pub use sandbox::*;

use crate::completion;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use clap_complete::engine::ArgValueCompleter as Names;
use std::ffi::OsString;
use std::path::PathBuf;

/// Small networks of real Linux kernel parts, from one file, as an ordinary user, gone without a trace.
#[derive(Debug, Parser)]
#[command(name = "netyard", version, about)]
#[command(after_help = "Exit codes: 0 done, 1 an expectation failed, 2 bad input, 3 the kernel refused, \
                        130 interrupted.\n\
                        With one running lab its name may be left out; NETYARD_LAB or --lab names one of several.\n\
                        `netyard explain CODE` tells more about an error.")]
pub struct Args {
    /// The lab to work on, where several run
    #[arg(short, long, global = true, value_name = "NAME", add = Names::new(completion::labs))]
    pub lab: Option<String>,
    #[command(subcommand)]
    pub verb: Verb,
}

/// What was typed, where this process was started under the name of one of these verbs.
pub fn of_word(verbs: &[&str]) -> Option<Args> {
    let mut words = std::env::args_os();
    let first = words.next()?;
    let name = std::path::Path::new(&first).file_name()?;
    let verb = verbs.iter().find(|verb| name == **verb)?;
    Some(Args::parse_from([OsString::from("netyard"), OsString::from(verb)].into_iter().chain(words)))
}

#[derive(Debug, Subcommand)]
// Only the arguments of the verb that is typed are built: all of them take a quarter of a millisecond.
#[command(defer = true)]
pub enum Verb {
    /// Build a lab, or apply what differs to the one that runs; returns when it is ready
    Up(Up),
    /// Remove a running lab
    Down(Down),
    /// Running labs
    List(Json),
    /// The steps that `up` would take, as commands
    Plan(Plan),
    /// Nodes, interfaces, addresses, routes, NAT, sockets
    Show(Show),
    /// A picture of a lab
    Diagram(Diagram),
    /// See any network namespaces, whoever made them: links, addresses, routes, NAT; nothing is changed
    Look(Look),
    /// Go on telling what happens until interrupted: `netyard watch nat`
    #[command(subcommand)]
    Watch(Watch),
    /// Follow packets while they pass: each link, rule, route and translation on their way
    Trace(Trace),
    /// See packets at every interface of a lab, in order; as text, JSON or a file for Wireshark
    Capture(Capture),
    /// Watch a lab in Wireshark, live
    Wireshark(Wireshark),
    /// Run a program in a node
    Exec(Exec),
    /// A shell in a node; without a node: one that has all nodes in `ip netns`
    Shell(Shell),
    /// A shell on a machine of your own, to type ip, brctl, iptables ... for real
    Play(Play),
    /// Lessons, in a shell on a machine of your own: `netyard learn talk`
    Learn(Learn),
    /// The coach of a lesson, inside of its sandbox
    #[command(hide = true)]
    Coach,
    /// Check the expectations of a lab: of a private copy of FILE, or of a lab as it runs
    Test(Test),
    /// Ping from a node, or between all nodes
    Ping(Ping),
    /// Say why one node reaches another or does not; no packet is sent
    Why(Why),
    /// Pull or plug the cable of an interface
    Link(Link),
    /// What the lab's programs printed
    Logs(Logs),
    /// Copy files into a full node, or out of one: `SRC... NODE:PATH`, `NODE:PATH... DST`
    Cp(Cp),
    /// List the files that a full node has added (A), changed (C) or removed (D)
    Diff(Diff),
    /// Write the files that a full node has added or changed into a folder or .tar, for `files:` of a lab file
    Save(Save),
    /// Print a lab file of a regular shape
    New(New),
    /// Labs of Kathara as they are, with the words of its own commands
    #[command(disable_help_flag = true)]
    Kathara(kathara::Words),
    /// Print a lab file that is a lab of another program
    #[command(subcommand)]
    Import(kathara::Import),
    /// The JSON Schema of lab files, or of lessons
    Schema {
        #[arg(value_enum, default_value_t)]
        of: SchemaOf,
    },
    /// Packages for nodes, without touching the machine's: `netyard layer build frr`
    #[command(subcommand)]
    Layer(layer::Layer),
    /// What this machine and kernel allow
    Doctor(Json),
    /// What an error code means
    Explain {
        /// A code such as N014
        #[arg(add = Names::new(completion::codes))]
        code: String,
    },
    /// A script that completes commands and names: source <(netyard completions bash)
    Completions { shell: clap_complete::Shell },
}

#[derive(Debug, ClapArgs)]
pub struct Json {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Up {
    /// Lab file; `-` for standard input
    pub file: PathBuf,
    /// Check the expectations; exit code 1 if one fails. The lab stays up
    #[arg(long)]
    pub test: bool,
    /// Remove the lab afterwards (with --test or --run)
    #[arg(long)]
    pub rm: bool,
    /// Run a command with the lab up, then remove the lab; exits with the command's code
    #[arg(long, value_name = "CMD", num_args = 1.., allow_hyphen_values = true, value_terminator = ";")]
    pub run: Vec<OsString>,
    /// Node in which --run runs its command; outside of the lab when not given
    #[arg(long, requires = "run", value_name = "NODE", add = Names::new(completion::nodes_of_file))]
    pub r#in: Option<String>,
    /// Allow nodes of kind `host`, which are this machine itself (needs root)
    #[arg(long)]
    pub allow_host: bool,
    /// Print nothing but errors and, with --test, failures
    #[arg(short, long)]
    pub quiet: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Make the change to the kernel with this number fail (for tests)
    #[arg(long, hide = true)]
    pub fail_at: Option<usize>,
}

#[derive(Debug, ClapArgs)]
pub struct Down {
    /// Its name; the only running one when not given
    #[arg(add = Names::new(completion::labs))]
    pub name: Option<String>,
    /// Remove all of this user's labs
    #[arg(long, conflicts_with = "name")]
    pub all: bool,
    /// Wait until the kernel has given back every namespace
    #[arg(long)]
    pub wait: bool,
    /// Do not run the programs that the lab file has for the end (`stop:`)
    #[arg(long)]
    pub now: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Plan {
    /// Lab file; `-` for standard input
    pub file: PathBuf,
    /// A bash script that builds the same with ip, bridge, nft, tc, sysctl and ethtool
    #[arg(long)]
    pub script: bool,
    /// From nothing, even if the lab runs
    #[arg(long)]
    pub fresh: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Show {
    /// A running lab
    #[arg(add = Names::new(completion::labs))]
    pub name: Option<String>,
    /// Only these nodes
    #[arg(short, long, value_name = "NODE", add = Names::new(completion::nodes))]
    pub node: Vec<String>,
    /// Connection tracking entries of nodes that translate addresses
    #[arg(long)]
    pub nat: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Diagram {
    /// A lab file, or the name of a running lab
    #[arg(add = Names::new(completion::targets))]
    pub target: Option<String>,
    #[command(flatten)]
    pub form: Form,
    /// Print JSON: the lab as understood
    #[arg(long, group = "form")]
    pub json: bool,
}

// The form of a picture. No doc comment: it would become the help of each verb that has it.
#[derive(Debug, ClapArgs)]
#[group(skip)]
pub struct Form {
    /// Letters of ASCII only
    #[arg(long, group = "form")]
    pub ascii: bool,
    /// Scalable Vector Graphics
    #[arg(long, group = "form")]
    pub svg: bool,
    /// Mermaid flowchart
    #[arg(long, group = "form")]
    pub mermaid: bool,
    /// Graphviz
    #[arg(long, group = "form")]
    pub dot: bool,
    /// Columns; those of the terminal when not given
    #[arg(long, value_name = "COLUMNS")]
    pub width: Option<usize>,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Without a name: inside of a lab or sandbox all that is there; outside the running lab, or where \
                        none runs this namespace and those that it is cabled to."
)]
pub struct Look {
    #[command(flatten)]
    pub place: Place,
    #[command(flatten)]
    pub form: Form,
    /// A bash script of ip, nft, iptables-legacy and sysctl commands that builds the same
    #[arg(long, group = "form")]
    pub script: bool,
    /// A lab file that builds the same
    #[arg(long, group = "form")]
    pub yaml: bool,
    /// Go on until interrupted: show what changes
    #[arg(short, long, conflicts_with_all = ["script", "yaml", "svg", "mermaid", "dot"])]
    pub watch: bool,
    /// Print JSON
    #[arg(long, group = "form")]
    pub json: bool,
}

// What is looked at. No doc comment: it would become the help of each verb that has it.
#[derive(Debug, ClapArgs)]
#[group(skip)]
pub struct Place {
    /// A running lab, with what was made inside of it
    #[arg(add = Names::new(completion::labs), group = "scope")]
    pub name: Option<String>,
    #[command(flatten)]
    pub reach: Reach,
}

// How far one looks outside of labs.
#[derive(Debug, ClapArgs)]
#[group(skip)]
pub struct Reach {
    /// The namespace of a process, and those that it is cabled to
    #[arg(long, group = "scope")]
    pub pid: Option<u32>,
    /// The namespace of this name (as `ip netns` makes them) or path, and those that it is cabled to
    #[arg(long, value_name = "NAME", group = "scope")]
    pub netns: Option<String>,
    /// All namespaces of this machine: named ones, containers, processes
    #[arg(long, group = "scope")]
    pub host: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Exec {
    /// The node
    #[arg(add = Names::new(completion::nodes))]
    pub node: String,
    /// Print JSON with the program's status and output
    #[arg(long)]
    pub json: bool,
    /// Program and arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, ClapArgs)]
pub struct Shell {
    /// The node
    #[arg(add = Names::new(completion::nodes))]
    pub node: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum SchemaOf {
    /// Lab files
    #[default]
    Lab,
    /// Lessons
    Lesson,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum TestFormat {
    #[default]
    Text,
    Json,
    Junit,
    Tap,
}

#[derive(Debug, ClapArgs)]
pub struct Test {
    /// A lab file, the name of a running lab, or a file for kathara-lab-checker
    #[arg(add = Names::new(completion::targets))]
    pub target: Option<String>,
    /// The folder of the lab that a file for kathara-lab-checker is about; beside that file when not given
    #[arg(short, long, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Form of the report
    #[arg(long, value_enum, default_value_t)]
    pub format: TestFormat,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Allow nodes of kind `host`, which are this machine itself (needs root)
    #[arg(long)]
    pub allow_host: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Ping {
    /// The node that pings
    #[arg(add = Names::new(completion::nodes), required_unless_present = "all")]
    pub from: Option<String>,
    /// Node, address, or name
    #[arg(add = Names::new(completion::nodes), required_unless_present = "all")]
    pub to: Option<String>,
    /// Every node pings every other one
    #[arg(long, conflicts_with_all = ["from", "to"])]
    pub all: bool,
    /// Echo requests, 1 and more
    #[arg(short, long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
    /// Payload in bytes
    #[arg(short, long, default_value_t = 56)]
    pub size: u16,
    /// Do not fragment
    #[arg(long)]
    pub df: bool,
    /// Time to live
    #[arg(short, long)]
    pub ttl: Option<u8>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Plug {
    Up,
    Down,
}

#[derive(Debug, ClapArgs)]
pub struct Link {
    /// The node
    #[arg(add = Names::new(completion::nodes))]
    pub node: String,
    /// Its interface
    #[arg(add = Names::new(completion::interfaces))]
    pub interface: String,
    /// `down` pulls the cable: this end is set down, the other one has no carrier; `up` plugs it
    pub state: Plug,
}

#[derive(Debug, ClapArgs)]
pub struct Cp {
    /// What is copied, and where to; one side is in a node
    #[arg(required = true, num_args = 2..)]
    pub paths: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Diff {
    /// A full node
    #[arg(add = Names::new(completion::nodes))]
    pub node: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Save {
    /// A full node
    #[arg(add = Names::new(completion::nodes))]
    pub node: String,
    /// A folder or .tar that is made; a folder with the node's name when not given
    pub to: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
pub struct Logs {
    /// Of this node only
    #[arg(add = Names::new(completion::nodes))]
    pub node: Option<String>,
    /// Of this program only
    #[arg(add = Names::new(completion::programs))]
    pub program: Option<String>,
    /// Go on until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Shape {
    /// Hosts on one LAN behind a router with NAPT
    Star,
    /// Routers one after the other
    Line,
    /// Routers in a circle
    Ring,
    /// Routers as a binary tree, hosts at the leaves
    Tree,
}

#[derive(Debug, ClapArgs)]
pub struct New {
    pub shape: Shape,
    /// How many
    pub count: usize,
}
