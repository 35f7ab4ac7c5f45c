//! One connection to the holder, and what it is answered.

use super::held::HeldLab;
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
    follows: Option<LogFilter>,
}

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
        Self { stream, inbox: Inbox::default(), follows: None }
    }

    /// Receives what is there; false when the connection is closed.
    pub(super) fn receive(&mut self) -> bool {
        self.inbox.fill(self.stream.as_fd()).unwrap_or(false)
    }

    /// Answers every whole request; false when the connection is of no more use.
    pub(super) fn answer(&mut self, mut each: impl FnMut(&mut Self, Request) -> io::Result<()>) -> bool {
        loop {
            match self.inbox.take::<Request>() {
                Ok(None) => return true,
                Ok(Some((request, _))) => {
                    if each(self, request).is_err() {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    pub(super) fn reply(&self, reply: &Reply, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        wire::send(self.stream.as_fd(), reply, fds)
    }

    /// Sends what programs have just printed, if that is wanted.
    pub(super) fn follow(&self, chunks: &[LogChunk]) -> io::Result<()> {
        let Some(filter) = &self.follows else { return Ok(()) };
        let wanted: Vec<LogChunk> =
            chunks.iter().filter(|chunk| filter.admits(&chunk.node, &chunk.program)).cloned().collect();
        if wanted.is_empty() { Ok(()) } else { self.reply(&Reply::Logs(wanted), &[]) }
    }

    /// Carries out one request.
    pub(super) fn serve(&mut self, lab: &mut HeldLab, request: Request) -> io::Result<()> {
        let mut fds: Vec<OwnedFd> = Vec::new();
        let stream = self.stream.as_fd();
        let mut on_step = |done, all| drop(wire::send(stream, &Reply::Progress(done, all), &[]));
        let reply = match request {
            Request::Build(_) | Request::Commit { .. } => {
                Err(Error::input("K010", "the lab is built already"))
            }
            Request::Describe => Ok(Reply::Description(Box::new(lab.description()))),
            Request::Enter { node } => lab.enter(node.as_ref()).map(|(entrance, doors)| {
                fds = doors;
                Reply::Entrance(entrance)
            }),
            Request::Sockets(wanted) => lab.sockets(&wanted).map(|sockets| {
                fds = sockets;
                Reply::Done
            }),
            Request::Namespace(node) => lab.namespace(&node).map(|ns| {
                fds = vec![ns];
                Reply::Done
            }),
            Request::Namespaces { after } => lab.all_namespaces(after).map(|(names, all)| {
                fds = all;
                Reply::Namespaces(names)
            }),
            Request::Live => lab.live().map(|state| Reply::State(Box::new(state))),
            Request::Plan(spec) => lab.plan(&spec).map(Reply::Steps),
            Request::Apply(spec) => lab.apply(*spec, &mut on_step).map(Reply::Steps),
            Request::SetLink { node, interface, is_up } => {
                lab.set_link(&node, &interface, is_up).map(|()| Reply::Done)
            }
            Request::Programs => Ok(Reply::Programs(lab.programs.status())),
            Request::Logs { node, program, follow } => {
                let filter = LogFilter { node, program };
                let logs = lab.programs.logs(&filter);
                if follow {
                    self.follows = Some(filter);
                }
                Ok(Reply::Logs(logs))
            }
        };
        let reply = reply.unwrap_or_else(|error| Reply::Failed(Box::new(error)));
        let borrowed: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
        self.reply(&reply, &borrowed)
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
