//! A blocking netlink socket that sends requests in batches and reads every answer.

use super::message::{Attributes, HEADER_LEN, Messages};
use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Which part of the kernel a socket speaks to (linux/netlink.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Links, addresses, routes, neighbours, qdiscs.
    Route = 0,
    /// Socket tables (`ss`).
    SockDiag = 4,
    /// nf_tables and connection tracking.
    Netfilter = 12,
    /// Families with their own numbers, such as ethtool.
    Generic = 16,
}

/// Why the kernel refused a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Which request of the batch, from 0.
    pub index: usize,
    /// The error number (errno(3)).
    pub errno: i32,
    /// The kernel's own words (extended acknowledgement), where it has some.
    pub message: Option<String>,
}

impl Refusal {
    pub(super) fn from_io(index: usize, error: &io::Error) -> Self {
        Self { index, errno: error.raw_os_error().unwrap_or(libc::EIO), message: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", io::Error::from_raw_os_error(self.errno))?;
        match &self.message {
            Some(message) => write!(f, ": {message}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        io::Error::from_raw_os_error(refusal.errno)
    }
}

/// A netlink socket of the network namespace that the calling thread was in when it was opened.
///
/// What it may change is decided by the caller's capabilities in the user namespace that owns that network namespace.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP_INTR: u16 = 16;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLM_F_DUMP: u16 = 0x300;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// Requests sent before their answers are read. Each answer takes about 1 KiB of the socket's receive buffer, and
/// the default buffer (`net.core.rmem_default`, 208 KiB) holds about 250.
const WINDOW: usize = 100;
const ANSWER_LEN_MAX: usize = 32 * 1024;

thread_local! {
    /// Room for answers, between two uses. One for each thread, not for each of a thousand sockets.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Socket {
    /// Opens a socket in the calling thread's network namespace.
    ///
    /// # Errors
    /// Those of socket(2); `EPROTONOSUPPORT` where the kernel lacks the protocol.
    pub fn open(protocol: Protocol) -> io::Result<Self> {
        // SAFETY: socket(2) takes no pointers; the result is checked.
        let fd =
            unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, protocol as i32) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `fd` is a fresh descriptor that nothing else owns.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        const NETLINK_CAP_ACK: i32 = 10;
        const NETLINK_EXT_ACK: i32 = 11;
        const NETLINK_GET_STRICT_CHK: i32 = 12;
        for option in [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK] {
            let one: i32 = 1;
            // SAFETY: the pointer and length name one i32 that outlives the call. Kernels without an option refuse
            // it, and answers then merely say less.
            unsafe {
                libc::setsockopt(
                    fd.as_raw_fd(),
                    libc::SOL_NETLINK,
                    option,
                    (&raw const one).cast(),
                    size_of::<i32>() as u32,
                );
            }
        }
        Ok(Self::from_fd(fd))
    }

    /// Takes over a netlink socket that was opened elsewhere, with the options that [`Socket::open`] sets.
    #[must_use]
    pub fn from_fd(fd: OwnedFd) -> Self {
        Self { fd, sequence: 1 }
    }

    /// Gives the descriptor away.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }

    /// Gives the descriptor away as a number.
    #[must_use]
    pub(crate) fn into_raw(self) -> std::os::fd::RawFd {
        use std::os::fd::IntoRawFd;
        self.fd.into_raw_fd()
    }

    /// Joins a multicast group, for example `RTNLGRP_LINK` = 1 (netlink(7) `NETLINK_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn join(&self, group: u32) -> io::Result<()> {
        const NETLINK_ADD_MEMBERSHIP: i32 = 1;
        // A socket without an address of its own hears nothing: its port number, 0, is that of the kernel, and the
        // sender is left out. One that has sent a request has an address and is refused another, which is as good.
        // SAFETY: all zeroes but the family is an address, for which the kernel chooses the port number; the pointer
        // and length name one that outlives the call.
        unsafe {
            let mut address: libc::sockaddr_nl = std::mem::zeroed();
            address.nl_family = libc::AF_NETLINK as u16;
            libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as u32);
        }
        // SAFETY: the pointer and length name one u32 that outlives the call.
        let done = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_NETLINK,
                NETLINK_ADD_MEMBERSHIP,
                (&raw const group).cast(),
                size_of::<u32>() as u32,
            )
        };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Sends all requests and reads an acknowledgement of each.
    ///
    /// # Errors
    /// The first [`Refusal`]. Requests after a refused one may have been carried out: the kernel goes on.
    pub fn send(&mut self, messages: &mut Messages) -> Result<(), Refusal> {
        let mut first = None;
        let mut begin = 0;
        while begin < messages.len() {
            let end = (begin + WINDOW).min(messages.len());
            if let Err(refusal) = self.send_window(messages, begin, end) {
                first = first.or(Some(refusal));
                break;
            }
            begin = end;
        }
        first.map_or(Ok(()), Err)
    }

    fn send_window(&mut self, messages: &mut Messages, begin: usize, end: usize) -> Result<(), Refusal> {
        let base = self.sequence;
        for index in begin..end {
            self.stamp(messages, index, NLM_F_ACK);
        }
        let stop = messages.starts.get(end).copied().unwrap_or(messages.bytes.len());
        let bytes = &messages.bytes[messages.starts[begin]..stop];
        self.transmit(bytes).map_err(|e| Refusal::from_io(begin, &e))?;
        let mut first: Option<Refusal> = None;
        let mut missing = end - begin;
        while missing > 0 {
            let answers = self.receive().map_err(|e| Refusal::from_io(begin, &e))?;
            for answer in Answers(&answers) {
                let offset = answer.sequence.wrapping_sub(base) as usize;
                if answer.kind != NLMSG_ERROR || offset >= end - begin {
                    continue;
                }
                missing -= 1;
                if let Some(refusal) = refusal_of(&answer, begin + offset)
                    && first.as_ref().is_none_or(|f| refusal.index < f.index)
                {
                    first = Some(refusal);
                }
            }
            SPARE.set(answers);
        }
        first.map_or(Ok(()), Err)
    }

    /// Sends the requests of one nf_tables transaction, already framed by its begin and end messages, and reads the
    /// acknowledgement of each request in `acknowledged` (indices into `messages`).
    ///
    /// # Errors
    /// The first [`Refusal`]; the kernel has then carried out none of them.
    pub fn send_transaction(
        &mut self,
        messages: &mut Messages,
        acknowledged: std::ops::Range<usize>,
    ) -> Result<(), Refusal> {
        let base = self.sequence;
        for index in 0..messages.len() {
            let flags = if acknowledged.contains(&index) { NLM_F_ACK } else { 0 };
            self.stamp(messages, index, flags);
        }
        self.transmit(&messages.bytes).map_err(|e| Refusal::from_io(0, &e))?;
        let mut first: Option<Refusal> = None;
        let mut missing = acknowledged.len();
        while missing > 0 {
            let answers = self.receive().map_err(|e| Refusal::from_io(0, &e))?;
            for answer in Answers(&answers) {
                let index = answer.sequence.wrapping_sub(base) as usize;
                if answer.kind != NLMSG_ERROR || index >= messages.len() {
                    continue;
                }
                let refusal = refusal_of(&answer, index);
                if !acknowledged.contains(&index) {
                    // An error of the frame itself: the transaction as a whole is refused and nothing else follows.
                    if let Some(refusal) = refusal {
                        return Err(first.unwrap_or(refusal));
                    }
                    continue;
                }
                missing -= 1;
                if let Some(refusal) = refusal
                    && first.is_none()
                {
                    first = Some(refusal);
                }
            }
            SPARE.set(answers);
        }
        first.map_or(Ok(()), Err)
    }

    /// Sends one dump request and calls `each` with type and payload (after `struct nlmsghdr`) of every answer.
    ///
    /// # Errors
    /// The kernel's [`Refusal`]; `EINTR` when the objects changed meanwhile (the caller may ask again).
    pub fn dump(&mut self, messages: &mut Messages, mut each: impl FnMut(u16, &[u8])) -> Result<(), Refusal> {
        let sequence = self.sequence;
        self.stamp(messages, 0, NLM_F_DUMP);
        self.transmit(&messages.bytes).map_err(|e| Refusal::from_io(0, &e))?;
        let mut was_interrupted = false;
        loop {
            let answers = self.receive().map_err(|e| Refusal::from_io(0, &e))?;
            for answer in Answers(&answers).filter(|a| a.sequence == sequence) {
                was_interrupted |= answer.flags & NLM_F_DUMP_INTR != 0;
                match answer.kind {
                    NLMSG_DONE if was_interrupted => {
                        return Err(Refusal { index: 0, errno: libc::EINTR, message: None });
                    }
                    NLMSG_DONE => return done_errno(answer.payload),
                    NLMSG_ERROR => return refusal_of(&answer, 0).map_or(Ok(()), Err),
                    kind => each(kind, answer.payload),
                }
            }
            SPARE.set(answers);
        }
    }

    /// Sends one request and returns type and payload (after `struct nlmsghdr`) of its answer.
    ///
    /// # Errors
    /// The kernel's [`Refusal`].
    pub fn request(&mut self, messages: &mut Messages) -> Result<(u16, Vec<u8>), Refusal> {
        let sequence = self.sequence;
        self.stamp(messages, 0, 0);
        self.transmit(&messages.bytes).map_err(|e| Refusal::from_io(0, &e))?;
        loop {
            let answers = self.receive().map_err(|e| Refusal::from_io(0, &e))?;
            for answer in Answers(&answers).filter(|a| a.sequence == sequence) {
                if answer.kind != NLMSG_ERROR {
                    return Ok((answer.kind, answer.payload.to_vec()));
                }
                if let Some(refusal) = refusal_of(&answer, 0) {
                    return Err(refusal);
                }
            }
            SPARE.set(answers);
        }
    }

    /// Waits for multicast messages and calls `each` with type and payload of those that have arrived.
    ///
    /// # Errors
    /// `ENOBUFS` when messages were lost: the caller must look at the state again.
    pub fn events(&mut self, mut each: impl FnMut(u16, &[u8])) -> io::Result<()> {
        self.notices(|kind, _, payload| each(kind, payload))
    }

    /// As [`Socket::events`], with the flags (`NLM_F_*`) between type and payload.
    ///
    /// # Errors
    /// `ENOBUFS` when messages were lost; `EAGAIN` when none is there and the socket does not wait.
    pub fn notices(&mut self, mut each: impl FnMut(u16, u16, &[u8])) -> io::Result<()> {
        let answers = self.receive()?;
        for answer in Answers(&answers) {
            each(answer.kind, answer.flags, answer.payload);
        }
        SPARE.set(answers);
        Ok(())
    }

    fn stamp(&mut self, messages: &mut Messages, index: usize, flags: u16) {
        let start = messages.starts[index];
        let header = &mut messages.bytes[start..start + HEADER_LEN];
        let all = u16::from_ne_bytes([header[6], header[7]]) | flags;
        header[6..8].copy_from_slice(&all.to_ne_bytes());
        header[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        self.sequence = self.sequence.wrapping_add(1);
    }

    fn transmit(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the pointer and length name `bytes`. Without an address the message goes to the kernel.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// One datagram of answers, in the thread's spare buffer; the caller puts it back.
    fn receive(&self) -> io::Result<Vec<u8>> {
        let mut buffer = SPARE.take();
        buffer.clear();
        buffer.reserve(ANSWER_LEN_MAX);
        loop {
            // SAFETY: the pointer names at least so many bytes that `buffer` has reserved.
            let got =
                unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), ANSWER_LEN_MAX, 0) };
            if let Ok(length) = usize::try_from(got) {
                // SAFETY: recv(2) has written so many bytes, which are no more than were reserved.
                unsafe { buffer.set_len(length) };
                return Ok(buffer);
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

struct Answer<'a> {
    kind: u16,
    flags: u16,
    sequence: u32,
    payload: &'a [u8],
}

struct Answers<'a>(&'a [u8]);

