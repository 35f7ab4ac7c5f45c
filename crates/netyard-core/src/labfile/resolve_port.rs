//! Names of the bridge-side ports, unique in the fabric, where the bridges have their networks' names.

use super::read::Problems;
use super::resolve::Draft;
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::NetworkKind;
use crate::name::IfName;
use std::collections::HashMap;
use std::rc::Rc;

/// Names every port: as the file says, else as the node, else as node and interface, shortened where needed.
pub(crate) fn name_ports(draft: &mut Draft, problems: &mut Problems) {
    let mut taken = bridge_names(draft, problems);
    take_given(draft, &mut taken, problems);
    for at in 0..draft.nodes.len() {
        let in_fabric: Vec<usize> =
            (0..draft.nodes[at].links.len()).filter(|link| is_in_fabric(draft, at, *link)).collect();
        let decl = Rc::clone(&draft.nodes[at].decl);
        for link in &in_fabric {
            let written = &decl.links.as_deref().unwrap_or_default()[draft.nodes[at].links[*link].decl];
            let port = match &written.port {
                Some(port) => port.value.clone(),
                None => free_name(draft, at, *link, in_fabric.len() == 1, &taken),
            };
            taken.insert(port.as_str().to_owned(), draft.nodes[at].span);
            draft.nodes[at].node.interfaces[*link].port = port;
        }
    }
}

fn is_in_fabric(draft: &Draft, node: usize, link: usize) -> bool {
    draft.networks[draft.nodes[node].links[link].network].network.kind != NetworkKind::Cable
}

fn bridge_names(draft: &Draft, problems: &mut Problems) -> HashMap<String, Span> {
    let mut taken = HashMap::new();
    for network in draft.networks.iter().filter(|network| network.network.kind != NetworkKind::Cable) {
        let name: String = network.network.bridge_name().into();
        let label = format!("its bridge would be called `{name}`, as that of another network");
        if let Some(first) = taken.insert(name, network.span) {
            let problem = Diagnostic::new(Code::PortNameTwice, network.span).label(label);
            problems.push(problem.related(first, "the other").help("use names of at most 15 bytes"));
        }
    }
    taken
}

/// Names given by the file must differ from each other and from the bridges.
fn take_given(draft: &Draft, taken: &mut HashMap<String, Span>, problems: &mut Problems) {
    for (at, owner) in draft.nodes.iter().enumerate() {
        for (number, link) in owner.links.iter().enumerate() {
            let written = &owner.decl.links.as_deref().unwrap_or_default()[link.decl];
            let Some(port) = written.port.as_ref().filter(|_| is_in_fabric(draft, at, number)) else {
                continue;
            };
            if let Some(first) = taken.insert(port.value.as_str().to_owned(), port.span) {
                let label = format!("`{}` is taken", port.value);
                let problem = Diagnostic::new(Code::PortNameTwice, port.span).label(label);
                let problem = if first == port.span {
                    problem.help("leave `port` out: each port is then called as its node")
                } else {
                    problem
                        .related(first, "by this")
                        .help("bridges and ports share one namespace, the fabric")
                };
                problems.push(problem);
            }
        }
    }
}

fn free_name(draft: &Draft, at: usize, link: usize, is_only: bool, taken: &HashMap<String, Span>) -> IfName {
    let node = &draft.nodes[at].node;
    let interface = node.interfaces[link].name.as_str();
    let is_free = |name: &IfName| !taken.contains_key(name.as_str());
    if is_only
        && let Ok(name) = IfName::new(node.name.as_str())
        && name.as_str() != "lo"
        && is_free(&name)
    {
        return name;
    }
    let long = format!("{}-{interface}", node.name);
    let mut name = IfName::shortened(&long);
    let mut salt = 0_u32;
    while !is_free(&name) {
        salt += 1;
        name = IfName::shortened(&format!("{long}-is-taken-{salt}"));
    }
    name
}
