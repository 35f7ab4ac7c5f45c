//! One connection to the holder, and what it is answered.

use super::given::Given;
use super::held::HeldLab;
use super::programs::{Awaited, Programs};
use crate::error::Error;
use crate::protocol::{LogChunk, Reply, Request};
use crate::wire::{self, Inbox};
use netyard_core::name::NodeName;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// One connection.
pub(super) struct Client {
    stream: OwnedFd,
    inbox: Inbox,
    /// Set while it wants to see what programs print.
    follows: Option<Follower>,
    /// What it waits for, while it does.
    awaits: Option<Awaited>,
}

/// What is sent to somebody who follows programs: never waiting, because a reader that does not read must not hold up
/// the lab.
struct Follower {
    filter: LogFilter,
    /// Bytes that the connection has not taken yet.
    outbox: Vec<u8>,
    /// Bytes of output that were left out since then.
    skipped: usize,
}

/// How much may wait for a follower, in bytes.
const OUTBOX_LEN_MAX: usize = 256 * 1024;

/// Which programs' output is wanted.
pub(super) struct LogFilter {
    pub(super) node: Option<NodeName>,
    pub(super) program: Option<String>,
}

impl LogFilter {
    pub(super) fn admits(&self, node: &NodeName, program: &str) -> bool {
        self.node.as_ref().is_none_or(|wanted| wanted == node)
            && self.program.as_ref().is_none_or(|wanted| wanted == program)
    }
}

impl Client {
    pub(super) fn new(stream: OwnedFd) -> Self {
        // A reader that does not read must not hold up the lab.
        let limit = Some(std::time::Duration::from_secs(5));
        let _ = rustix::net::sockopt::set_socket_timeout(&stream, rustix::net::sockopt::Timeout::Send, limit);
        Self { stream, inbox: Inbox::default(), follows: None, awaits: None }
    }

    /// Receives what is there; false when the connection is closed.
    pub(super) fn receive(&mut self) -> bool {
        self.inbox.fill(self.stream.as_fd()).unwrap_or(false)
    }

