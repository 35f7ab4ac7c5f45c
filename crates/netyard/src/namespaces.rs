//! The open network namespaces of a lab, and the ifindex of each link that netyard made in them.

use netyard_core::name::IfName;
use netyard_core::state::Ns;
use netyard_kernel::netlink::{Protocol, Socket, link};
use netyard_kernel::netns;
use netyard_kernel::traveller::Traveller;
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// All namespaces of one lab, each held by descriptor: when this is dropped, they go.
///
/// Two steps change and read what is in them: [`Namespaces::apply`] and [`crate::live::read`].
#[derive(Debug)]
pub struct Namespaces {
    pub(crate) open: BTreeMap<Ns, Open>,
    pub(crate) userns: Option<OwnedFd>,
    /// The next ifindex to give out. One series for the whole lab: no two links that netyard makes have the same, so
    /// that a veth and its peer tell each other apart by it, and the kernel reports their carrier at once (it puts
    /// off what it takes for no change of another link, net/core/link_watch.c).
    next_index: u32,
    /// The machine's own namespace, where the lab has a node of kind `host`.
    adopted: Option<Adopted>,
}

/// A namespace that the lab uses and has not made: nothing that is not the lab's is touched there.
#[derive(Debug)]
struct Adopted {
    ns: Ns,
    /// Owns the lab's table: the kernel removes it when this socket closes, however that comes.
    tables: Option<Socket>,
}

/// One open namespace.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) fd: OwnedFd,
    pub(crate) route: Option<Socket>,
    pub(crate) links: HashMap<IfName, u32>,
}

impl Namespaces {
    /// No namespace yet. New ones will belong to `userns`, or to that of the caller.
    #[must_use]
    pub fn new(userns: Option<OwnedFd>) -> Self {
        Self { open: BTreeMap::new(), userns, next_index: link::LOOPBACK + 1, adopted: None }
    }

    /// Takes in a namespace that was made elsewhere. [`crate::live::read`] learns its links.
    pub fn insert(&mut self, ns: Ns, fd: OwnedFd, route: Option<Socket>) {
        let links = HashMap::from([(loopback(), link::LOOPBACK)]);
        self.open.insert(ns, Open { fd, route, links });
    }

    /// Takes in the machine's own namespace. Of what is in it, only what the lab makes is ever changed.
    pub fn adopt(&mut self, ns: Ns, fd: OwnedFd) {
        self.insert(ns.clone(), fd, None);
        self.adopted = Some(Adopted { ns, tables: None });
    }

    /// Whether the namespace is the machine's own.
    #[must_use]
    pub fn is_adopted(&self, ns: &Ns) -> bool {
        self.adopted.as_ref().is_some_and(|adopted| adopted.ns == *ns)
    }

    /// The socket that owns the lab's tables in the machine's own namespace.
    pub(crate) fn owner_of_tables(&mut self, traveller: &mut Traveller) -> io::Result<&mut Socket> {
        let adopted = self.adopted.as_mut().ok_or(io::ErrorKind::NotFound)?;
        if adopted.tables.is_none() {
            let open = self.open.get(&adopted.ns).ok_or(io::ErrorKind::NotFound)?;
            adopted.tables = Some(open.socket(traveller, Protocol::Netfilter)?);
        }
        adopted.tables.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Gives a namespace up. The machine's own stays as it is, less the lab's tables.
    pub(crate) fn forget(&mut self, ns: &Ns) {
        self.open.remove(ns);
        if self.is_adopted(ns) {
            self.adopted = None;
        }
    }

    /// What a new namespace has for these sysctls, as far as the kernel has them.
    ///
    /// # Errors
    /// Those of making one.
    pub(crate) fn fresh_values(&self, keys: &[String]) -> io::Result<BTreeMap<String, String>> {
        let made = netns::create(self.userns.as_ref().map(AsFd::as_fd), &[Vec::new()])?;
        let Some(fresh) = made.first() else { return Ok(BTreeMap::new()) };
        Traveller::run(|traveller| {
            traveller.enter(fresh.fd.as_fd())?;
            crate::live::read_sysctls(traveller, keys)
        })?
    }

    /// The descriptor of a namespace.
    #[must_use]
    pub fn fd(&self, ns: &Ns) -> Option<BorrowedFd<'_>> {
        self.open.get(ns).map(|open| open.fd.as_fd())
    }

    /// The names and descriptors of all.
    pub fn iter(&self) -> impl Iterator<Item = (&Ns, BorrowedFd<'_>)> {
        self.open.iter().map(|(ns, open)| (ns, open.fd.as_fd()))
    }

    /// The ifindex of a link that netyard made or has read.
    #[must_use]
    pub fn index(&self, ns: &Ns, link: &IfName) -> Option<u32> {
        self.open.get(ns)?.links.get(link).copied()
    }

    /// Gives out an ifindex for a new link.
    pub(crate) fn give_index(&mut self, ns: &Ns, link: &IfName) -> Option<u32> {
        let index = self.next_index;
        self.open.get_mut(ns)?.links.insert(link.clone(), index);
        self.next_index += 1;
        Some(index)
    }

    /// Replaces what is known of the links of a namespace by what the kernel has.
    pub(crate) fn learn(&mut self, ns: &Ns, links: HashMap<IfName, u32>) {
        let highest = links.values().copied().max().unwrap_or_default();
        self.next_index = self.next_index.max(highest.saturating_add(1));
        if let Some(open) = self.open.get_mut(ns) {
            open.links = links;
        }
    }
}

impl Open {
    /// The rtnetlink socket, opened where it is needed first.
    pub(crate) fn route(&mut self, traveller: &mut Traveller) -> io::Result<&mut Socket> {
        if self.route.is_none() {
            self.route = Some(self.socket(traveller, Protocol::Route)?);
        }
        self.route.as_mut().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Opens a socket in the namespace.
    pub(crate) fn socket(&self, traveller: &mut Traveller, protocol: Protocol) -> io::Result<Socket> {
        traveller.enter(self.fd.as_fd())?;
        Socket::open(protocol)
    }
}

fn loopback() -> IfName {
    IfName::new("lo").expect("`lo` is an interface name")
}
