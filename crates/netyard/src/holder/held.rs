//! The lab inside its holder: its definition, its namespaces, its programs, and every change to them.

use super::files;
use super::host;
use super::internet::InternetServers;
use super::programs::Programs;
use super::sandbox;
use super::uplink::{self, Pasta};
use crate::apply::ApplyError;
use crate::error::{Error, Result};
use crate::fault::Faults;
use crate::live::{self, LiveError};
use crate::namespaces::Namespaces;
use crate::probe::SocketKind;
use crate::protocol::{Description, Entrance, NamespaceNames, Spec};
use netyard_core::desired;
use netyard_core::diff::{diff, diff_from};
use netyard_core::lab::Lab;
use netyard_core::labfile::nearest;
use netyard_core::name::{IfName, NodeName};
use netyard_core::state::{Namespace, Ns, Route, State};
use netyard_core::step::Step;
use netyard_kernel::process::{Doors, Launch, Room};
use netyard_kernel::traveller::Traveller;
use netyard_kernel::userns::{self, IdMap};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The longest wait for links: a spanning tree with the standard's timers takes 31 s.
const READY_MAX: Duration = Duration::from_secs(60);

/// A lab that is built and kept.
pub(super) struct HeldLab {
    pub(super) programs: Programs,
    spec: Spec,
    namespaces: Namespaces,
    /// The user namespace of the lab's namespaces and programs; none where the lab has no user namespace at all.
    user: Option<OwnedFd>,
    internet: InternetServers,
    /// What programs of persons live in, by node; none for the lab as a whole.
    rooms: BTreeMap<Option<NodeName>, Room>,
    up_since: u64,
    /// Whether it lives on without the process that started it.
    pub(super) outlives_caller: bool,
}

impl HeldLab {
    /// Builds the lab; when it returns, every packet finds its way.
    ///
    /// # Errors
    /// The step that failed. The caller then ends the process, and the kernel takes back what was built.
    pub(super) fn build(spec: Spec, on_step: &mut (dyn FnMut(usize, usize) + Send)) -> Result<Self> {
        let pasta = Pasta::find(&spec.lab)?;
        let user = inner_user_namespace()?;
        let copy = user.as_ref().map(|fd| fd.try_clone()).transpose();
        let copy = copy.map_err(|e| Error::io("cannot copy a descriptor", &e))?;
        let mut lab = Self {
            programs: Programs::default(),
            namespaces: Namespaces::new(copy),
            user,
            internet: InternetServers::default(),
            rooms: BTreeMap::new(),
            up_since: 0,
            outlives_caller: false,
            spec,
        };
        let desired = desired::state(&lab.spec.lab);
        let live = host::adopt(&lab.spec.lab, &desired, &mut lab.namespaces)?;
        let steps = diff(&live, &desired);
        let mut faults = Faults { fail_at: lab.spec.fail_at, count: 0 };
        lab.execute(&steps, &mut faults, on_step)?;
        lab.wait_until_ready(&desired)?;
        if let Some(pasta) = pasta {
            pasta.connect(&lab.spec, &lab.namespaces, lab.user.as_ref(), &mut lab.programs)?;
        }
        lab.start_services()?;
        lab.up_since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Ok(lab)
    }

    /// What would have to be done to make `spec` of this lab.
    pub(super) fn plan(&mut self, spec: &Spec) -> Result<Vec<Step>> {
        let desired = desired::state(&spec.lab);
        Ok(diff_from(&desired::state(&self.spec.lab), &self.read(&desired)?, &desired))
    }

    /// Makes `spec` of this lab, changing only what differs. When a step fails, all that was done is undone.
    pub(super) fn apply(
        &mut self,
        spec: Spec,
        on_step: &mut (dyn FnMut(usize, usize) + Send),
    ) -> Result<Vec<Step>> {
        host::refuse_change(&self.spec.lab, &spec.lab)?;
        uplink::refuse_change(&self.spec.lab, &spec.lab)?;
        let desired = desired::state(&spec.lab);
        // Also the values that only the lab of now asks for: a node that is taken away may have to come back.
        let previous = desired::state(&self.spec.lab);
        let before = self.read_with(&desired, &previous)?;
        let steps = diff_from(&previous, &before, &desired);
        let mut faults = Faults { fail_at: spec.fail_at, count: 0 };
        let previous = std::mem::replace(&mut self.spec, spec);
        let done = self
            .execute(&steps, &mut faults, on_step)
            .and_then(|()| self.wait_until_ready(&desired))
            .and_then(|()| self.start_services());
        let Err(error) = done else { return Ok(steps) };
        self.spec = previous;
        match self.go_back(&before) {
            Ok(()) => Err(error.note("all changes were undone; the lab runs as before")),
            Err(second) => Err(error
                .note(format!("undoing the changes failed as well: {}", second.title))
                .help("`netyard down` and `netyard up` make the lab anew")),
        }
    }

