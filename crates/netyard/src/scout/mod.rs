//! Asks the kernel inside of network namespaces, whoever made them, on behalf of a process that stays where it is.
//!
//! Many things may only be asked, and sockets of many kinds only be made, by a process that is in the namespace and has
//! rights over it. An ordinary user has them in the user namespaces that are his, and only a process with one thread may
//! go there. So a child is sent for each such user namespace; it stays, answers, and ends with the caller.

mod capture;
mod explore;
mod question;
mod station;
mod trace;

pub use explore::RawOutline;
pub use question::{Answer, LinkSeen, Question, Told};

use crate::error::{Error, Result};
use crate::look::{Discovery, Scope, no_such_namespace};
use crate::probe::{NodeSockets, SocketKind};
use netyard_core::name::NodeName;
use netyard_core::road::Road;
use netyard_core::state::Ns;
use netyard_kernel::nsfs;
use question::Trouble;
use station::Station;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

/// Where one can go, and who goes there.
///
/// Dropping it ends the scouts, and gives back what they hold: nf_tables tables that were made through it, for example.
/// So does the end of the caller, by whatever signal.
#[derive(Debug)]
pub struct Scout {
    places: Vec<Place>,
    by_name: BTreeMap<Ns, u64>,
    stations: Vec<Mutex<Station>>,
}

/// A network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name: that of the node where it is one.
    pub name: Ns,
    /// Its inode.
    pub inode: u64,
    /// Whether it is the caller's own.
    pub is_here: bool,
    /// Whether it is the one that was asked for; the caller's own where none was.
    pub is_wanted: bool,
    /// Whether it has a name below `/run/netns` (ip-netns(8)).
    pub is_named: bool,
    /// Whether it is part of the lab that was asked for, or was made inside of it.
    pub is_of_lab: bool,
    /// The process that keeps it, for one without a file, a lab or a container that names it: its name and id.
    pub keeper: Option<(String, u32)>,
    /// How a command is typed there; none where there is no plain way.
    pub road: Option<Road>,
    /// The station that can go there; none where every way is closed, with the reason.
    station: std::result::Result<usize, String>,
}

impl Scout {
    /// Sends out scouts to all namespaces of a scope. Call it while the process has one thread.
    ///
    /// # Errors
    /// As [`look`](crate::look::look); those of starting a thread.
    pub fn of(scope: Scope<'_>) -> Result<Self> {
        let (discovery, _) = crate::look::discover_all(scope)?;
        Self::to(&discovery)
    }

    /// Sends out scouts to namespaces that were found.
    ///
    /// # Errors
    /// Those of starting a thread. A user namespace that may not be entered is no error: its places are closed then.
    pub(crate) fn to(discovery: &Discovery) -> Result<Self> {
        let roads = roads(discovery);
        let mut stations = Vec::new();
        let mut opened: Vec<std::result::Result<usize, String>> = Vec::new();
        // A thread of this process would be in the way of sending children.
        for user in &roads.users {
            opened.push(match Station::child(user.as_fd(), discovery) {
                Ok(station) => {
                    stations.push(Mutex::new(station));
                    Ok(stations.len() - 1)
                }
                Err(error) => Err(format!("cannot enter the user namespace that owns it: {error}")),
            });
        }
        let own = Station::thread(discovery).map_err(|e| Error::io("cannot start a thread", &e))?;
        stations.push(Mutex::new(own));
        let own = stations.len() - 1;
        let places = discovery.found.iter().filter_map(|(inode, found)| {
            let closed = || found.refusal.clone().unwrap_or_else(|| "there is no way to it".to_owned());
            let station = match roads.of_place.get(inode) {
                Some(Gate::Own) => Ok(own),
                Some(Gate::User(number)) => opened[*number].clone(),
                None => Err(closed()),
            };
            Some(Place {
                name: found.name.clone()?,
                inode: *inode,
                is_here: *inode == discovery.here,
                is_wanted: *inode == discovery.wanted(),
                is_named: found.is_named(),
                is_of_lab: discovery.is_of_lab(found),
                road: found.road(*inode == discovery.here),
                keeper: found.keeper().filter(|_| *inode != discovery.here),
                station,
            })
        });
        let places: Vec<Place> = places.collect();
        let by_name = places.iter().map(|place| (place.name.clone(), place.inode)).collect();
        Ok(Self { places, by_name, stations })
    }

    /// All namespaces that were found, also those that cannot be entered.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// The namespace of that name.
    #[must_use]
    pub fn place(&self, name: &Ns) -> Option<&Place> {
        self.at(*self.by_name.get(name)?)
    }

    /// The namespace of that inode.
    #[must_use]
    pub fn at(&self, inode: u64) -> Option<&Place> {
        // Those that were found are in the order of their inodes.
        let index = self.places.binary_search_by_key(&inode, |place| place.inode).ok()?;
        self.places.get(index)
    }

