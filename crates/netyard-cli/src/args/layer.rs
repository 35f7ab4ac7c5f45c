//! What can be typed after `netyard layer`.

use super::Json;
use crate::completion;
use clap::{Args as ClapArgs, Subcommand};
use clap_complete::engine::ArgValueCompleter as Names;

#[derive(Debug, Subcommand)]
pub enum Layer {
    /// Install packages into a layer; the machine's own files and packages stay as they are
    #[command(after_help = "\
Packages come from the machine's own sources, with all that they depend on and the machine does not have; no service is \
started. Nodes name the layer: `layers: [NAME]`.\n\n\
Known by name, without --apt: apache2, bind9, dnsmasq, frr, radvd, kathara/base, kathara/bird, kathara/frr, \
kathara/openbgpd, kathara/quagga, kathara/sdn.")]
    Build(Build),
    /// Layers that are there: this user's, and root's, which everybody may use
    List(Json),
    /// What is in a layer
    Show(Show),
    /// Remove layers of this user's
    Remove {
        /// Their names
        #[arg(required = true, add = Names::new(completion::layers))]
        names: Vec<String>,
    },
}

#[derive(Debug, ClapArgs)]
pub struct Build {
    /// Its name, such as `frr` or `course/router`
    #[arg(add = Names::new(completion::recipes))]
    pub name: String,
    /// Packages, with commas between them
    #[arg(long, value_name = "PACKAGE,...", value_delimiter = ',')]
    pub apt: Vec<String>,
    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Show {
    /// Its name
    #[arg(add = Names::new(completion::layers))]
    pub name: String,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
