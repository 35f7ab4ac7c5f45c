//! What can be typed to follow packets and to ask about them.

use super::{Place, Reach, quantity};
use crate::completion;
use clap::{Args as ClapArgs, Subcommand};
use clap_complete::engine::ArgValueCompleter as Names;
use std::ffi::OsString;
use std::path::PathBuf;

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
