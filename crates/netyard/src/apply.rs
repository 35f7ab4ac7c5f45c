//! Steps become changes to the kernel: those of one namespace in one system call.

use crate::fault::Faults;
use crate::namespaces::Namespaces;
use crate::request;
use netyard_core::mac::Mac;
use netyard_core::name::IfName;
use netyard_core::state::{LinkKind, Ns, Tun};
use netyard_core::step::Step;
use netyard_kernel::netlink::link::NewLink;
use netyard_kernel::netlink::nft;
use netyard_kernel::netlink::{Messages, Protocol, Refusal, Socket, ethtool, link, qdisc};
use netyard_kernel::traveller::Traveller;
use netyard_kernel::{netns, sysctl, tun};
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

/// A step that could not be carried out. Those before it have been; those after it may have been in part, where they
/// are in the same namespace: read the live state before going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyError {
    /// Which step, from 0.
    pub index: usize,
    /// The step.
    pub step: Box<Step>,
    /// The error number (errno(3)).
    pub errno: i32,
    /// The kernel's own words, or ours where the kernel was not asked.
    pub message: Option<String>,
}

impl ApplyError {
    /// Whether the kernel lacks the qdisc that the step asks for: netem is a module that small kernels leave out.
    #[must_use]
    pub fn is_missing_qdisc(&self) -> bool {
        qdisc::is_kind_unknown(self.errno, self.message.as_deref())
    }
}

impl fmt::Display for ApplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errno = io::Error::from_raw_os_error(self.errno);
        let commands = self.step.commands();
        let command = commands.first().map_or("nothing", String::as_str);
        write!(f, "step {} in {}: `{command}`: {errno}", self.index + 1, self.step.ns())?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ApplyError {}

impl Namespaces {
    /// Carries out all steps in order and tells `on_step` the number of each one done.
    ///
    /// # Errors
    /// The first step that failed; no later one has been begun, but for those that were sent together with it.
    ///
    /// # Panics
    /// When `on_step` does.
    pub fn apply(
        &mut self,
        steps: &[Step],
        faults: &mut Faults,
        on_step: impl FnMut(usize) + Send,
    ) -> Result<(), ApplyError> {
        let Some(first) = steps.first() else { return Ok(()) };
        let run = |traveller: &mut Traveller| {
            Execution { namespaces: self, traveller, steps, faults, on_step, batch: Batch::default() }.run()
        };
        Traveller::run(run).unwrap_or_else(|error| {
            let Failure { errno, message } = error.into();
            Err(ApplyError { index: 0, step: Box::new(first.clone()), errno, message })
        })
    }
}

/// Why a change was not made.
pub(crate) struct Failure {
    errno: i32,
    message: Option<String>,
}

impl Failure {
    pub(crate) fn new(errno: Errno, message: impl Into<String>) -> Self {
        Self { errno: errno.raw_os_error(), message: Some(message.into()) }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { errno: refusal.errno, message: refusal.message }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self { errno, message: None },
            None => Self::new(Errno::IO, error.to_string()),
        }
    }
}

/// Requests of one namespace that are still to be sent.
#[derive(Default)]
struct Batch<'a> {
    ns: Option<&'a Ns>,
    messages: Messages,
    /// The step of each request.
    steps: Vec<usize>,
}

struct Execution<'a, F> {
    namespaces: &'a mut Namespaces,
    traveller: &'a mut Traveller,
    steps: &'a [Step],
    faults: &'a mut Faults,
    on_step: F,
    batch: Batch<'a>,
}

impl<'a, F: FnMut(usize)> Execution<'a, F> {
    fn run(&mut self) -> Result<(), ApplyError> {
        let steps = self.steps;
        let mut index = 0;
        while let Some(step) = steps.get(index) {
            if self.append(index, step)? {
                index += 1;
                continue;
            }
            self.flush()?;
            let count =
                if matches!(step, Step::AddNamespace { .. }) { self.namespaces_from(index) } else { 1 };
            self.at_once(index, count)?;
            (index..index + count).for_each(&mut self.on_step);
            index += count;
        }
        self.flush()
    }

    /// Puts a step into the batch; false when it goes by another way than rtnetlink.
    fn append(&mut self, index: usize, step: &'a Step) -> Result<bool, ApplyError> {
        if !request::goes_by_rtnetlink(step) {
            return Ok(false);
        }
        if self.batch.ns != Some(step.ns()) {
            self.flush()?;
            self.batch.ns = Some(step.ns());
        }
        let before = self.batch.messages.len();
        if let Err(failure) = request::append(&mut self.batch.messages, self.namespaces, step) {
            self.flush()?;
            return Err(self.error(index, failure));
        }
        for message in before..self.batch.messages.len() {
            if self.faults.strikes() {
                self.batch.messages.truncate(message);
                self.flush()?;
                return Err(self.error(index, injected()));
            }
            self.batch.steps.push(index);
        }
        Ok(true)
    }

