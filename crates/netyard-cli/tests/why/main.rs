//! `netyard why`: every trap is injected into the network of the talk, must be named with its place and its proof, and
//! what is told to mend it must mend it.

#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;
#[path = "../world/mod.rs"]
mod world;

mod healthy;
mod labs;
mod net;
mod pairs;
mod rules;
mod told;
mod traps;
mod tunnels;
