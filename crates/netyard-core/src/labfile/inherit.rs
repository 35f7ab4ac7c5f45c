//! `defaults:` and `groups:`: which nodes a group has, and what its members get from it.

use super::expand::names;
use super::read::Problems;
use super::syntax::{GroupDecl, LinkDecl, NodeDecl, NodeFileDecl, Word};
use crate::diagnostic::{Code, Diagnostic};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Groups by name, put in relation to nodes.
#[derive(Default)]
pub(crate) struct Groups {
    /// Nodes of each group, those of its groups included, in the order of the file.
    pub members: HashMap<String, Vec<usize>>,
    /// Names that were refused; nothing more is said of them.
    pub refused: HashSet<String>,
    /// For each node the groups that it is in, the nearest first.
    of_node: Vec<Vec<usize>>,
}

/// Most members of all groups together, those of inner groups counted in each outer one.
const MEMBERSHIPS_MAX: usize = 1_000_000;

/// What is in a group.
enum Member {
    Node(usize),
    Group(usize),
}

/// The nodes that groups speak of: by name, and what each says about groups itself.
pub(crate) struct NodeNames<'a> {
    pub index: &'a HashMap<String, usize>,
    pub refused: &'a HashSet<String>,
    pub own_groups: Vec<&'a [Word]>,
}

impl Groups {
    /// Finds the members of every group.
    pub(crate) fn resolve(decls: &[GroupDecl], nodes: &NodeNames<'_>, problems: &mut Problems) -> Self {
        let mut groups = Self::default();
        let index = groups.index(decls, nodes, problems);
        let mut direct: Vec<Vec<Member>> = decls.iter().map(|_| Vec::new()).collect();
        for (own, decl) in direct.iter_mut().zip(decls) {
            for word in &decl.members {
                members(word, &index, nodes, &groups.refused, own, problems);
            }
        }
        // A group may also be in groups by its own `groups:` key, as a node may.
        for (at, decl) in decls.iter().enumerate() {
            for parent in known_groups(&decl.decl.groups, &index, &groups.refused, problems) {
                direct[parent].push(Member::Group(at));
            }
        }
        for (node, words) in nodes.own_groups.iter().enumerate() {
            for parent in known_groups(words, &index, &groups.refused, problems) {
                direct[parent].push(Member::Node(node));
            }
        }
        groups.refuse_cycles(decls, &mut direct, problems);
        let mut budget = MEMBERSHIPS_MAX;
        for (at, decl) in decls.iter().enumerate() {
            let found = collect(at, &direct, &mut budget);
            if budget == 0 {
                let label = format!("more than {MEMBERSHIPS_MAX} members of groups with these");
                problems.push(Diagnostic::new(Code::GroupsTooLarge, decl.name.span).label(label));
                groups.refused.extend(decls.iter().map(|decl| decl.name.value.clone()));
                groups.of_node = vec![Vec::new(); nodes.own_groups.len()];
                return groups;
            }
            groups.members.insert(decl.name.value.clone(), found);
        }
        groups.of_node = nearest_groups(&direct, nodes.own_groups.len());
        groups
    }

    fn index(
        &mut self,
        decls: &[GroupDecl],
        nodes: &NodeNames<'_>,
        problems: &mut Problems,
    ) -> HashMap<String, usize> {
        let mut index = HashMap::new();
        for (at, decl) in decls.iter().enumerate() {
            let name = &decl.name.value;
            if let Err(error) = crate::name::NodeName::new(name) {
                let problem = Diagnostic::new(Code::BadGroupName, decl.name.span);
                problems.push(problem.label(error.to_string()));
                self.refused.insert(name.clone());
            } else if name == "all" || nodes.index.contains_key(name) {
                let label = if name == "all" { "`all` is every node" } else { "a node is called so" };
                problems.push(Diagnostic::new(Code::GroupNameTaken, decl.name.span).label(label));
                self.refused.insert(name.clone());
            } else {
                index.insert(name.clone(), at);
            }
        }
        index
    }