    /// Sends what is in the batch.
    fn flush(&mut self) -> Result<(), ApplyError> {
        let Batch { ns, mut messages, steps } = std::mem::take(&mut self.batch);
        let (Some(ns), Some(first), Some(last)) = (ns, steps.first(), steps.last()) else { return Ok(()) };
        if let Err((position, failure)) = self.send(ns, &mut messages) {
            return Err(self.error(steps[position], failure));
        }
        (*first..=*last).for_each(&mut self.on_step);
        messages.clear();
        self.batch.messages = messages;
        Ok(())
    }

    fn send(&mut self, ns: &Ns, messages: &mut Messages) -> Result<(), (usize, Failure)> {
        let open = self.namespaces.open.get_mut(ns).ok_or_else(|| (0, request::no_namespace(ns)))?;
        let socket = open.route(self.traveller).map_err(|error| (0, error.into()))?;
        socket.send(messages).map_err(|refusal| (refusal.index, refusal.into()))
    }

    /// How many steps from this one on make a namespace.
    fn namespaces_from(&self, index: usize) -> usize {
        self.steps[index..].iter().take_while(|step| matches!(step, Step::AddNamespace { .. })).count()
    }

    /// Carries out `count` steps (more than one only for new namespaces) that do not go by rtnetlink.
    fn at_once(&mut self, index: usize, count: usize) -> Result<(), ApplyError> {
        let steps = &self.steps[index..index + count];
        if let Some(struck) = (0..count).find(|_| self.faults.strikes()) {
            if struck > 0 {
                self.add_namespaces(&steps[..struck]).map_err(|failure| self.error(index, failure))?;
                (index..index + struck).for_each(&mut self.on_step);
            }
            return Err(self.error(index + struck, injected()));
        }
        let done = match &steps[0] {
            Step::AddNamespace { .. } => self.add_namespaces(steps),
            Step::DeleteNamespace { ns } => self.delete_namespace(ns),
            Step::AddLink { ns, name, mac, mtu, kind } => self.add_link(ns, name, *mac, *mtu, kind),
            Step::SetChecksums { ns, name, fills } => self.set_checksums(ns, name, *fills),
            Step::SetSysctl { ns, key, value } => self.set_sysctl(ns, key, value),
            Step::ReplaceTable { ns, table } if self.namespaces.is_adopted(ns) => {
                self.owned_tables(|socket| nft::replace_table_owned(socket, table))
            }
            Step::DeleteTable { ns, family, name } if self.namespaces.is_adopted(ns) => {
                self.owned_tables(|socket| nft::delete_table(socket, *family, name))
            }
            Step::ReplaceTable { ns, table } => {
                self.netfilter(ns, |socket| nft::replace_table(socket, table))
            }
            Step::DeleteTable { ns, family, name } => {
                self.netfilter(ns, |socket| nft::delete_table(socket, *family, name))
            }
            _ => unreachable!("all other steps go by rtnetlink"),
        };
        done.map_err(|failure| self.error(index, failure))
    }

    fn add_namespaces(&mut self, steps: &[Step]) -> Result<(), Failure> {
        let mut names = Vec::new();
        let mut all_sysctls: Vec<Vec<netns::Sysctl>> = Vec::new();
        for step in steps {
            let Step::AddNamespace { ns, sysctls } = step else { continue };
            if self.namespaces.open.contains_key(ns) || names.contains(&ns) {
                return Err(Failure::new(Errno::EXIST, "there is a namespace of that name"));
            }
            names.push(ns);
            let by_path = |(key, value): (&String, &String)| Ok((sysctl::path(key)?, value.clone()));
            all_sysctls.push(sysctls.iter().map(by_path).collect::<io::Result<_>>()?);
        }
        let userns = self.namespaces.userns.as_ref().map(AsFd::as_fd);
        let made = netns::create(userns, &all_sysctls)?;
        for (ns, new) in names.into_iter().zip(made) {
            self.namespaces.insert(ns.clone(), new.fd, Some(new.route));
        }
        Ok(())
    }

