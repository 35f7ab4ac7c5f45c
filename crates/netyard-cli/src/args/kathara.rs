//! What can be typed after `netyard kathara` and `netyard import`.

use clap::{Args as ClapArgs, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// Words for labs of Kathara, which are read by themselves: `-l` means something else in them.
#[derive(Debug, ClapArgs)]
pub struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub words: Vec<OsString>,
}

impl Words {
    /// What was typed.
    pub fn verb(self) -> Kathara {
        let name = OsString::from("netyard kathara");
        KatharaArgs::parse_from(std::iter::once(name).chain(self.words)).verb
    }
}

/// Labs of Kathara as they are, with the words of its own commands
#[derive(Debug, Parser)]
#[command(name = "netyard kathara", bin_name = "netyard kathara", disable_help_subcommand = true)]
struct KatharaArgs {
    #[command(subcommand)]
    verb: Kathara,
}

/// The commands of Kathara, with its flags.
#[derive(Debug, Subcommand)]
pub enum Kathara {
    /// Start the lab in a folder, or only some of its devices
    Lstart(Lstart),
    /// Stop the lab, or only some of its devices
    Lclean(Lclean),
    /// Stop the lab and start it again
    Lrestart(Lstart),
    /// The devices of the lab that runs
    Linfo(Linfo),
    /// A terminal in a device
    Connect(Connect),
    /// Run a command in a device
    Exec(Exec),
    /// Connect a running device to collision domains, or disconnect it
    Lconfig(Lconfig),
    /// Devices of all labs that run
    List(List),
    /// Wait until startup scripts have ended, and tell which failed
    Wait(Wait),
    /// What this machine and kernel allow
    Check,
    /// Stop all labs of Kathara
    Wipe(Wipe),
}

// Where the lab is. No doc comment: it would become the help of each verb that has it.
#[derive(Debug, Clone, ClapArgs)]
pub struct Where {
    /// The lab's folder
    #[arg(short, long, value_name = "DIR", default_value = ".", hide_default_value = true)]
    pub directory: PathBuf,
}

#[derive(Debug, Clone, ClapArgs)]
pub struct Lstart {
    #[command(flatten)]
    pub place: Where,
    /// Without lab.conf each folder is a device
    #[arg(short = 'F', long)]
    pub force_lab: bool,
    /// An option for all devices, for example `ipv6=true`
    #[arg(short = 'o', long = "pass", value_name = "NAME=VALUE", num_args = 1.., action = clap::ArgAction::Append)]
    pub pass: Vec<String>,
    /// Check the files and report how true the lab would be; start nothing
    #[arg(long, visible_alias = "dry-mode")]
    pub print: bool,
    /// Start the devices although something that their scripts need is not here
    #[arg(long)]
    pub force: bool,
    /// Make the folder `shared`, which all devices see
    #[arg(long, overrides_with = "no_shared")]
    pub shared: bool,
    /// Show devices no folder `shared`
    #[arg(short = 'S', long)]
    pub no_shared: bool,
    /// Bridged devices reach the real network, by the program pasta
    #[arg(long)]
    pub uplink: bool,
    /// Not these devices
    #[arg(long, value_name = "DEVICE", num_args = 1..)]
    pub exclude: Vec<String>,
    /// Do not wait for startup scripts
    #[arg(long)]
    pub no_wait: bool,
    /// List devices afterwards
    #[arg(short = 'l', long)]
    pub list: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub unused: Unused,
    /// Only these devices
    #[arg(value_name = "DEVICE")]
    pub devices: Vec<String>,
}

// Flags of Kathara that have nothing to do here. No doc comment: it would become the help of each verb that has it.
#[derive(Debug, Clone, ClapArgs)]
pub struct Unused {
    #[arg(long, hide = true)]
    pub noterminals: bool,
    #[arg(long, hide = true)]
    pub terminals: bool,
    #[arg(long, hide = true)]
    pub privileged: bool,
    #[arg(long, hide = true)]
    pub hosthome: bool,
    #[arg(long, short = 'H', hide = true)]
    pub no_hosthome: bool,
    #[arg(long, hide = true, value_name = "PROGRAM", visible_alias = "xterm")]
    pub terminal_emu: Option<String>,
}

