//! Tells when something changes in network namespaces (netlink(7), inotify(7)).
//!
//! A socket in a namespace would keep it alive, so that what somebody deletes while another watches would not go. One
//! socket in the caller's own namespace hears of all that it has numbers for: those that cables lead to.

use super::socket::{Protocol, Socket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// linux/rtnetlink.h `RTNLGRP_*`: links, neighbours, addresses, routes and rules of both families, numbers of namespaces.
const GROUPS: [u32; 9] = [1, 3, 5, 7, 8, 9, 11, 19, 28];
/// linux/netfilter/nfnetlink.h
const NFNLGRP_NFTABLES: u32 = 7;
/// linux/netlink.h
const NETLINK_LISTEN_ALL_NSID: i32 = 8;

/// Hears of changes.
#[derive(Debug)]
pub struct Monitor {
    sockets: Vec<Socket>,
    folder: Option<OwnedFd>,
}

impl Monitor {
    /// Listens in the calling thread's namespace and, where the caller may (`CAP_NET_BROADCAST`), in those that it has
    /// numbers for; of tables only with `hears_tables`, as joining loads nf_tables. `folder` is where namespaces get
    /// names.
    ///
    /// # Errors
    /// Those of socket(2) and setsockopt(2).
    ///
    /// Same as `ip monitor all-nsid` and `nft monitor`.
    pub fn open(hears_tables: bool, folder: &Path) -> io::Result<Self> {
        let route = Socket::open(Protocol::Route)?;
        for group in GROUPS {
            route.join(group)?;
        }
        hear_all(&route);
        let mut sockets = vec![route];
        if hears_tables
            && let Ok(netfilter) = Socket::open(Protocol::Netfilter)
            && netfilter.join(NFNLGRP_NFTABLES).is_ok()
        {
            hear_all(&netfilter);
            sockets.push(netfilter);
        }
        Ok(Self { sockets, folder: watch(folder).ok() })
    }

    /// What to poll for input: something may have changed then, and [`Monitor::wait`] tells.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd).chain(self.folder.iter().map(AsFd::as_fd))
    }

    /// Waits until something has changed, or the time is over; whether something has.
    ///
    /// # Errors
    /// Those of poll(2).
    pub fn wait(&mut self, limit: Duration) -> io::Result<bool> {
        let mut fds: Vec<PollFd<'_>> = self
            .sockets
            .iter()
            .map(|socket| PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN))
            .collect();
        fds.extend(self.folder.iter().map(|fd| PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)));
        match poll(&mut fds, Timespec::try_from(limit).ok().as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let heard: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        for (socket, _) in self.sockets.iter_mut().zip(&heard).filter(|(_, is_heard)| **is_heard) {
            // What has changed is seen by looking; lost messages are no worse.
            let _ = socket.events(|_, _| {});
        }
        if let (Some(folder), Some(true)) = (&self.folder, heard.last()) {
            let mut buffer = [std::mem::MaybeUninit::uninit(); 4096];
            let _ = inotify::Reader::new(folder, &mut buffer).next();
        }
        Ok(heard.contains(&true))
    }
}

fn hear_all(socket: &Socket) {
    let one: i32 = 1;
    // SAFETY: the pointer and length name one i32 that outlives the call. Who may not hears of one namespace only.
    unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_NETLINK,
            NETLINK_LISTEN_ALL_NSID,
            (&raw const one).cast(),
            size_of::<i32>() as u32,
        );
    }
}

fn watch(folder: &Path) -> io::Result<OwnedFd> {
    let watcher = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    let events = inotify::WatchFlags::CREATE | inotify::WatchFlags::DELETE | inotify::WatchFlags::ATTRIB;
    inotify::add_watch(&watcher, folder, events)?;
    Ok(watcher)
}
