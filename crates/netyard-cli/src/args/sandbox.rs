//! What can be typed to play and to learn.

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;

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
