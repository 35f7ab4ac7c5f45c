//! Who answers: a thread of this process, or a child in a user namespace.

use super::capture;
use super::explore;
use super::question::{Answer, Question, Replies, Told, Trouble};
use super::trace;
use crate::look::{self, Discovery};
use crate::wire::{self, Inbox};
use netyard_kernel::netlink::conntrack;
use netyard_kernel::traveller::Traveller;
use netyard_kernel::visit;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;

/// So many threads ask side by side: the kernel lets each wait for the others' packets (synchronize_net), and threads
/// wait together.
const THREADS_MAX: usize = 100;

/// Somebody who answers, and what was said and not yet read.
#[derive(Debug)]
pub(super) struct Station {
    end: End,
    inbox: Inbox,
}

#[derive(Debug)]
enum End {
    Child(visit::Station),
    Thread(Thread),
}

#[derive(Debug)]
struct Thread {
    /// None once the thread is to end.
    socket: Option<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.socket = None;
        if let Some(thread) = self.thread.take() {
            // A thread that has failed has told on standard error.
            let _ = thread.join();
        }
    }
}

impl Station {
    /// A child in a user namespace.
    pub(super) fn child(user: BorrowedFd<'_>, discovery: &Discovery) -> io::Result<Self> {
        let places =
            discovery.found.iter().filter_map(|(inode, found)| Some((*inode, found.fd.as_ref()?.as_fd())));
        let places: Vec<_> = places.collect();
        let child = visit::stay(&[user], |socket| run(&socket, &places, discovery.here))?;
        Ok(Self { end: End::Child(child), inbox: Inbox::default() })
    }

    /// A thread of this process.
    pub(super) fn thread(discovery: &Discovery) -> io::Result<Self> {
        let mut owned = Vec::new();
        for (inode, found) in &discovery.found {
            if let Some(fd) = &found.fd {
                owned.push((*inode, fd.try_clone()?));
            }
        }
        let here = discovery.here;
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let thread = std::thread::Builder::new().name("scout".to_owned()).spawn(move || {
            let places: Vec<_> = owned.iter().map(|(inode, fd)| (*inode, fd.as_fd())).collect();
            run(&theirs.into(), &places, here);
        })?;
        let thread = Thread { socket: Some(ours.into()), thread: Some(thread) };
        Ok(Self { end: End::Thread(thread), inbox: Inbox::default() })
    }

    /// Asks questions, each in the namespace of an inode.
    pub(super) fn ask(&mut self, questions: &[(u64, &Question)]) -> io::Result<Vec<Result<Answer, Trouble>>> {
        let socket = match &self.end {
            End::Child(child) => child.socket(),
            End::Thread(thread) => thread.socket.as_ref().expect("it is there until the end").as_fd(),
        };
        wire::send(socket, &questions, &[])?;
        let (told, fds) = wire::receive::<Replies>(&socket, &mut self.inbox)?;
        let mut fds = fds.into_iter();
        let answers = told
            .into_iter()
            .map(|reply| reply.map(|(told, count)| Answer { told, fds: fds.by_ref().take(count).collect() }));
        Ok(answers.collect())
    }
}

/// A descriptor of each namespace by its inode.
pub(super) type Places<'a> = [(u64, BorrowedFd<'a>)];

/// Answers until the other side is gone.
fn run(socket: &OwnedFd, places: &Places<'_>, here: u64) {
    let ended = Traveller::run(|traveller| {
        let mut inbox = Inbox::default();
        let mut desk = Desk { places, here };
        while let Ok((questions, _)) = wire::receive::<Vec<(u64, Question)>>(socket, &mut inbox) {
            if desk.answer(traveller, &questions, socket).is_err() {
                return;
            }
        }
    });
    // Without a thread nothing can be asked; whoever asks is told that the scout has ended.
    drop(ended);
}

struct Desk<'a> {
    places: &'a Places<'a>,
    here: u64,
}