    /// The links go first: the kernel takes down a namespace some time after its last descriptor is closed, and the
    /// names of the peers that are bridge ports elsewhere would stay taken until then.
    fn delete_namespace(&mut self, ns: &Ns) -> Result<(), Failure> {
        if self.namespaces.is_adopted(ns) {
            self.namespaces.forget(ns);
            self.traveller.forget();
            return Ok(());
        }
        let open = self.namespaces.open.get_mut(ns).ok_or_else(|| request::no_namespace(ns))?;
        let socket = open.route(self.traveller)?;
        for left in link::dump(socket)?.into_iter().filter(|link| !link.is_loopback()) {
            let mut messages = Messages::new();
            link::delete(&mut messages, left.index);
            match socket.send(&mut messages) {
                // Gone with its peer a moment ago, or one that goes with the namespace only.
                Err(Refusal { errno, .. })
                    if [Errno::NODEV, Errno::OPNOTSUPP].map(Errno::raw_os_error).contains(&errno) => {}
                result => result?,
            }
        }
        self.namespaces.forget(ns);
        self.traveller.forget();
        Ok(())
    }

    /// A link on another one is made in the namespace of that.
    fn add_link(
        &mut self,
        ns: &Ns,
        name: &IfName,
        mac: Option<Mac>,
        mtu: u32,
        kind: &LinkKind,
    ) -> Result<(), Failure> {
        if let LinkKind::Tun(Tun { is_tap, .. }) = kind {
            return self.add_tun(ns, name, *is_tap);
        }
        let index = self.namespaces.give_index(ns, name).ok_or_else(|| request::no_namespace(ns))?;
        let from = kind.parent().map_or(ns, |parent| &parent.ns);
        let below = kind.parent().map(|p| request::index(self.namespaces, &p.ns, &p.name)).transpose()?;
        let fd = self.namespaces.fd(ns).ok_or_else(|| request::no_namespace(ns))?.try_clone_to_owned()?;
        let mut messages = Messages::new();
        let own = (from != ns).then(|| fd.as_fd());
        let new = NewLink { name: name.as_str(), index, mac, mtu, kind, parent: below, ns: own };
        link::add_link(&mut messages, new);
        let open = self.namespaces.open.get_mut(from).ok_or_else(|| request::no_namespace(from))?;
        Ok(open.route(self.traveller)?.send(&mut messages)?)
    }

    fn add_tun(&mut self, ns: &Ns, name: &IfName, is_tap: bool) -> Result<(), Failure> {
        let open = self.namespaces.open.get_mut(ns).ok_or_else(|| request::no_namespace(ns))?;
        self.traveller.enter(open.fd.as_fd())?;
        tun::add(name.as_str(), is_tap)?;
        let links = link::dump(open.route(self.traveller)?)?;
        let known = links.iter().filter_map(|l| Some((IfName::new(&l.name).ok()?, l.index))).collect();
        self.namespaces.learn(ns, known);
        Ok(())
    }

    fn set_checksums(&mut self, ns: &Ns, name: &IfName, fills: bool) -> Result<(), Failure> {
        let open = self.namespaces.open.get_mut(ns).ok_or_else(|| request::no_namespace(ns))?;
        let socket = open.route(self.traveller)?;
        Ok(ethtool::set_fills_checksums(socket, name.as_str(), fills)?)
    }

    fn set_sysctl(&mut self, ns: &Ns, key: &str, value: &str) -> Result<(), Failure> {
        let fd = self.namespaces.fd(ns).ok_or_else(|| request::no_namespace(ns))?;
        self.traveller.enter(fd)?;
        Ok(self.traveller.sysctls()?.write(key, value)?)
    }

    fn netfilter(
        &mut self,
        ns: &Ns,
        change: impl FnOnce(&mut Socket) -> Result<(), Refusal>,
    ) -> Result<(), Failure> {
        let open = self.namespaces.open.get(ns).ok_or_else(|| request::no_namespace(ns))?;
        let mut socket = open.socket(self.traveller, Protocol::Netfilter)?;
        Ok(change(&mut socket)?)
    }

    fn owned_tables(
        &mut self,
        change: impl FnOnce(&mut Socket) -> Result<(), Refusal>,
    ) -> Result<(), Failure> {
        let socket = self.namespaces.owner_of_tables(self.traveller)?;
        Ok(change(socket)?)
    }

    fn error(&self, index: usize, Failure { errno, message }: Failure) -> ApplyError {
        ApplyError { index, step: Box::new(self.steps[index].clone()), errno, message }
    }
}

fn injected() -> Failure {
    Failure::new(Errno::IO, "a failure that was asked for")
}