    /// Cuts and reports groups that contain themselves.
    fn refuse_cycles(&mut self, decls: &[GroupDecl], direct: &mut [Vec<Member>], problems: &mut Problems) {
        let mut done = vec![false; direct.len()];
        for start in 0..direct.len() {
            let mut way = Vec::new();
            if let Some(cycle) = find_cycle(start, direct, &mut done, &mut way) {
                let names: Vec<&str> = cycle.iter().map(|at| decls[*at].name.value.as_str()).collect();
                let label = format!("{} > {}", names.join(" > "), names[0]);
                let problem = Diagnostic::new(Code::CyclicGroups, decls[cycle[0]].name.span).label(label);
                let second = cycle.get(1).map(|at| decls[*at].name.span);
                problems.push(match second {
                    Some(span) => problem.related(span, "the next in the circle"),
                    None => problem,
                });
                for at in cycle {
                    direct[at].clear();
                    self.refused.insert(decls[at].name.value.clone());
                }
            }
        }
    }

    /// What a node has, with what its groups and `defaults` give.
    pub(crate) fn complete(
        &self,
        node: usize,
        own: &NodeDecl,
        decls: &[GroupDecl],
        defaults: &NodeDecl,
    ) -> NodeDecl {
        let mut decl = own.clone();
        for group in &self.of_node[node] {
            decl.inherit(&decls[*group].decl);
        }
        decl.inherit(defaults);
        decl
    }

    /// The groups of a node, the nearest first: nodes with the same ones share their keys.
    pub(crate) fn of(&self, node: usize) -> &[usize] {
        &self.of_node[node]
    }
}

fn members(
    word: &Word,
    groups: &HashMap<String, usize>,
    nodes: &NodeNames<'_>,
    refused: &HashSet<String>,
    out: &mut Vec<Member>,
    problems: &mut Problems,
) {
    if word.value == "all" {
        out.extend((0..nodes.own_groups.len()).map(Member::Node));
        return;
    }
    for name in names(word, problems) {
        if let Some(node) = nodes.index.get(&name) {
            out.push(Member::Node(*node));
        } else if let Some(group) = groups.get(&name) {
            out.push(Member::Group(*group));
        } else if !refused.contains(&name) && !nodes.refused.contains(&name) {
            let known = nodes.index.keys().chain(groups.keys()).map(String::as_str);
            problems.unknown(Code::UnknownMember, &name, word.span, sorted(known));
        }
    }
}

fn known_groups(
    words: &[Word],
    groups: &HashMap<String, usize>,
    refused: &HashSet<String>,
    problems: &mut Problems,
) -> Vec<usize> {
    let mut found = Vec::new();
    for word in words {
        match groups.get(&word.value) {
            Some(group) => found.push(*group),
            None if refused.contains(&word.value) => {}
            None => {
                let known = sorted(groups.keys().map(String::as_str));
                problems.unknown(Code::UnknownMember, &word.value, word.span, known);
            }
        }
    }
    found
}

fn sorted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names
}

/// The groups on a way from `at` back to one of itself, if there is such a way.
fn find_cycle(
    at: usize,
    direct: &[Vec<Member>],
    done: &mut [bool],
    way: &mut Vec<usize>,
) -> Option<Vec<usize>> {
    // An explicit stack: a chain of thousands of groups must not overflow the call stack.
    let mut stack = vec![(at, 0)];
    way.push(at);
    while let Some((group, next)) = stack.last_mut() {
        if done[*group] {
            stack.pop();
            way.pop();
            continue;
        }
        match direct[*group].get(*next) {
            None => done[*group] = true,
            Some(Member::Node(_)) => *next += 1,
            Some(Member::Group(inner)) => {
                *next += 1;
                if let Some(start) = way.iter().position(|g| g == inner) {
                    return Some(way[start..].to_vec());
                }
                way.push(*inner);
                stack.push((*inner, 0));
            }
        }
    }
    None
}

