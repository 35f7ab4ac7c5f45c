//! The pure part of netyard: lab files, desired and live state, plans, pictures.
//!
//! Nothing here makes a system call or reads a clock, file, environment or socket; `clippy.toml` of this crate
//! refuses the doors to them.

pub mod capture;
pub mod command;
pub mod conntrack;
pub mod desired;
pub mod diagnostic;
pub mod diagram;
pub mod diff;
pub mod dropped;
pub mod expect;
pub mod explain;
pub mod fault;
pub mod feature;
pub mod filter;
pub mod frr;
pub mod generate;
pub mod journey;
pub mod kathara;
pub mod lab;
pub mod labfile;
pub mod layer;
pub mod lesson;
pub mod look;
pub mod mac;
pub mod name;
pub mod nft;
pub mod packet;
pub mod pcapng;
pub mod report;
pub mod road;
pub mod schema;
pub mod script;
pub mod shaping;
pub mod show;
pub mod stand_in;
pub mod state;
pub mod step;
pub mod trace;
pub mod tracking;
pub mod unit;
pub mod why;
