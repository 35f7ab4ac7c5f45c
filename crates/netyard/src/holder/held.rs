//! The lab inside its holder: its definition, its namespaces, its programs, and every change to them.

mod entrance;

use super::files;
use super::full::{FullNodes, Supply};
use super::given::Given;
use super::host;
use super::internet::InternetServers;
use super::programs::Programs;
use super::rooms::Rooms;
use super::sandbox;
use super::uplink::{self, Pasta};
use crate::apply::ApplyError;
use crate::error::{Error, Result};
use crate::fault::Faults;
use crate::live::{self, LiveError};
use crate::namespaces::Namespaces;
use crate::protocol::{Changes, Description, Difference, ServiceChange, Spec};
use netyard_core::desired;
use netyard_core::desired::sysctls::interface_of_sysctl;
use netyard_core::diff::{diff, diff_from, with_changes_kept};
use netyard_core::lab::{Lab, NodeKind};
use netyard_core::labfile::nearest;
use netyard_core::name::{IfName, NodeName};
use netyard_core::state::{Namespace, Ns, Route, State};
use netyard_core::step::Step;
use netyard_kernel::peer::pid_of_peer;
use netyard_kernel::process;
use netyard_kernel::userns::{self, IdMap};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest wait for links: a spanning tree with the standard's timers takes 31 s.
const READY_MAX: Duration = Duration::from_secs(60);

/// The user namespaces inside the holder's. For who is in them, the holder's mounts are locked, and the holder itself
/// is out of reach.
struct Users {
    /// Of what persons start in nodes (`exec`, `shell`): they have files of the person's own.
    persons: OwnedFd,
    /// Of the network namespaces and the programs of the lab file, inside that of persons: for programs, persons'
    /// processes are as far out of reach as the holder, and persons are root of all nodes.
    programs: OwnedFd,
}

impl Users {
    /// Makes them; none in a lab without user namespaces.
    fn make() -> Result<Option<Self>> {
        let Some(map) = IdMap::of_self() else { return Ok(None) };
        let made = userns::create_nested(&map.nested());
        let made = made.map_err(|e| Error::io("cannot make the lab's inner user namespaces", &e))?;
        Ok(Some(Self { persons: made.outer, programs: made.inner }))
    }
}

/// A lab that is built and kept.
pub(super) struct HeldLab {
    pub(super) programs: Programs,
    spec: Spec,
    namespaces: Namespaces,
    /// None where the lab has no user namespace at all.
    users: Option<Users>,
    internet: InternetServers,
    rooms: Rooms,
    full: FullNodes,
    up_since: u64,
    /// Whether it lives on without the process that started it.
    pub(super) outlives_caller: bool,
}