/// The nodes of a group and of the groups in it; each member costs one of the budget.
fn collect(start: usize, direct: &[Vec<Member>], budget: &mut usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut seen = HashSet::from([start]);
    let mut waiting = vec![start];
    while let Some(group) = waiting.pop() {
        for member in &direct[group] {
            *budget = budget.saturating_sub(1);
            if *budget == 0 {
                return found;
            }
            match member {
                Member::Node(node) => found.push(*node),
                Member::Group(inner) if seen.insert(*inner) => waiting.push(*inner),
                Member::Group(_) => {}
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// For each node its groups: those that name it, then those that contain these, each in the order of the file.
fn nearest_groups(direct: &[Vec<Member>], nodes: usize) -> Vec<Vec<usize>> {
    let mut parents: Vec<Vec<usize>> = vec![Vec::new(); direct.len()];
    let mut of_node: Vec<Vec<usize>> = vec![Vec::new(); nodes];
    for (group, members) in direct.iter().enumerate() {
        for member in members {
            match member {
                Member::Node(node) => of_node[*node].push(group),
                Member::Group(inner) => parents[*inner].push(group),
            }
        }
    }
    for groups in &mut of_node {
        groups.sort_unstable();
        groups.dedup();
        let mut seen: HashSet<usize> = groups.iter().copied().collect();
        let mut next = 0;
        while next < groups.len() {
            for parent in &parents[groups[next]] {
                if seen.insert(*parent) {
                    groups.push(*parent);
                }
            }
            next += 1;
        }
    }
    of_node
}

impl NodeDecl {
    /// Takes from a group or `defaults` what is absent here: maps key by key, links network by network, all else as
    /// a whole.
    fn inherit(&mut self, base: &Self) {
        self.is_partial |= base.is_partial;
        self.weight += base.weight;
        self.role = self.role.or(base.role);
        self.kind = self.kind.or(base.kind);
        self.mtu = self.mtu.or(base.mtu);
        self.forward = self.forward.or(base.forward);
        self.uplink = self.uplink.or(base.uplink);
        absent(&mut self.bridges, &base.bridges);
        absent(&mut self.interfaces, &base.interfaces);
        absent(&mut self.down, &base.down);
        absent(&mut self.tables, &base.tables);
        absent(&mut self.routes, &base.routes);
        absent(&mut self.rules, &base.rules);
        absent(&mut self.gateway, &base.gateway);
        absent(&mut self.masquerade, &base.masquerade);
        absent(&mut self.nat, &base.nat);
        absent(&mut self.firewall, &base.firewall);
        absent(&mut self.neighbours, &base.neighbours);
        absent(&mut self.run, &base.run);
        absent(&mut self.stop, &base.stop);
        absent(&mut self.rootfs, &base.rootfs);
        absent(&mut self.layers, &base.layers);
        absent(&mut self.binds, &base.binds);
        absent(&mut self.frr, &base.frr);
        absent(&mut self.hostname, &base.hostname);
        fill(&mut self.sysctls, &base.sysctls);
        fill(&mut self.env, &base.env);
        fill(&mut self.labels, &base.labels);
        if let Some(files) = &base.files {
            lay_below(self.files.get_or_insert_default(), files);
        }
        if let Some(links) = &base.links {
            let own = self.links.get_or_insert_default();
            let has = |link: &&LinkDecl, own: &[LinkDecl]| {
                own.iter().any(|o| o.network.value == link.network.value)
            };
            let count = own.len();
            own.extend(links.iter().filter(|link| !has(link, &own[..count])).cloned().collect::<Vec<_>>());
        }
    }
}

fn absent<T: Clone>(own: &mut Option<T>, base: &Option<T>) {
    if own.is_none() {
        own.clone_from(base);
    }
}

/// Files of a group lie below the node's own; one that the node has itself is left out.
fn lay_below(own: &mut Vec<NodeFileDecl>, base: &[NodeFileDecl]) {
    let is_absent = |file: &&NodeFileDecl| !own.iter().any(|o| o.path.value == file.path.value);
    let below: Vec<NodeFileDecl> = base.iter().filter(is_absent).cloned().collect();
    own.splice(..0, below);
}

fn fill(own: &mut BTreeMap<String, String>, base: &BTreeMap<String, String>) {
    for (key, value) in base {
        own.entry(key.clone()).or_insert_with(|| value.clone());
    }
}