    /// A command as it is typed so that it runs in a namespace; where there is no plain way, behind its name and `#`.
    #[must_use]
    pub fn typed(&self, ns: &Ns, command: &str) -> String {
        match self.place(ns).and_then(|place| place.road.as_ref()) {
            Some(road) => road.typed(command),
            None => format!("{ns}# {command}"),
        }
    }

    /// Asks one question in one namespace.
    ///
    /// # Errors
    /// That there is no such namespace, that it cannot be entered, what the kernel said.
    pub fn ask(&self, ns: &Ns, question: Question) -> Result<Answer> {
        self.ask_all(vec![(ns.clone(), question)]).remove(0)
    }

    /// Asks many questions at once; the answers come in their order. Questions that take long each
    /// ([`Question::is_slow`]) are asked side by side.
    pub fn ask_all(&self, questions: Vec<(Ns, Question)>) -> Vec<Result<Answer>> {
        // No namespace has the inode 0.
        let inode = |ns: &Ns| self.by_name.get(ns).copied().unwrap_or(0);
        let names: Vec<Ns> = questions.iter().map(|(ns, _)| ns.clone()).collect();
        let asked = questions.into_iter().map(|(ns, question)| (inode(&ns), question)).collect();
        let answers = self.ask_inodes(asked).into_iter().zip(names);
        let told = answers.map(|(answer, ns)| {
            answer.map_err(|trouble| match trouble.errno {
                _ if inode(&ns) == 0 => no_such_namespace(ns.as_str()),
                errno => Error::kernel("K001", format!("cannot look into {ns}: {}", trouble.words))
                    .with_limit(errno.unwrap_or_default()),
            })
        });
        told.collect()
    }

    /// As [`Scout::ask_all`], by inode.
    pub(crate) fn ask_inodes(
        &self,
        questions: Vec<(u64, Question)>,
    ) -> Vec<std::result::Result<Answer, Trouble>> {
        let mut answers: Vec<Option<std::result::Result<Answer, Trouble>>> = Vec::new();
        let mut batches: BTreeMap<usize, Vec<(usize, u64, Question)>> = BTreeMap::new();
        for (number, (inode, question)) in questions.into_iter().enumerate() {
            let station = self.at(inode).map(|place| place.station.clone());
            answers.push(match station {
                Some(Ok(station)) => {
                    batches.entry(station).or_default().push((number, inode, question));
                    None
                }
                Some(Err(words)) => Some(Err(Trouble { errno: None, words })),
                None => Some(Err(io::Error::from(io::ErrorKind::NotFound).into())),
            });
        }
        for (station, batch) in batches {
            let mut station = self.stations[station].lock().unwrap_or_else(PoisonError::into_inner);
            for part in batch.chunks(AT_ONCE) {
                let asked: Vec<(u64, &Question)> = part.iter().map(|(_, inode, q)| (*inode, q)).collect();
                let told = station.ask(&asked).unwrap_or_else(|error| {
                    let ended = || Trouble {
                        errno: error.raw_os_error(),
                        words: format!("the scout has ended: {error}"),
                    };
                    asked.iter().map(|_| Err(ended())).collect()
                });
                for ((number, ..), one) in part.iter().zip(told) {
                    answers[*number] = Some(one);
                }
            }
        }
        answers.into_iter().flatten().collect()
    }
}

/// So many questions go with one message: each may bring two descriptors, of which one message takes 253.
const AT_ONCE: usize = 100;

impl NodeSockets for Scout {
    fn socket(&self, node: &NodeName, kind: SocketKind) -> io::Result<OwnedFd> {
        let answer = self.ask(&Ns::Node(node.clone()), Question::Socket(kind)).map_err(io::Error::other)?;
        answer.fds.into_iter().next().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// Which user namespace has to be entered for which place.
struct Roads {
    users: Vec<OwnedFd>,
    of_place: BTreeMap<u64, Gate>,
}

enum Gate {
    /// No user namespace has to be entered.
    Own,
    /// That of this number.
    User(usize),
}

/// Who has every right over network namespaces goes straight; others go by the topmost user namespace of their own.
fn roads(discovery: &Discovery) -> Roads {
    let mut roads = Roads { users: Vec::new(), of_place: BTreeMap::new() };
    let may_enter_all = netyard_kernel::userns::may_enter_namespaces();
    let mut known: BTreeMap<u64, usize> = BTreeMap::new();
    for (inode, found) in &discovery.found {
        let Some(fd) = &found.fd else { continue };
        let top = || nsfs::owners_below_own(fd.as_fd()).ok()?.pop();
        let road = match (may_enter_all || *inode == discovery.here).then_some(Gate::Own) {
            Some(own) => own,
            None => match top() {
                // It is the caller's own user namespace that owns it, or one that is none of his: entering tells.
                None => Gate::Own,
                Some(user) => {
                    let Ok(key) = nsfs::inode(user.as_fd()) else { continue };
                    Gate::User(*known.entry(key).or_insert_with(|| {
                        roads.users.push(user);
                        roads.users.len() - 1
                    }))
                }
            },
        };
        roads.of_place.insert(*inode, road);
    }
    roads
}