impl Unused {
    /// Flags that were given and ask for something that is not done, with the reason.
    pub fn notes(&self) -> Vec<&'static str> {
        let notes = [
            (
                self.terminals,
                "--terminals: no terminals open by themselves; `netyard kathara connect DEVICE` gives one",
            ),
            (self.terminal_emu.is_some(), "--terminal-emu: no terminals open by themselves"),
            (self.privileged, "--privileged: root of a device is nobody on the machine"),
            (self.hosthome, "--hosthome: devices do not see your home folder"),
        ];
        notes.into_iter().filter(|(is_given, _)| *is_given).map(|(_, note)| note).collect()
    }
}

#[derive(Debug, ClapArgs)]
pub struct Lclean {
    #[command(flatten)]
    pub place: Where,
    /// Not these devices
    #[arg(long, value_name = "DEVICE", num_args = 1..)]
    pub exclude: Vec<String>,
    /// Only these devices
    #[arg(value_name = "DEVICE")]
    pub devices: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Linfo {
    #[command(flatten)]
    pub place: Where,
    /// Only this device
    #[arg(short, long, value_name = "DEVICE")]
    pub name: Option<String>,
    /// What lab.conf says of the lab, whether it runs or not
    #[arg(short, long)]
    pub conf: bool,
    #[arg(short, long, visible_aliases = ["live", "topology"], hide = true)]
    pub watch: bool,
    #[arg(short = 'l', hide = true)]
    pub l: bool,
    #[arg(short = 't', hide = true)]
    pub t: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Connect {
    #[command(flatten)]
    pub place: Where,
    /// The shell; the device's own when not given
    #[arg(long)]
    pub shell: Option<OsString>,
    /// Show first what the startup script printed
    #[arg(short = 'l', long)]
    pub logs: bool,
    /// The device
    pub device: String,
}

#[derive(Debug, ClapArgs)]
pub struct Exec {
    #[command(flatten)]
    pub place: Where,
    /// Do not show what it prints
    #[arg(long)]
    pub no_stdout: bool,
    /// Do not show what it prints on standard error
    #[arg(long)]
    pub no_stderr: bool,
    /// Wait for the startup script first
    #[arg(long)]
    pub wait: bool,
    /// The device
    pub device: String,
    /// Program and arguments; one word with blanks is split as a shell does
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
}

#[derive(Debug, ClapArgs)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(false).args(["add", "rm"]))]
pub struct Lconfig {
    #[command(flatten)]
    pub place: Where,
    /// The device
    #[arg(short, long)]
    pub name: String,
    /// Connect it to these collision domains
    #[arg(long, value_name = "CD[/MAC]", num_args = 1.., visible_alias = "eth")]
    pub add: Vec<String>,
    /// Disconnect it from these collision domains
    #[arg(long, value_name = "CD", num_args = 1..)]
    pub rm: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct List {
    /// Only devices of this name
    #[arg(short, long, value_name = "DEVICE")]
    pub name: Option<String>,
    #[arg(short, long, hide = true)]
    pub all: bool,
    #[arg(short, long, visible_alias = "live", hide = true)]
    pub watch: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Wait {
    #[command(flatten)]
    pub place: Where,
    #[arg(long, hide = true)]
    pub startup: bool,
    /// Longest time, for example 2m
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = super::quantity::duration)]
    pub within: std::time::Duration,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Only these devices
    #[arg(value_name = "DEVICE")]
    pub devices: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Wipe {
    /// Do not ask
    #[arg(short, long)]
    pub force: bool,
    #[arg(short, long, hide = true)]
    pub settings: bool,
    #[arg(short, long, hide = true)]
    pub all: bool,
}

/// Labs of other programs, as lab files.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// A lab of Kathara; the lab file is printed, how true it is on standard error
    Kathara(ImportKathara),
}

#[derive(Debug, ClapArgs)]
pub struct ImportKathara {
    /// The lab's folder, into which the lab file belongs
    #[arg(default_value = ".")]
    pub directory: PathBuf,
    /// An option for all devices, for example `ipv6=true`
    #[arg(short = 'o', long = "pass", value_name = "NAME=VALUE")]
    pub pass: Vec<String>,
    /// Print JSON: the lab file and the report
    #[arg(long)]
    pub json: bool,
}
