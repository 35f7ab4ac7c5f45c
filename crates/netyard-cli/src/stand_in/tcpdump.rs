//! tcpdump(8).

use super::{fail, words};
use crate::output::{self, Reader};
use netyard_core::stand_in::tcpdump::{self, Frame, Lines, Order};
use netyard_kernel::capture::{self, Capture, Captured, Way};
use netyard_kernel::netlink::{Protocol, Socket, bridge};
use netyard_kernel::signal::{SIGHUP, SIGINT, SIGTERM, SignalFd};
use rustix::event::{PollFd, PollFlags, poll};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

const NAME: &str = "tcpdump";
/// The pseudo-interface that stands for all.
const ANY: &str = "any";

pub fn run(typed: &[String]) -> u8 {
    let done = tcpdump::order(typed).and_then(|order| {
        let links = links()?;
        if order.lists_interfaces {
            let names = links.values().map(|link| link.name.as_str()).chain([ANY]);
            let lines = names.enumerate().map(|(at, name)| format!("{}.{name}\n", at + 1));
            output::print(&lines.collect::<String>());
            return Ok(());
        }
        Session::new(order, links)?.run()
    });
    done.map_or_else(|words| fail(NAME, words, 1), |()| 0)
}

/// All links by their ifindex.
fn links() -> Result<BTreeMap<u32, bridge::Link>, String> {
    let mut socket = Socket::open(Protocol::Route).map_err(|e| words(&e))?;
    let links = bridge::links(&mut socket).map_err(|e| words(&std::io::Error::from_raw_os_error(e.errno)))?;
    Ok(links.into_iter().map(|link| (link.index, link)).collect())
}

struct Session {
    order: Order,
    links: BTreeMap<u32, bridge::Link>,
    interface: String,
    /// Whether frames of all links come, without their headers.
    is_any: bool,
    capture: Capture,
    lines: Lines,
    file: Option<File>,
    count: u64,
}

impl Session {
    fn new(order: Order, links: BTreeMap<u32, bridge::Link>) -> Result<Self, String> {
        let usual =
            || links.values().find(|link| link.is_up && link.name != "lo").map(|link| link.name.clone());
        let interface = order.interface.clone().or_else(usual).unwrap_or_else(|| ANY.to_owned());
        let index = match interface.as_str() {
            ANY => None,
            name => Some(
                capture::index_of(name)
                    .map_err(|_| format!("{name}: No such device exists\n(No such device exists)"))?,
            ),
        };
        let refused = |e: std::io::Error| {
            format!(
                "{interface}: You don't have permission to perform this capture on that device\n({})",
                words(&e)
            )
        };
        let capture = Capture::open(index).map_err(refused)?;
        let file = match &order.file {
            Some(path) => {
                let file = File::create(path).and_then(|mut file| {
                    file.write_all(&tcpdump::file_header(order.snapshot))?;
                    Ok(file)
                });
                Some(file.map_err(|e| format!("{path}: {}", words(&e)))?)
            }
            None => None,
        };
        if file.is_some() && index.is_none() {
            return Err("-w takes one interface (-i) in netyard's stand-in of tcpdump".to_owned());
        }
        let is_any = index.is_none();
        Ok(Self { lines: Lines::new(order.style), order, links, interface, is_any, capture, file, count: 0 })
    }

    fn run(mut self) -> Result<(), String> {
        let signals = SignalFd::new(&[SIGINT, SIGTERM, SIGHUP]).map_err(|e| words(&e))?;
        if self.is_any {
            output::say("tcpdump: data link type LINUX_SLL2");
        }
        if self.file.is_none() && !self.order.style.is_verbose {
            output::say("tcpdump: verbose output suppressed, use -v[v]... for full protocol decode");
        }
        let kind = if self.is_any { "LINUX_SLL2 (Linux cooked v2)" } else { "EN10MB (Ethernet)" };
        let program = if self.file.is_some() || self.order.style.is_verbose { "tcpdump: " } else { "" };
        output::say(&format!(
            "{program}listening on {}, link-type {kind}, snapshot length {} bytes",
            self.interface, self.order.snapshot
        ));
        let mut buffer = vec![0; self.order.snapshot.max(64)];
        'listening: loop {
            let mut fds = [PollFd::new(&self.capture, PollFlags::IN), PollFd::new(&signals, PollFlags::IN)];
            rustix::io::retry_on_intr(|| poll(&mut fds, None)).map_err(|e| words(&e.into()))?;
            let is_ended = !fds[1].revents().is_empty() && signals.next().is_some();
            loop {
                match self.capture.receive(&mut buffer) {
                    Ok(Some(captured)) => {
                        if !self.frame(&captured, &buffer[..captured.kept])? {
                            break 'listening;
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        self.summary();
                        return Err(format!(
                            "pcap_loop: The interface disappeared or went down: {}",
                            words(&error)
                        ));
                    }
                }
            }
            if is_ended {
                output::print("\n");
                break;
            }
        }
        self.summary();
        Ok(())
    }

    /// Tells of a frame if it is wanted; false when no more are.
    fn frame(&mut self, captured: &Captured, bytes: &[u8]) -> Result<bool, String> {
        let link = self.links.get(&captured.index).map_or("?", |link| link.name.as_str());
        // The loopback's frames come twice, going out and coming in.
        if captured.way == Way::Out && link == "lo" {
            return Ok(true);
        }
        let frame = if self.is_any {
            Some(Frame::cooked(captured.ethertype, bytes, captured.len))
        } else {
            Frame::ethernet(bytes, captured.len)
        };
        let Some(frame) = frame.filter(|frame| self.order.filter.admits(frame)) else { return Ok(true) };
        self.count += 1;
        let goes_on = self.order.count.is_none_or(|count| self.count < count);
        if let Some(file) = &mut self.file {
            let record = tcpdump::file_record(captured.seconds, captured.micros, bytes.len(), captured.len);
            file.write_all(&[&record, bytes].concat()).map_err(|e| format!("cannot write: {}", words(&e)))?;
            return Ok(goes_on);
        }
        let mut text = String::new();
        if !self.order.style.is_timeless {
            let (hours, minutes, seconds) = capture::time_of_day(captured.seconds);
            text += &format!("{hours:02}:{minutes:02}:{seconds:02}.{:06} ", captured.micros);
        }
        if self.is_any {
            text += &format!("{link:<5} {:<3} ", captured.way.word());
        }
        text += &self.lines.line(&frame);
        text.push('\n');
        if self.order.style.shows_text {
            let shown = |byte: &u8| {
                if byte.is_ascii_graphic() || matches!(byte, b' ' | b'\n' | b'\t') {
                    char::from(*byte)
                } else {
                    '.'
                }
            };
            text.extend(frame.payload.iter().map(shown));
            text.push('\n');
        }
        Ok(output::print(&text) == Reader::There && goes_on)
    }

    fn summary(&self) {
        let (_, lost) = self.capture.counts().unwrap_or_default();
        let packets = |count: u64| if count == 1 { "packet" } else { "packets" };
        output::say(&format!(
            "{0} {1} captured\n{0} {1} received by filter\n{lost} {2} dropped by kernel",
            self.count,
            packets(self.count),
            packets(lost.into())
        ));
    }
}
