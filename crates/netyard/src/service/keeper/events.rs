//! What a keeper waits for.

use super::super::record::Record;
use super::syslog::Syslog;
use netyard_kernel::process::ExitStatus;
use netyard_kernel::signal::{ChildChange, SIGCHLD, SIGTERM, SignalFd, next_child_change};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// What is asked of a keeper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    /// To stop the service and end.
    Stop,
    /// To make the service read its configuration anew.
    Reload,
}

/// Something that happened.
#[derive(Debug)]
pub(super) enum Event {
    /// A child has ended.
    Ended(u32, ExitStatus),
    /// The service has told something.
    Notified,
    /// Somebody asks for something.
    Asked(Request),
    /// The time is over.
    Deadline,
}

/// What a service has told by sd_notify(3).
#[derive(Debug, Default)]
pub(super) struct Notice {
    pub is_ready: bool,
    pub main_pid: Option<u32>,
    pub status: Option<String>,
}

pub(super) struct Events {
    record: Record,
    signals: SignalFd,
    control: Option<UnixListener>,
    notify: Option<UnixDatagram>,
    syslog: Option<Syslog>,
    output: (PipeReader, PipeWriter),
    pub(super) notice: Notice,
    /// Those who wait for the service to be stopped.
    stoppers: Vec<UnixStream>,
    reloader: Option<UnixStream>,
}

impl Events {
    pub(super) fn new(record: Record, is_notified: bool) -> io::Result<Self> {
        let signals = SignalFd::new(&[SIGCHLD, SIGTERM])?;
        let (control, notify) = (record.control(), record.notify());
        for path in [&control, &notify] {
            // Of a keeper that was killed.
            let _ = fs::remove_file(path);
        }
        let control = UnixListener::bind(control)?;
        control.set_nonblocking(true)?;
        let notify = if is_notified {
            let socket = UnixDatagram::bind(&notify)?;
            // The service may be another user.
            fs::set_permissions(notify, fs::Permissions::from_mode(0o666))?;
            socket.set_nonblocking(true)?;
            Some(socket)
        } else {
            None
        };
        let output = io::pipe()?;
        rustix::io::ioctl_fionbio(&output.0, true)?;
        Ok(Self {
            record,
            signals,
            control: Some(control),
            notify,
            syslog: Syslog::take(),
            output,
            notice: Notice::default(),
            stoppers: Vec::new(),
            reloader: None,
        })
    }

    /// Where the service's output goes.
    ///
    /// # Errors
    /// That no more descriptors are to be had.
    pub(super) fn output(&self) -> io::Result<PipeWriter> {
        self.output.1.try_clone()
    }

    /// The next event, or that it is later than that.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> Event {
        loop {
            // Before the children are looked at: a signal taken afterwards might be that of one that ended in between,
            // and nothing would wake the keeper for it again.
            while let Some(signal) = self.signals.next() {
                if signal == SIGTERM {
                    return Event::Asked(Request::Stop);
                }
            }
            self.take_output();
            if self.take_notices() {
                return Event::Notified;
            }
            if let Some((pid, change)) = next_child_change() {
                match change {
                    ChildChange::Ended(status) => {
                        self.take_output();
                        return Event::Ended(pid, status);
                    }
                    ChildChange::Stopped(_) => continue,
                }
            }
            if let Some(request) = self.take_request() {
                return Event::Asked(request);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Event::Deadline;
            }
            self.wait(left);
        }
    }

    fn wait(&self, limit: Option<Duration>) {
        let of = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
        let mut fds = vec![of(self.signals.as_fd()), of(self.output.0.as_fd())];
        fds.extend(self.control.iter().map(|socket| of(socket.as_fd())));
        fds.extend(self.notify.iter().map(|socket| of(socket.as_fd())));
        fds.extend(self.syslog.iter().map(|socket| of(socket.as_fd())));
        let limit = limit.map(|limit| Timespec {
            tv_sec: limit.as_secs().cast_signed(),
            // Rounded up, so as not to turn around until it is time.
            tv_nsec: (limit.subsec_nanos() + 1).into(),
        });
        // An interruption, too, is a reason to look again.
        let _ = poll(&mut fds, limit.as_ref());
    }

    /// Puts what the service has printed into its log.
    fn take_output(&mut self) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = self.output.0.read(&mut bytes) {
            // A full `/run` is no reason to stop reading, at which the service would hang.
            let _ = self.record.add_to_log(&bytes[..length]);
        }
        if let Some(syslog) = &self.syslog {
            syslog.receive();
        }
    }

    /// Takes `/dev/log` where it has become free.
    pub(super) fn look_for_syslog(&mut self) {
        if self.syslog.is_none() {
            self.syslog = Syslog::take();
        }
    }

    fn take_notices(&mut self) -> bool {
        let Some(socket) = &self.notify else { return false };
        let mut bytes = [0; 4096];
        let mut is_any = false;
        while let Ok(length) = socket.recv(&mut bytes) {
            for line in String::from_utf8_lossy(&bytes[..length]).lines() {
                match line.split_once('=') {
                    Some(("READY", "1")) => self.notice.is_ready = true,
                    Some(("MAINPID", pid)) => self.notice.main_pid = pid.parse().ok(),
                    Some(("STATUS", text)) => self.notice.status = Some(text.to_owned()),
                    _ => {}
                }
            }
            is_any = true;
        }
        is_any
    }

    fn take_request(&mut self) -> Option<Request> {
        loop {
            let (mut stream, _) = self.control.as_ref()?.accept().ok()?;
            let mut word = [0; 1];
            let is_there = stream.set_nonblocking(false).is_ok()
                && stream.set_read_timeout(Some(Duration::from_secs(1))).is_ok()
                && stream.read_exact(&mut word).is_ok();
            match word[0] {
                STOP if is_there => {
                    self.stoppers.push(stream);
                    return Some(Request::Stop);
                }
                RELOAD if is_there => {
                    self.reloader = Some(stream);
                    return Some(Request::Reload);
                }
                _ => {}
            }
        }
    }

    pub(super) fn answer_reload(&mut self, words: &str) {
        if let Some(mut stream) = self.reloader.take() {
            // Whoever asked may have gone.
            let _ = stream.write_all(words.as_bytes());
        }
    }

    /// From now on nothing is heard; those who wait for the stop learn of it.
    pub(super) fn end(&mut self) {
        self.take_output();
        self.control = None;
        self.syslog = None;
        let _ = fs::remove_file(self.record.control());
        let _ = fs::remove_file(self.record.notify());
        self.stoppers.clear();
    }
}

/// What is sent to a keeper that is to stop its service.
pub(in super::super) const STOP: u8 = b'x';
/// What is sent to one whose service is to be reloaded.
pub(in super::super) const RELOAD: u8 = b'r';