pub(super) type Found = Result<(Told, Vec<OwnedFd>), Trouble>;

impl Desk<'_> {
    fn answer(
        &mut self,
        traveller: &mut Traveller,
        questions: &[(u64, Question)],
        to: &OwnedFd,
    ) -> io::Result<()> {
        let found = if questions.len() > 1 && questions.iter().all(|(_, question)| question.is_slow()) {
            self.side_by_side(questions)?
        } else {
            questions.iter().map(|(place, question)| self.find(traveller, *place, question)).collect()
        };
        let mut fds: Vec<OwnedFd> = Vec::new();
        let mut replies: Replies = Vec::new();
        for one in found {
            replies.push(one.map(|(told, mut own)| {
                let count = own.len();
                fds.append(&mut own);
                (told, count)
            }));
        }
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        wire::send(to.as_fd(), &replies, &borrowed)
    }

    /// Each thread takes the next share of the questions.
    fn side_by_side(&self, questions: &[(u64, Question)]) -> io::Result<Vec<Found>> {
        let share = questions.len().div_ceil(THREADS_MAX);
        std::thread::scope(|scope| {
            let threads: Vec<_> = questions
                .chunks(share)
                .map(|share| {
                    scope.spawn(move || {
                        Traveller::run(|traveller| {
                            share
                                .iter()
                                .map(|(place, question)| self.find(traveller, *place, question))
                                .collect::<Vec<_>>()
                        })
                    })
                })
                .collect();
            let mut found = Vec::new();
            for thread in threads {
                found.extend(thread.join().map_err(|_| io::Error::other("a thread has failed"))??);
            }
            Ok(found)
        })
    }

    fn find(&self, traveller: &mut Traveller, place: u64, question: &Question) -> Found {
        let fd = self.places.iter().find(|(inode, _)| *inode == place).map(|(_, fd)| *fd);
        let fd = fd.ok_or_else(|| Trouble::from(io::Error::from(io::ErrorKind::NotFound)))?;
        // The caller's own namespace is where a child that may go nowhere is already.
        if let Err(error) = traveller.enter(fd)
            && place != self.here
        {
            return Err(Trouble { errno: error.raw_os_error(), words: look::refusal(fd, &error) });
        }
        match question {
            Question::Read => {
                Ok((Told::Reading(Box::new(look::reading(traveller, self.places)?)), Vec::new()))
            }
            Question::Socket(kind) => Ok((Told::Done, vec![kind.open()?])),
            Question::Tap { ring_len, snap, filter } => capture::tap(*ring_len, *snap, filter),
            Question::ConnectionEvents => Ok((Told::Done, vec![conntrack::Events::open()?.into_fd()])),
            Question::Connections => Ok((Told::Connections(capture::connections()?), Vec::new())),
            Question::NatRules => Ok((Told::NatRules(capture::nat_rules()?), Vec::new())),
            Question::Links => Ok((Told::Links(capture::links()?), Vec::new())),
            Question::Outline => Ok((Told::Outline(Box::new(explore::outline()?)), Vec::new())),
            Question::Numbers(inodes) => {
                Ok((Told::Numbers(explore::numbers(inodes, self.places)?), Vec::new()))
            }
            Question::Inside(interfaces) => {
                Ok((Told::Inside(Box::new(explore::inside(traveller, interfaces)?)), Vec::new()))
            }
            Question::Route(ask) => Ok((Told::Route(explore::route(ask)?), Vec::new())),
            Question::RuleTrace { table, sees_bridged } => trace::rules_heard(table, *sees_bridged),
            Question::Rules => trace::rules(),
            Question::Learned => trace::learned(),
            Question::Counters => Ok((Told::Counters(Box::new(explore::counters()?)), Vec::new())),
            Question::Listeners => Ok((Told::Listeners(explore::listeners()?), Vec::new())),
        }
    }
}