impl HeldLab {
    /// Builds the lab; when it returns, every packet finds its way.
    ///
    /// # Errors
    /// The step that failed. The caller then ends the process, and the kernel takes back what was built.
    pub(super) fn build(
        spec: Spec,
        given: Given,
        on_step: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Self> {
        let supply = Supply::new(given)?;
        let pasta = Pasta::find(&spec.lab)?;
        let users = Users::make()?;
        let copy = users.as_ref().map(|users| copied(&users.programs)).transpose()?;
        let mut lab = Self {
            programs: Programs::default(),
            namespaces: Namespaces::new(copy),
            users,
            internet: InternetServers::default(),
            rooms: Rooms::default(),
            full: FullNodes::default(),
            up_since: 0,
            outlives_caller: false,
            spec,
        };
        let desired = desired::state(&lab.spec.lab);
        let live = host::adopt(&lab.spec.lab, &desired, &mut lab.namespaces)?;
        let steps = diff(&live, &desired);
        let mut faults = Faults { fail_at: lab.spec.fail_at, count: 0 };
        let supply = Arc::new(supply);
        lab.execute_beside_bases(&steps, &mut faults, on_step, supply.clone())?;
        lab.wait_until_ready(&desired)?;
        if let Some(pasta) = pasta {
            let user = lab.users.as_ref().map(|users| &users.programs);
            pasta.connect(&lab.spec, &lab.namespaces, user, &mut lab.programs)?;
        }
        lab.start_services(supply)?;
        if lab.spec.is_sandbox {
            sandbox::show_internet(&lab.spec.lab, &lab.namespaces)
                .map_err(|e| Error::io("cannot show the internet to the sandbox", &e))?;
        }
        lab.up_since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Ok(lab)
    }

    /// Whether a new connection may ask for anything: not those of the lab's own programs, who would come out of the
    /// lab by it. Processes outside of the lab have no number here.
    pub(super) fn may_ask(&self, connection: BorrowedFd<'_>) -> bool {
        let Some(users) = &self.users else { return true };
        match pid_of_peer(connection) {
            Ok(None) => true,
            Ok(Some(pid)) => match userns::of_process(pid) {
                Ok(Some(theirs)) => {
                    userns::is_within(&theirs, &users.programs).is_ok_and(|is_within| !is_within)
                }
                // The holder's own.
                Ok(None) => true,
                Err(_) => false,
            },
            Err(_) => false,
        }
    }

    /// What would have to be done to make `spec` of this lab.
    pub(super) fn plan(&mut self, spec: &Spec, given: Given) -> Result<Changes> {
        let supply = Supply::new(given)?;
        let desired = self.desired(spec)?;
        let previous = desired::state(&self.spec.lab);
        let live = self.read(&desired)?;
        let steps = diff_from(&previous, &live, &wanted(spec, &previous, &live, desired));
        Ok(Changes { steps, services: self.service_changes(spec, &supply) })
    }

    /// Makes `spec` of this lab, changing only what differs. When a step fails, all that was done is undone.
    pub(super) fn apply(
        &mut self,
        spec: Spec,
        given: Given,
        on_step: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Changes> {
        let supply = Supply::new(given)?;
        host::refuse_change(&self.spec.lab, &spec.lab)?;
        uplink::refuse_change(&self.spec.lab, &spec.lab)?;
        let desired = self.desired(&spec)?;
        // Also the values that only the lab of now asks for: a node that is taken away may have to come back.
        let previous = desired::state(&self.spec.lab);
        let before = self.read_with(&desired, &previous)?;
        let desired = wanted(&spec, &previous, &before, desired);
        let steps = diff_from(&previous, &before, &desired);
        let services = self.service_changes(&spec, &supply);
        let gone = self.namespaces.iter().filter(|(ns, _)| !desired.namespaces.contains_key(*ns));
        let gone: Vec<OwnedFd> = gone.filter_map(|(_, fd)| fd.try_clone_to_owned().ok()).collect();
        let mut faults = Faults { fail_at: spec.fail_at, count: 0 };
        let previous = std::mem::replace(&mut self.spec, spec);
        let previous_supply = self.full.supply();
        let done = self
            .execute(&steps, &mut faults, on_step)
            .and_then(|()| self.wait_until_ready(&desired))
            .and_then(|()| self.start_services(Arc::new(supply)));
        let Err(error) = done else {
            // What was started in a node ends with it.
            gone.iter().for_each(|net| drop(process::kill_all_in(net.as_fd())));
            return Ok(Changes { steps, services });
        };
        self.spec = previous;
        match self.go_back(&before, previous_supply) {
            Ok(()) => Err(error.note("all changes were undone; the lab runs as before")),
            Err(second) => Err(error
                .note(format!("undoing the changes failed as well: {}", second.title))
                .help("`netyard down` and `netyard up` make the lab anew")),
        }
    }

    /// A new terminal of a full node.
    pub(super) fn terminal(&self, node: &NodeName) -> Result<OwnedFd> {
        self.node(node)?;
        self.full.terminal(node)
    }

    /// Files of a full node, as an archive.
    pub(super) fn read_files(&self, node: &NodeName, paths: &[PathBuf], is_deep: bool) -> Result<OwnedFd> {
        self.node(node)?;
        self.full.read_files(node, paths, is_deep)
    }

    /// Writes files into a full node.
    pub(super) fn write_files(
        &self,
        node: &NodeName,
        given: Vec<OwnedFd>,
        to: &Path,
        into_folder: bool,
    ) -> Result<()> {
        self.node(node)?;
        let archive = given.into_iter().next();
        let archive = archive.ok_or_else(|| Error::input("K010", "no files came with the request"))?;
        self.full.write_files(node, archive, to, into_folder)
    }

    /// What differs in a full node from the files that it began with.
    pub(super) fn differences(&self, node: &NodeName) -> Result<Vec<Difference>> {
        self.node(node)?;
        self.full.differences(node)
    }

    /// Starts what the lab file has for the lab's end.
    pub(super) fn start_for_down(&mut self) -> Result<()> {
        let user = self.users.as_ref().map(|users| &users.programs);
        self.programs.start_for_down(&self.spec, &self.namespaces, &self.full, user)
    }

    /// The state that `spec` asks for. A value below `/proc/sys` that the lab of now asks for and that one does not is
    /// to be again what a new namespace has.
    fn desired(&self, spec: &Spec) -> Result<State> {
        let mut desired = desired::state(&spec.lab);
        let present = desired::state(&self.spec.lab);
        let mut dropped: Vec<(Ns, String)> = Vec::new();
        for (ns, namespace) in &mut desired.namespaces {
            let of_now = present.namespaces.get(ns).map(|present| &present.sysctls);
            let lost = of_now.into_iter().flatten().map(|(key, _)| key).filter(|key| {
                let exists = interface_of_sysctl(key).is_none_or(|name| namespace.links.contains_key(&name));
                exists && !namespace.sysctls.contains_key(*key)
            });
            dropped.extend(lost.map(|key| (ns.clone(), key.clone())));
        }
        if dropped.is_empty() || host::is_part_of(&spec.lab) {
            return Ok(desired);
        }
        let keys: Vec<String> = dropped.iter().map(|(_, key)| default_key(key)).collect();
        let values = self.namespaces.fresh_values(&keys);
        let values = values.map_err(|e| Error::io("cannot read the values of a new namespace", &e))?;
        for (ns, key) in dropped {
            let own_default = desired.namespaces.get(&ns).and_then(|own| own.sysctls.get(&default_key(&key)));
            let value = own_default.or_else(|| values.get(&default_key(&key))).cloned();
            if let (Some(namespace), Some(value)) = (desired.namespaces.get_mut(&ns), value) {
                namespace.sysctls.insert(key, value);
            }
        }
        Ok(desired)
    }

    fn service_changes(&self, spec: &Spec, supply: &Supply) -> Vec<ServiceChange> {
        let mut changes = self.full.changes_to(spec, supply);
        changes.extend(self.programs.changes_to(spec, &self.full.kept(spec, supply)));
        for node in &spec.lab.nodes {
            let before = self.spec.lab.node(node.name.as_str());
            let is_made_anew = node.kind == NodeKind::Full;
            if before.is_some_and(|before| before.hostname() != node.hostname()) && !is_made_anew {
                let (node, hostname) = (node.name.clone(), node.hostname().to_owned());
                changes.push(ServiceChange::SetHostname { node, hostname });
            }
        }
        changes
    }

    fn go_back(&mut self, before: &State, supply: Arc<Supply>) -> Result<()> {
        let steps = diff(&self.read(before)?, before);
        self.execute(&steps, &mut Faults::none(), &mut |_, _| {})?;
        self.wait_until_ready(before)?;
        self.start_services(supply)
    }

    /// What the kernel holds for this lab.
    pub(super) fn live(&mut self) -> Result<State> {
        self.read(&desired::state(&self.spec.lab))
    }

    /// Pulls or plugs a cable at the node's end.
    pub(super) fn set_link(&mut self, node: &NodeName, interface: &IfName, is_up: bool) -> Result<()> {
        let known = self.node(node)?;
        if known.interface(interface.as_str()).is_none()
            && !known.bridges.iter().any(|b| b.name == *interface)
        {
            let names: Vec<&str> = known.interfaces.iter().map(|i| i.name.as_str()).collect();
            let error = Error::input("U005", format!("node `{node}` has no interface `{interface}`"));
            return Err(match names.as_slice() {
                [] => error.note("it has no interface at all"),
                names => error.help(format!("it has {}", names.join(", "))),
            });
        }
        let ns = Ns::Node(node.clone());
        if !is_up {
            let step = Step::SetLinkUp { ns, name: interface.clone(), is_up };
            return self.execute(&[step], &mut Faults::none(), &mut |_, _| {});
        }
        let desired = desired::state(&self.spec.lab);
        let live = self.read(&desired)?;
        let mut plugged = live.clone();
        if let (Some(plugged), Some(desired)) = (plugged.namespaces.get_mut(&ns), desired.namespaces.get(&ns))
        {
            plug(plugged, desired, interface);
        }
        self.execute(&diff(&live, &plugged), &mut Faults::none(), &mut |_, _| {})?;
        self.wait_until_ready(&plugged)
    }

    /// What the lab is.
    pub(super) fn description(&self) -> Description {
        Description {
            lab: self.spec.lab.clone(),
            file: self.spec.file.clone(),
            up_since: self.up_since,
            is_sandbox: self.spec.is_sandbox,
            outlives_caller: self.outlives_caller,
        }
    }

    fn node(&self, name: &NodeName) -> Result<&netyard_core::lab::Node> {
        let lab = &self.spec.lab;
        lab.node(name.as_str()).ok_or_else(|| unknown_node(lab, name.as_str()))
    }

    fn execute(
        &mut self,
        steps: &[Step],
        faults: &mut Faults,
        on_step: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<()> {
        execute(&mut self.namespaces, steps, faults, on_step)
    }

    /// The same, while another thread makes the files that full nodes are laid over. Nothing that runs is forked in
    /// this time but what makes system calls only.
    fn execute_beside_bases(
        &mut self,
        steps: &[Step],
        faults: &mut Faults,
        on_step: &mut (dyn FnMut(usize, usize) + Send),
        supply: Arc<Supply>,
    ) -> Result<()> {
        if !self.spec.has_full_nodes() {
            return self.execute(steps, faults, on_step);
        }
        let Self { namespaces, full, spec, .. } = self;
        thread::scope(|scope| {
            let bases = thread::Builder::new()
                .name("bases".into())
                .spawn_scoped(scope, || full.make_bases(spec, supply))
                .map_err(|e| Error::io("cannot start a thread", &e))?;
            let executed = execute(namespaces, steps, faults, on_step);
            let made = bases.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            executed.and(made)
        })
    }

    /// Waits until every link that shall carry packets does, spanning trees included.
    fn wait_until_ready(&mut self, state: &State) -> Result<()> {
        let unready = self.namespaces.wait_until_ready(state, Instant::now() + READY_MAX);
        match unready.map_err(|error| unread(&error))?.as_slice() {
            [] => Ok(()),
            links => {
                let names: Vec<String> = links.iter().map(|(ns, link)| format!("{ns}:{link}")).collect();
                let seconds = READY_MAX.as_secs();
                Err(Error::kernel("K007", format!("{} not ready after {seconds} s", names.join(", "))))
            }
        }
    }

    fn read(&mut self, desired: &State) -> Result<State> {
        self.read_with(desired, &State::default())
    }

    /// What the kernel holds; of sysctls those that `desired` has or `also`.
    fn read_with(&mut self, desired: &State, also: &State) -> Result<State> {
        let mut keys: BTreeMap<Ns, BTreeSet<String>> = BTreeMap::new();
        for (ns, namespace) in desired.namespaces.iter().chain(&also.namespaces) {
            keys.entry(ns.clone()).or_default().extend(namespace.sysctls.keys().cloned());
        }
        let keys = keys.into_iter().map(|(ns, keys)| (ns, keys.into_iter().collect())).collect();
        let mut state = live::read(&mut self.namespaces, &keys).map_err(|error| unread(&error))?;
        host::keep_own(&self.spec.lab, desired, &mut state);
        Ok(state)
    }

    /// Names, servers and programs of the present lab; those that are there already stay.
    fn start_services(&mut self, supply: Arc<Supply>) -> Result<()> {
        let lab = &self.spec.lab;
        // A host name is part of the room: with another one, what is started from now on gets another room.
        self.rooms.retain_plain(|node, hostname| {
            lab.node(node.as_str()).is_some_and(|node| node.hostname() == hostname)
        });
        files::refresh(lab).map_err(|e| Error::io("cannot write the files of the nodes", &e))?;
        self.internet.change_to(&self.spec.lab, &self.namespaces)?;
        let user = self.users.as_ref().map(|users| &users.programs);
        self.programs.end_unwanted(&self.spec, &self.full.kept(&self.spec, &supply));
        self.full.change_to(&self.spec, supply, &self.namespaces, user)?;
        self.programs.change_to(&self.spec, &self.namespaces, &self.full, user)
    }
}

fn execute(
    namespaces: &mut Namespaces,
    steps: &[Step],
    faults: &mut Faults,
    on_step: &mut (dyn FnMut(usize, usize) + Send),
) -> Result<()> {
    // A word on every hundredth step is enough for a person, and costs nothing.
    let all = steps.len();
    let report = |index: usize| {
        if all > 1000 && index.is_multiple_of(100) {
            on_step(index, all);
        }
    };
    namespaces.apply(steps, faults, report).map_err(|error| refused(&error))
}

/// The key whose value an interface's own begins with: that of `default`.
fn default_key(key: &str) -> String {
    match interface_of_sysctl(key) {
        Some(name) => key.replacen(&format!(".{}.", name.as_str().replace('.', "/")), ".default.", 1),
        None => key.to_owned(),
    }
}

/// The desired state, with what nodes have changed by themselves where the lab is to keep that.
fn wanted(spec: &Spec, previous: &State, live: &State, desired: State) -> State {
    if spec.keeps_changes { with_changes_kept(previous, live, &desired) } else { desired }
}

/// Brings an interface up, and brings back what the kernel took away with it: its IPv6 addresses, its permanent
/// neighbours, and the routes over it. All else stays as it is.
fn plug(live: &mut Namespace, desired: &Namespace, interface: &IfName) {
    let Some(link) = live.links.get_mut(interface) else { return };
    link.is_up = true;
    if let Some(desired) = desired.links.get(interface) {
        link.addresses.extend(desired.addresses.iter().copied());
    }
    let down: Vec<&IfName> =
        live.links.iter().filter(|(_, link)| !link.is_up).map(|(name, _)| name).collect();
    live.neighbours.extend(desired.neighbours.iter().filter(|entry| entry.dev == *interface).cloned());
    let can_be = |route: &&Route| route.uses(interface) && !down.iter().any(|name| route.uses(name));
    live.routes.extend(desired.routes.iter().filter(can_be).cloned());
}

fn copied(fd: &OwnedFd) -> Result<OwnedFd> {
    fd.try_clone().map_err(|e| Error::io("cannot copy a descriptor", &e))
}

/// A node that the lab does not have, with the nearest that it has.
pub(crate) fn unknown_node(lab: &Lab, name: &str) -> Error {
    let error = Error::input("U004", format!("lab `{}` has no node `{name}`", lab.name));
    let names: Vec<&str> = lab.nodes.iter().map(|node| node.name.as_str()).collect();
    if let Some(near) = nearest(name, names.iter().copied()) {
        return error.help(format!("did you mean `{near}`?"));
    }
    match names.as_slice() {
        [] => error,
        few if few.len() <= 12 => error.help(format!("its nodes are {}", few.join(", "))),
        many => error.help(format!("it has {} nodes, for example {}", many.len(), many[..6].join(", "))),
    }
}

/// A step that the kernel refused.
fn refused(error: &ApplyError) -> Error {
    let errno = std::io::Error::from_raw_os_error(error.errno);
    let commands = error.step.commands();
    let first = commands.first().map_or("", |command| command.lines().next().unwrap_or_default());
    let title = format!("step {} failed in `{}`: {errno}", error.index + 1, error.step.ns());
    let mut result = Error::kernel("K001", title).note(format!("step: {first}")).with_limit(error.errno);
    if error.errno == rustix::io::Errno::NOSPC.raw_os_error()
        && matches!(*error.step, Step::AddNamespace { .. })
    {
        let limit = std::fs::read_to_string("/proc/sys/user/max_net_namespaces").unwrap_or_default();
        result = result.help(format!(
            "the limit of network namespaces is reached (sysctl user.max_net_namespaces, here {})",
            limit.trim()
        ));
    }
    if let Some(message) = &error.message {
        result = result.note(format!("kernel: \"{message}\""));
    }
    result
}

pub(super) fn unread(error: &LiveError) -> Error {
    let place = error.ns.as_ref().map_or_else(|| "the lab".to_owned(), |ns| format!("`{ns}`"));
    let result = Error::io(format!("cannot read the state of {place}"), &error.error);
    match &error.message {
        Some(message) => result.note(format!("kernel: \"{message}\"")),
        None => result,
    }
}
