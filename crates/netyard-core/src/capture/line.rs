//! One line for each frame: text as tcpdump(8) writes it, or JSON.

use super::{Place, Sighting};
use crate::journey::Headers;
use crate::packet::Way;
use crate::stand_in::tcpdump::{Lines, Style};
use serde::Serialize;
use std::collections::BTreeMap;

/// Writes lines of text.
#[derive(Debug, Default)]
pub struct Text {
    lines: Lines,
    /// Columns of the longest name so far.
    width: usize,
}

/// Names longer than this are not waited for.
const WIDTH_MAX: usize = 24;

/// The parts of a line, so that each can have its colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// `router:eth1`, padded.
    pub place: String,
    /// `In`, `Out` ..., padded.
    pub way: String,
    /// What the frame is.
    pub words: String,
    /// What is worth knowing of it.
    pub remarks: Vec<String>,
}

impl Text {
    /// Lines for frames at these places.
    #[must_use]
    pub fn new<'a>(style: Style, places: impl Iterator<Item = &'a Place>) -> Self {
        let width = places.map(|place| place.name().chars().count()).max().unwrap_or(0).min(WIDTH_MAX);
        Self { lines: Lines::new(style), width }
    }

    /// The line of a frame, without its time.
    pub fn parts(&mut self, sighting: &Sighting, place: &Place, remarks: Vec<String>) -> Parts {
        let words = match sighting.frame() {
            Some(frame) => self.lines.line(&frame),
            None => "[|ether]".to_owned(),
        };
        Parts {
            place: format!("{:<1$}", place.name(), self.width),
            way: format!("{:<3}", sighting.way.word()),
            words,
            remarks,
        }
    }
}

/// A line of JSON about a frame.
#[derive(Debug, Clone, Serialize)]
pub struct Record<'a> {
    /// `netyard/capture/1`
    pub schema: &'static str,
    /// `packet`
    pub event: &'static str,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
    /// Where.
    pub node: &'a str,
    /// At which interface.
    pub interface: &'a str,
    /// `in`, `out`, `broadcast`, `multicast`, `other`: as seen from the interface.
    pub way: Way,
    /// Bytes on the wire.
    pub length: u32,
    /// What its headers say; none for what has none.
    pub headers: Option<Headers>,
    /// As tcpdump(8) says it.
    pub words: &'a str,
    /// What is worth knowing of it.
    pub remarks: &'a [String],
}

impl<'a> Record<'a> {
    /// A frame as a line says it.
    #[must_use]
    pub fn new(sighting: &Sighting, place: &'a Place, parts: &'a Parts) -> Self {
        Self {
            schema: SCHEMA,
            event: "packet",
            at_ns: sighting.at_ns,
            node: place.node.as_str(),
            interface: &place.interface,
            way: sighting.way,
            length: sighting.len,
            headers: sighting.frame().map(|frame| Headers::of(&frame)),
            words: &parts.words,
            remarks: &parts.remarks,
        }
    }
}

const SCHEMA: &str = "netyard/capture/1";

/// The last line of JSON.
#[derive(Debug, Clone, Serialize)]
pub struct EndRecord<'a> {
    schema: &'static str,
    event: &'static str,
    /// Frames that were told of.
    packets: u64,
    /// Frames that were lost, by namespace; those without losses are left out.
    dropped: &'a BTreeMap<String, u64>,
}

impl<'a> EndRecord<'a> {
    /// The end of a capture.
    #[must_use]
    pub fn new(packets: u64, dropped: &'a BTreeMap<String, u64>) -> Self {
        Self { schema: SCHEMA, event: "end", packets, dropped }
    }
}