impl<'a> Iterator for Answers<'a> {
    type Item = Answer<'a>;

    fn next(&mut self) -> Option<Answer<'a>> {
        let bytes = self.0;
        let header = bytes.get(..HEADER_LEN)?;
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
        let length = word(0) as usize;
        let payload = bytes.get(HEADER_LEN..length)?;
        self.0 = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(Answer { kind: half(4), flags: half(6), sequence: word(8), payload })
    }
}

/// The refusal in an `NLMSG_ERROR` answer; none when it is an acknowledgement.
///
/// Layout: errno negated (4 bytes), the request's header (16), the request itself unless `NLM_F_CAPPED`, then with
/// `NLM_F_ACK_TLVS` attributes (linux/netlink.h, `struct nlmsgerr`).
fn refusal_of(answer: &Answer<'_>, index: usize) -> Option<Refusal> {
    let code = i32::from_ne_bytes(answer.payload.get(..4)?.try_into().ok()?);
    if code == 0 {
        return None;
    }
    let message = (answer.flags & NLM_F_ACK_TLVS != 0).then(|| {
        let request_len = u32::from_ne_bytes(answer.payload.get(4..8)?.try_into().ok()?) as usize;
        let skipped =
            if answer.flags & NLM_F_CAPPED != 0 { HEADER_LEN } else { request_len.next_multiple_of(4) };
        Attributes(answer.payload.get(4 + skipped..)?).str(NLMSGERR_ATTR_MSG).map(str::to_owned)
    });
    Some(Refusal { index, errno: -code, message: message.flatten() })
}

/// The result of a dump, which newer kernels put into `NLMSG_DONE`.
fn done_errno(payload: &[u8]) -> Result<(), Refusal> {
    let code = payload.get(..4).map_or(0, |b| i32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    if code < 0 { Err(Refusal { index: 0, errno: -code, message: None }) } else { Ok(()) }
}
