//! What can be typed.

pub mod kathara;
pub mod layer;
mod quantity;

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

// Which version of IP is meant.
#[derive(Debug, Clone, Copy, ClapArgs)]
#[group(skip)]
pub struct Version {
    /// IPv4 only
    #[arg(short = '4', conflicts_with = "v6")]
    pub v4: bool,
    /// IPv6 only
    #[arg(short = '6')]
    pub v6: bool,
}

impl Version {
    pub fn versions(self) -> netyard_core::why::Versions {
        use netyard_core::why::Versions;
        match (self.v4, self.v6) {
            (true, _) => Versions::V4,
            (_, true) => Versions::V6,
            _ => Versions::Any,
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Watch {
    /// Connections of nodes that translate addresses: the packet as it came, and what an answer looks like
    #[command(after_help = "\
Without a terminal each change is a line: = was there already, + new, ~ changed (an answer came, the handshake went on), \
- forgotten.

Without a name: inside of a lab or sandbox all that is there; outside the running lab, or where none runs this namespace \
and those that it is cabled to.")]
    Nat(WatchNat),
}

#[derive(Debug, ClapArgs)]
pub struct WatchNat {
    #[command(flatten)]
    pub place: Place,
    /// Print JSON, one object for each change
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  netyard trace pc 1.1.1.1                   one ping
  netyard trace pc web tcp:80                one connection
  netyard trace pc:eth1 web -6               one ping by that interface, over IPv6
  netyard trace pc -- curl -I 1.1.1.1        all packets of a command
  netyard trace --follow host 1.1.1.1        all packets of a filter (as tcpdump has them), until Ctrl-C
  netyard trace pc 1.1.1.1 --save ping.trace
  netyard trace --replay ping.trace          step by step, with the picture

Inside of a sandbox, and where no lab runs, nodes are network namespaces as `netyard look` names them.
Exit codes: 0 everything arrived, 1 something was lost or refused, or what the command says.")]
pub struct Trace {
    /// The node that sends, or NODE:INTERFACE to send by that interface
    #[arg(add = Names::new(completion::nodes), required_unless_present_any = ["follow", "replay"])]
    pub node: Option<String>,
    /// Node, NODE:INTERFACE, address or name that a ping or a connection goes to
    #[arg(add = Names::new(completion::nodes), conflicts_with_all = ["follow", "replay"])]
    pub to: Option<String>,
    /// `icmp`, `tcp:PORT` or `udp:PORT`
    #[arg(default_value = "icmp", value_name = "WHAT", value_parser = about)]
    pub about: netyard_core::why::About,
    /// A command to run in the node; all packets from and to the node are followed meanwhile
    #[arg(last = true, conflicts_with_all = ["to", "follow", "replay"])]
    pub command: Vec<OsString>,
    /// Follow all packets that a filter lets pass (pcap-filter(7): host, net, port, tcp, udp, icmp, arp ...)
    #[arg(short, long, num_args = 0.., value_name = "FILTER", conflicts_with_all = ["node", "replay"])]
    pub follow: Option<Vec<String>>,
    /// End after this time, for example 10s or 500ms (with --follow)
    #[arg(long = "for", value_name = "DURATION", value_parser = quantity::duration, requires = "follow")]
    pub limit: Option<std::time::Duration>,
    /// End after so many conversations (with --follow)
    #[arg(short, long, requires = "follow", value_parser = clap::value_parser!(u32).range(1..))]
    pub count: Option<u32>,
    /// Payload of the ping in bytes; 56 when not given
    #[arg(short, long)]
    pub size: Option<u16>,
    /// Do not fragment the ping
    #[arg(long)]
    pub df: bool,
    /// Time to live of the ping
    #[arg(short, long, value_parser = clap::value_parser!(u8).range(1..))]
    pub ttl: Option<u8>,
    /// Let the kernel tell itself which packets it drops, and why (root only)
    #[arg(long, conflicts_with = "replay")]
    pub deep: bool,
    /// Show also what hosts tell each other by themselves, and each packet in full
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub version: Version,
    #[command(flatten)]
    pub reach: Reach,
    /// Letters of ASCII only
    #[arg(long)]
    pub ascii: bool,
    /// No colours, also on a terminal
    #[arg(long)]
    pub no_color: bool,
    /// Write what was seen to a file, for --replay
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Show a saved trace step by step: n next, p back, space all of a packet, q end
    #[arg(long, value_name = "FILE")]
    pub replay: Option<PathBuf>,
    /// Print this step only (with --replay)
    #[arg(long, requires = "replay")]
    pub step: Option<usize>,
    /// Print JSON, one line for each conversation
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The first words are nodes, or interfaces as NODE:IF; without any all of the lab. The rest is a filter as tcpdump takes \
it, in which a node's name stands for its addresses:

  netyard capture                              all packets, a line at each interface that they pass
  netyard capture router icmp                  those of one node
  netyard capture pc:eth0 router host 1.1.1.1 and tcp port 80
  netyard capture -w lab.pcapng                a file for Wireshark, with node names and remarks about NAT
  netyard capture -w - | wireshark -k -i -     the same, live

Inside of a lab or sandbox all that is there is captured; outside the running lab, or where none runs this namespace and \
those that it is cabled to. It ends with Ctrl-C, and tells then what was lost.")]
pub struct Capture {
    /// Nodes or NODE:IF, then a filter
    #[arg(value_name = "NODE|FILTER", add = Names::new(completion::nodes))]
    pub words: Vec<String>,
    /// Write a capture file (pcapng); `-` for standard output
    #[arg(short, long, value_name = "FILE")]
    pub write: Option<PathBuf>,
    /// Replace FILE if it is there
    #[arg(long, requires = "write")]
    pub force: bool,
    /// End after so many packets, each counted at every interface that it passes
    #[arg(short, long, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,
    /// End after this time: 10s, 500ms, 2m
    #[arg(long, value_name = "DURATION", value_parser = quantity::duration)]
    pub r#for: Option<std::time::Duration>,
    #[command(flatten)]
    pub kept: Kept,
    /// All namespaces of this machine
    #[arg(long)]
    pub host: bool,
    /// Say more of each packet
    #[arg(short, long)]
    pub verbose: bool,
    /// Show Ethernet addresses
    #[arg(short = 'e', long)]
    pub link_header: bool,
    /// Print JSON, a line for each packet
    #[arg(long, conflicts_with = "write")]
    pub json: bool,
}

// How packets are kept. No doc comment: it would become the help of each verb that has it.
#[derive(Debug, ClapArgs)]
pub struct Kept {
    /// Bytes of each packet that are kept
    #[arg(long, value_name = "BYTES", default_value_t = netyard::capture::SNAP,
          value_parser = clap::value_parser!(u32).range(64..=i64::from(netyard::capture::SNAP_MAX)))]
    pub snap: u32,
    /// Room for packets in each namespace until they are read: 512K, 8M
    #[arg(long, value_name = "SIZE", value_parser = quantity::size)]
    pub ring: Option<usize>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
`netyard wireshark --install` makes running labs interfaces of Wireshark, beside those of the machine; as an ordinary \
user, for that user.")]
pub struct Wireshark {
    /// Nodes or NODE:IF, then a filter, as with `netyard capture`
    #[arg(value_name = "NODE|FILTER", add = Names::new(completion::nodes))]
    pub words: Vec<String>,
    /// Make running labs interfaces of Wireshark, from now on
    #[arg(long, group = "setup", conflicts_with = "words")]
    pub install: bool,
    /// Undo --install
    #[arg(long, group = "setup", conflicts_with = "words")]
    pub uninstall: bool,
    #[command(flatten)]
    pub kept: Kept,
    /// All namespaces of this machine
    #[arg(long)]
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

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The machine is called vm. It has one interface, ens4, with 10.138.0.3/32, a gateway 10.138.0.1, and an internet that \
answers every address: ping 1.1.1.1, curl -I 1.1.1.1. You are root there: ip netns add, ip link, brctl, iptables, \
sysctl, tcpdump do what they say, there only. Your own files are as they are; /run is the machine's own.

What the real machine lacks of ping, brctl, curl, tcpdump and iptables, netyard stands in for.

`netyard play` once more, in another terminal, joins the same machine. It ends with the terminal that started it, and \
everything made there goes with it. --lab NAME plays in another sandbox; one that --keep has left running is joined by \
--lab NAME and removed by `netyard down NAME`.

  netyard play
  ip netns add pc
  ip link add name veth1-pc type veth peer name veth1-br
  ip link set veth1-pc netns pc")]
pub struct Play {
    /// Leave it running as a lab of this name
    #[arg(long, value_name = "NAME")]
    pub keep: Option<String>,
    /// Run this there instead of a shell
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
#[command(after_help = "\
A lesson runs in a shell on the machine of `netyard play`. You type the commands for real; a step turns green when the \
kernel has what it asks for, however you got there. In that shell these are words:

  task       what is to do          quiz N     answer the question
  hint       a hint, then a better  check      what is still missing
  picture    the network as it is   next       go on
  solve      do it for me           steps      all steps
  back, goto N, reset               another step, in a fresh sandbox

`netyard learn DIR` runs the lesson of a folder; docs/lessons.md tells how to write one.")]
pub struct Learn {
    #[command(subcommand)]
    pub action: Option<LearnAction>,
    /// A lesson by name, or the folder of one
    pub lesson: Option<String>,
    #[command(flatten)]
    pub language: LanguageChoice,
    /// The step to begin with, by number or id; where you left off when not given
    #[arg(long, value_name = "STEP")]
    pub at: Option<String>,
    /// Who leads: a learner, or a speaker on a stage
    #[arg(long, value_enum, default_value_t)]
    pub pace: PaceChoice,
    /// The order of a lesson that is shuffled, as a number
    #[arg(long)]
    pub seed: Option<u64>,
}

#[derive(Debug, Subcommand)]
pub enum LearnAction {
    /// All lessons, with what you have done
    List {
        #[command(flatten)]
        language: LanguageChoice,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Prove lessons: each step's start fails, its solution passes, each prediction comes out as one of its choices
    Check {
        /// Names or folders
        #[arg(required_unless_present = "all")]
        lessons: Vec<String>,
        /// All that come with netyard
        #[arg(long, conflicts_with = "lessons")]
        all: bool,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print a lesson as Markdown, with the pictures of each step
    Export {
        /// Name or folder
        lesson: String,
        #[command(flatten)]
        language: LanguageChoice,
    },
    /// An exam of one's own: a network from a blank, with a fault to find
    Exam {
        #[command(flatten)]
        language: LanguageChoice,
        /// The student: decides about names, addresses and the fault
        #[arg(long, value_name = "NAME")]
        student: String,
        /// What the class has in common
        #[arg(long, default_value = "netyard", value_name = "WORD")]
        seed: String,
        /// Where the result is written
        #[arg(long, default_value = "exam.json", value_name = "FILE")]
        result: PathBuf,
        /// Hand in these shell commands instead of typing
        #[arg(long, value_name = "FILE")]
        answer: Option<PathBuf>,
        /// Print the task only
        #[arg(long)]
        show: bool,
    },
    /// Check the results of exams by building them again
    Grade {
        /// Result files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// What the class has in common
        #[arg(long, default_value = "netyard", value_name = "WORD")]
        seed: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, ClapArgs)]
pub struct LanguageChoice {
    /// English or Japanese; that of the locale when not given
    #[arg(long, value_enum)]
    pub lang: Option<Lang>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Lang {
    En,
    Ja,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub enum PaceChoice {
    #[default]
    Learn,
    Talk,
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

#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Asks the kernels on the way what they would do with a packet, there and back: routes, neighbours, bridges, rules, sockets.
The first line says what is the matter, then comes the state that proves it, then what mends it. Exit code 0 when the
answer would arrive, 1 when it would not or when that is not known.

  netyard why pc 1.1.1.1
  netyard why pc printer tcp:80
  netyard why router:eth1 10.138.0.1")]
pub struct Why {
    /// The node that asks, NODE:INTERFACE to ask by that interface, or its address
    #[arg(add = Names::new(completion::nodes))]
    pub from: String,
    /// The one that is asked: node, NODE:INTERFACE, address or name. Without it the other one is asked, from here
    #[arg(add = Names::new(completion::nodes))]
    pub to: Option<String>,
    /// tcp:PORT, udp:PORT, or icmp
    #[arg(default_value = "icmp", value_parser = about)]
    pub about: netyard_core::why::About,
    #[command(flatten)]
    pub version: Version,
    #[command(flatten)]
    pub reach: Reach,
    /// Send one real packet too, and say what the counters on the way show of it
    #[arg(long)]
    pub probe: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `tcp:80`, `udp:53`, `icmp`.
fn about(text: &str) -> Result<netyard_core::why::About, String> {
    use netyard_core::why::About;
    let wrong = || format!("`{text}` is none of tcp:PORT, udp:PORT, icmp");
    match text.split_once(':') {
        None if text == "icmp" => Ok(About::Icmp),
        Some((protocol, port)) => {
            let port = port.parse::<u16>().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
            match protocol {
                "tcp" => Ok(About::Tcp(port)),
                "udp" => Ok(About::Udp(port)),
                _ => Err(wrong()),
            }
        }
        None => Err(wrong()),
    }
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