    fn go_back(&mut self, before: &State) -> Result<()> {
        let steps = diff(&self.read(before)?, before);
        self.execute(&steps, &mut Faults::none(), &mut |_, _| {})?;
        self.wait_until_ready(before)?;
        self.start_services()
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

    /// The doors of a node, or of the fabric with `ip netns` knowing every node.
    pub(super) fn enter(&mut self, node: Option<&NodeName>) -> Result<(Entrance, Vec<OwnedFd>)> {
        let (ns, env) = match node {
            Some(name) => {
                let env = self.node(name)?.env.clone().into_iter().collect();
                (Ns::Node(name.clone()), env)
            }
            None => {
                self.publish_namespaces()?;
                let first = self.namespaces.iter().next().map(|(ns, _)| ns.clone());
                let ns = first.ok_or_else(|| {
                    Error::input("U010", format!("lab `{}` has no node", self.spec.lab.name))
                })?;
                (ns, Vec::new())
            }
        };
        let net = self.namespace_of(&ns)?;
        let Room { mounts, uts } = self.room(node, &net)?;
        let mut fds = Vec::new();
        if let Some(user) = &self.user {
            fds.push(copied(user)?);
        }
        fds.extend([net, mounts, uts]);
        let lab = self.spec.lab.name.clone();
        let is_sandbox = self.spec.is_sandbox;
        let mut env: Vec<(String, String)> = env;
        if let Some(node) = node.filter(|_| is_sandbox) {
            let home = sandbox::home(&self.spec, node);
            env.extend(home.map_err(|e| Error::io("cannot make a home folder", &e))?);
        }
        let entrance = Entrance {
            lab,
            env,
            has_user_namespace: self.user.is_some(),
            stand_ins: (is_sandbox && node.is_some()).then(|| sandbox::SHOWN.into()),
            grants_setgroups: is_sandbox && sandbox::has_one_id(),
        };
        Ok((entrance, fds))
    }

    /// The mounts and the host name for what a person starts in a node, or among all nodes: arranged for the first
    /// program, and kept for those after it.
    fn room(&mut self, node: Option<&NodeName>, net: &OwnedFd) -> Result<Room> {
        let copied = |room: &Room| room.try_clone().map_err(|e| Error::io("cannot copy a descriptor", &e));
        let key = node.cloned();
        if let Some(room) = self.rooms.get(&key) {
            return copied(room);
        }
        let (hostname, mounts) = match node {
            Some(name) => {
                let node = self.node(name)?;
                let failed = |e| Error::io(format!("cannot make the files of node `{name}`"), &e);
                // What is below the holder's /run is reached before the node's own /run covers it.
                let mut mounts =
                    if self.spec.is_sandbox { sandbox::mounts().map_err(failed)? } else { Vec::new() };
                mounts.extend(files::mounts_of_person(&self.spec.lab, node).map_err(failed)?);
                (node.hostname().to_owned(), mounts)
            }
            None => (self.spec.lab.name.to_string(), Vec::new()),
        };
        let launch = Launch { mounts, hostname: Some(hostname), ..Launch::default() };
        let user = self.user.as_ref().map(AsFd::as_fd);
        let room = launch.room(&Doors { holder: None, user, net: Some(net.as_fd()), room: None });
        let room = room.map_err(|error| Error::io(format!("cannot {}", error.doing), &error.source))?;
        let result = copied(&room);
        self.rooms.insert(key, room);
        result
    }

    /// Binds every namespace below `/run/netns` of the holder's mount namespace, where `ip netns` finds them.
    fn publish_namespaces(&self) -> Result<()> {
        use std::os::fd::AsRawFd;
        for (ns, fd) in self.namespaces.iter() {
            let target = Path::new(files::NETNS).join(ns.as_str());
            if target.exists() {
                continue;
            }
            let source = PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()));
            std::fs::File::create(&target)
                .and_then(|_| netyard_kernel::mount::bind(&source, &target))
                .map_err(|e| Error::io(format!("cannot bind {}", target.display()), &e))?;
        }
        Ok(())
    }

    /// Sockets made inside nodes.
    pub(super) fn sockets(&self, wanted: &[(NodeName, SocketKind)]) -> Result<Vec<OwnedFd>> {
        let mut rooms = Vec::with_capacity(wanted.len());
        for (node, kind) in wanted {
            rooms.push((node, *kind, self.namespace_of(&Ns::Node(node.clone()))?));
        }
        let made = Traveller::run(|traveller| {
            let mut sockets = Vec::with_capacity(rooms.len());
            for (node, kind, ns) in &rooms {
                let socket = traveller.enter(ns.as_fd()).and_then(|()| kind.open());
                sockets.push(socket.map_err(|error| no_socket(node, *kind, &error))?);
            }
            Ok(sockets)
        });
        made.map_err(|e| Error::io("cannot start a thread", &e))?
    }

    /// The network namespace of a node.
    pub(super) fn namespace(&self, node: &NodeName) -> Result<OwnedFd> {
        self.namespace_of(&Ns::Node(node.clone()))
    }

    /// The network namespaces from that place on, the user namespace, and the mounts of rooms.
    pub(super) fn all_namespaces(&self, after: usize) -> Result<(NamespaceNames, Vec<OwnedFd>)> {
        /// One message holds 253 descriptors.
        const AT_ONCE: usize = 200;
        const ROOMS_MAX: usize = 50;
        let all = self.namespaces.iter().count();
        let (mut names, mut fds) = (Vec::new(), Vec::new());
        for (ns, fd) in self.namespaces.iter().skip(after).take(AT_ONCE) {
            names.push(ns.clone());
            fds.push(fd.try_clone_to_owned().map_err(|e| Error::io("cannot copy a descriptor", &e))?);
        }
        if let Some(user) = &self.user {
            fds.push(copied(user)?);
        }
        for room in self.rooms.values().take(ROOMS_MAX) {
            fds.push(copied(&room.mounts)?);
        }
        Ok((NamespaceNames { names, all, has_user_namespace: self.user.is_some() }, fds))
    }

    fn namespace_of(&self, ns: &Ns) -> Result<OwnedFd> {
        let Some(fd) = self.namespaces.fd(ns) else {
            if let Ns::Node(name) = ns {
                self.node(name)?;
            }
            return Err(Error::kernel("K010", format!("`{ns}` has no namespace")));
        };
        fd.try_clone_to_owned().map_err(|e| Error::io("cannot copy a descriptor", &e))
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
        // A word on every hundredth step is enough for a person, and costs nothing.
        let all = steps.len();
        let report = |index: usize| {
            if all > 1000 && index.is_multiple_of(100) {
                on_step(index, all);
            }
        };
        self.namespaces.apply(steps, faults, report).map_err(|error| refused(&error))
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
    fn start_services(&mut self) -> Result<()> {
        let nodes: BTreeSet<&NodeName> = self.spec.lab.nodes.iter().map(|node| &node.name).collect();
        self.rooms.retain(|node, _| node.as_ref().is_none_or(|node| nodes.contains(node)));
        files::write_hosts(&self.spec.lab).map_err(|e| Error::io("cannot write the table of names", &e))?;
        self.internet.change_to(&self.spec.lab, &self.namespaces)?;
        self.programs.change_to(&self.spec, &self.namespaces, self.user.as_ref())
    }
}

