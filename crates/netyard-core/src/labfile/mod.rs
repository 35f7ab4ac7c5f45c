//! Lab files: text to lab.
//!
//! Four layers, each of which reports all that it finds and goes on: `tree` (YAML with places, scalars kept as
//! text), `decode*` (what is written), `expand` and `inherit` (ranges, groups, defaults), `resolve*` (what is meant).
//!
//! What a file leaves out is filled in so:
//! - Links without address get one of each prefix of their network, in the order of the file; bridge ports get none.
//! - A node that says nothing about routes, on one network, gets a default route by the only `internet` node there, else
//!   by the only node that forwards there. One that forwards gets it by the only `internet` node on any of its networks.
//! - A node forwards IPv4 when its role is `router`, when it translates, or when a sysctl says so; IPv6 as a router in
//!   a lab that uses IPv6, or when it translates IPv6.
//! - A node is full as soon as it has files, layers, a root file system or binds of its own.
//! - A masquerade without `out` leaves by the default route, or by the only interface that `from` is not on.

mod decode;
mod decode_expect;
mod decode_frr;
mod decode_nat;
mod decode_node;
mod decode_own;
mod decode_program;
mod decode_root;
mod decode_route;
mod decode_rule;
mod encoding;
mod expand;
mod fuzz;
mod inherit;
mod offsets;
mod quantity;
pub(crate) mod read;
mod resolve;
mod resolve_address;
mod resolve_bridge;
mod resolve_expect;
mod resolve_firewall;
mod resolve_forward;
mod resolve_frr;
mod resolve_link;
mod resolve_nat;
mod resolve_order;
mod resolve_own;
mod resolve_port;
mod resolve_program;
mod resolve_root;
mod resolve_route;
mod resolve_rule;
mod resolve_view;
mod shape;
pub(crate) mod suggest;
mod syntax;
mod syntax_error;
pub(crate) mod tree;

use crate::diagnostic::{Diagnostic, Severity};
use crate::lab::Lab;

pub use crate::diagnostic::Source;
pub use encoding::foreign_encoding;
pub use fuzz::fuzz;
pub(crate) use resolve_frr::DAEMONS as FRR_DAEMONS;
pub use suggest::nearest;

/// A lab file that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// The lab.
    pub lab: Lab,
    /// What is probably not meant so, in the order of the file.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a lab file.
///
/// ```
/// use netyard_core::labfile::{Source, parse};
/// let text = "networks: { lan: 10.0.0.0/24 }\nnodes: { pc: { links: [lan] } }";
/// let parsed = parse(&Source::new("home.yaml", text)).unwrap();
/// assert_eq!(parsed.lab.name, "home");
/// assert_eq!(parsed.lab.nodes[0].interfaces[0].addresses[0].to_string(), "10.0.0.1/24");
/// ```
///
/// # Errors
/// Every problem of the file in the order of the file, warnings included, if one of them is an error.
pub fn parse(source: &Source) -> Result<Parsed, Vec<Diagnostic>> {
    let mut problems = read::Problems::default();
    let mut found = Vec::new();
    let tree = tree::read(source, &mut found);
    found.into_iter().for_each(|problem| problems.push(problem));
    let Some(tree) = tree else { return Err(in_order(problems.into_list())) };
    let file = decode::file(&tree, &mut problems);
    let lab = resolve::resolve(&file, source, &mut problems);
    let problems = in_order(problems.into_list());
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(problems);
    }
    Ok(Parsed { lab, warnings: problems })
}

/// Reads a text that is no lab file by the same rules.
pub(crate) fn read_tree<T>(
    source: &Source,
    decode: impl FnOnce(&tree::Tree, &mut read::Problems) -> Option<T>,
) -> Result<T, Vec<Diagnostic>> {
    let mut problems = read::Problems::default();
    let mut found = Vec::new();
    let tree = tree::read(source, &mut found);
    found.into_iter().for_each(|problem| problems.push(problem));
    let decoded = tree.and_then(|tree| decode(&tree, &mut problems));
    let problems = in_order(problems.into_list());
    match decoded {
        Some(value) if problems.iter().all(|problem| problem.severity != Severity::Error) => Ok(value),
        _ => Err(problems),
    }
}

/// Sorted by place; what a range or an alias says many times is said once.
fn in_order(mut problems: Vec<Diagnostic>) -> Vec<Diagnostic> {
    problems.sort_by_key(|problem| problem.span);
    let mut seen = std::collections::HashSet::new();
    problems.retain(|problem| seen.insert((problem.code, problem.span)));
    problems
}