    /// Answers every whole request; false when the connection is of no more use.
    pub(super) fn answer(
        &mut self,
        mut each: impl FnMut(&mut Self, Request, Vec<OwnedFd>) -> io::Result<()>,
    ) -> bool {
        loop {
            match self.inbox.take::<Request>() {
                Ok(None) => return true,
                Ok(Some((request, fds))) => {
                    if each(self, request, fds).is_err() {
                        return false;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => return false,
                Err(error) => {
                    let title = format!("the lab's holder does not understand this: {error}");
                    let other = Error::kernel("K010", title).help(
                        "is it of another version of netyard? `netyard down` and `netyard up` make a new one",
                    );
                    if self.reply(&Reply::Failed(Box::new(other)), &[]).is_err() {
                        return false;
                    }
                }
            }
        }
    }

    pub(super) fn reply(&self, reply: &Reply, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        wire::send(self.stream.as_fd(), reply, fds)
    }

    /// Gives the other side one more connection.
    pub(super) fn connect(&self, connections: &mut Vec<Self>) -> io::Result<()> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        connections.push(Self::new(ours));
        self.reply(&Reply::Done, &[theirs.as_fd()])
    }

    /// Sends what programs have just printed, if that is wanted.
    pub(super) fn follow(&mut self, chunks: &[LogChunk]) -> io::Result<()> {
        let Some(follower) = &mut self.follows else { return Ok(()) };
        follower.take(chunks)?;
        follower.flush(self.stream.as_fd())
    }

    /// Answers the request to wait, as soon as there is an answer.
    pub(super) fn tell_verdict(&mut self, programs: &mut Programs) -> io::Result<()> {
        let Some(verdict) = self.awaits.and_then(|awaited| programs.verdict(awaited)) else { return Ok(()) };
        self.awaits = None;
        self.reply(&verdict.map_or_else(|error| Reply::Failed(Box::new(error)), |()| Reply::Done), &[])
    }

    /// Whether something waits to be sent.
    pub(super) fn has_output(&self) -> bool {
        self.follows.as_ref().is_some_and(|follower| !follower.outbox.is_empty())
    }

    /// Carries out one request, which has come with descriptors.
    pub(super) fn serve(
        &mut self,
        lab: &mut HeldLab,
        request: Request,
        given: Vec<OwnedFd>,
    ) -> io::Result<()> {
        let mut fds: Vec<OwnedFd> = Vec::new();
        let stream = self.stream.as_fd();
        let mut on_step = |done, all| drop(wire::send(stream, &Reply::Progress(done, all), &[]));
        let reply = match request {
            Request::Build(_) | Request::Commit { .. } => {
                Err(Error::input("K010", "the lab is built already"))
            }
            Request::Describe => Ok(Reply::Description(Box::new(lab.description()))),
            Request::Enter { node, folders, trees } => {
                let trees = trees.map(|places| given.into_iter().zip(places).collect());
                lab.enter(node.as_ref(), folders, trees).map(|entered| match entered {
                    Some((entrance, doors)) => {
                        fds = doors;
                        Reply::Entrance(entrance)
                    }
                    None => Reply::WantsFolders,
                })
            }
            Request::Sockets(wanted) => lab.sockets(&wanted).map(|sockets| {
                fds = sockets;
                Reply::Done
            }),
            Request::Namespace(node) => lab.namespace(&node).map(|ns| {
                fds = vec![ns];
                Reply::Done
            }),
            Request::Terminal(node) => lab.terminal(&node).map(|terminal| {
                fds = vec![terminal];
                Reply::Done
            }),
            Request::Namespaces { after } => lab.all_namespaces(after).map(|(names, all)| {
                fds = all;
                Reply::Namespaces(names)
            }),
            Request::Live => lab.live().map(|state| Reply::State(Box::new(state))),
            Request::Plan(spec) => lab.plan(&spec, Given::new(&spec, given)).map(Reply::Changes),
            Request::Apply(spec) => {
                let given = Given::new(&spec, given);
                lab.apply(*spec, given, &mut on_step).map(Reply::Changes)
            }
            Request::SetLink { node, interface, is_up } => {
                lab.set_link(&node, &interface, is_up).map(|()| Reply::Done)
            }
            Request::Programs => Ok(Reply::Programs(lab.programs.status())),
            Request::Logs { node, program, follow } => {
                let filter = LogFilter { node, program };
                let logs = lab.programs.logs(&filter);
                if follow {
                    self.follows = Some(Follower { filter, outbox: Vec::new(), skipped: 0 });
                }
                Ok(Reply::Logs(logs))
            }
            Request::AwaitReady => {
                self.awaits = Some(Awaited::Ready);
                return Ok(());
            }
            Request::Stop => match lab.start_for_down() {
                Ok(()) => {
                    self.awaits = Some(Awaited::Stopped);
                    return Ok(());
                }
                Err(error) => Err(error),
            },
            Request::ReadFiles { node, paths, is_deep } => {
                lab.read_files(&node, &paths, is_deep).map(|archive| {
                    fds = vec![archive];
                    Reply::Done
                })
            }
            Request::WriteFiles { node, to, into_folder } => {
                lab.write_files(&node, given, &to, into_folder).map(|()| Reply::Done)
            }
            Request::Differences(node) => lab.differences(&node).map(Reply::Differences),
            Request::Connect => Err(Error::input("K010", "connections are not the lab's business")),
        };
        let reply = reply.unwrap_or_else(|error| Reply::Failed(Box::new(error)));
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        self.reply(&reply, &borrowed)
    }
}

impl Follower {
    fn take(&mut self, chunks: &[LogChunk]) -> io::Result<()> {
        let wanted = chunks.iter().filter(|chunk| self.filter.admits(&chunk.node, &chunk.program));
        let mut wanted: Vec<LogChunk> = wanted.cloned().collect();
        let Some(first) = wanted.first_mut() else { return Ok(()) };
        if self.outbox.len() > OUTBOX_LEN_MAX {
            self.skipped += wanted.iter().map(|chunk| chunk.text.len()).sum::<usize>();
            return Ok(());
        }
        if self.skipped > 0 {
            let skipped = std::mem::take(&mut self.skipped);
            first.text.insert_str(0, &format!("\nnetyard: {skipped} bytes skipped\n"));
        }
        self.outbox.extend(wire::encode(&Reply::Logs(wanted))?);
        Ok(())
    }

    fn flush(&mut self, stream: BorrowedFd<'_>) -> io::Result<()> {
        use rustix::net::{SendFlags, send};
        while !self.outbox.is_empty() {
            match send(stream, &self.outbox, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => drop(self.outbox.drain(..sent)),
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