/// Brings an interface up, and brings back what the kernel took away with it: its IPv6 addresses and the routes over
/// it. All else stays as it is.
fn plug(live: &mut Namespace, desired: &Namespace, interface: &IfName) {
    let Some(link) = live.links.get_mut(interface) else { return };
    link.is_up = true;
    if let Some(desired) = desired.links.get(interface) {
        link.addresses.extend(desired.addresses.iter().copied());
    }
    let down: Vec<&IfName> =
        live.links.iter().filter(|(_, link)| !link.is_up).map(|(name, _)| name).collect();
    let can_be = |route: &&Route| route.uses(interface) && !down.iter().any(|name| route.uses(name));
    live.routes.extend(desired.routes.iter().filter(can_be).cloned());
}

/// The user namespace that nodes and programs belong to: inside the holder's, so that the holder's mounts are locked
/// for them and the holder itself is out of their reach.
fn inner_user_namespace() -> Result<Option<OwnedFd>> {
    let Some(map) = IdMap::of_self() else { return Ok(None) };
    let made = userns::create(&map.nested());
    made.map(Some).map_err(|e| Error::io("cannot make the lab's inner user namespace", &e))
}

fn copied(fd: &OwnedFd) -> Result<OwnedFd> {
    fd.try_clone().map_err(|e| Error::io("cannot copy a descriptor", &e))
}

/// A socket that a node does not give.
fn no_socket(node: &NodeName, kind: SocketKind, error: &std::io::Error) -> Error {
    let is_ping = matches!(kind, SocketKind::Icmp4 | SocketKind::Icmp6);
    let result = Error::io(format!("cannot open a socket in node `{node}`"), error);
    if !is_ping || error.kind() != std::io::ErrorKind::PermissionDenied {
        return result;
    }
    // Only in the machine's own namespace: nodes of the lab have it open.
    result.note("`net.ipv4.ping_group_range` of this machine lets nobody ping without privilege").help(
        "`sysctl -w net.ipv4.ping_group_range=\"0 0\"` allows root; netyard changes no sysctl of the machine",
    )
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
    let mut result = Error::kernel("K001", title).note(format!("step: {first}"));
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
