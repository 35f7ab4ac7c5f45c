//! What a trace has seen, told as text or JSON, and kept in a file.

use super::{is_failure, text, theme};
use crate::args::Trace as Order;
use crate::output::{self, Reader};
use netyard::trace::Trace;
use netyard::{Error, Result};
use netyard_core::diagram::{Picture, Style, ascii, unicode};
use netyard_core::journey::Journey;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;

/// Columns of the pictures in a file.
const WIDTH: usize = 110;

/// One line of a saved trace, and of `--json`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// The first one.
    Begin {
        schema: String,
        title: String,
        /// The network as it was; not in `--json`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        picture: Option<Drawn>,
    },
    /// A conversation.
    Journey(Journey),
    /// The last one.
    End { journeys: u32, failures: u32, notes: Vec<String> },
}

/// A picture in both character sets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Drawn {
    pub unicode: String,
    pub ascii: String,
}

/// Tells, and keeps.
pub struct Record<'a> {
    order: &'a Order,
    file: Option<File>,
    text: text::Text,
    told: u32,
    failures: u32,
}

impl<'a> Record<'a> {
    pub fn begin(order: &'a Order, trace: &Trace) -> Result<Self> {
        let file = order.save.as_ref().map(|path| {
            File::create(path).map_err(|e| Error::io(format!("cannot write {}", path.display()), &e))
        });
        let text = text::Text::new(theme(order), order.ascii, order.all, Some(trace.sockets()));
        let mut record = Self { order, file: file.transpose()?, text, told: 0, failures: 0 };
        let title = trace.look().title.clone();
        let picture = Picture::of_look(trace.look());
        let drawn = Drawn {
            unicode: unicode(&picture, WIDTH, Style::Plain),
            ascii: ascii(&picture, WIDTH, Style::Plain),
        };
        let schema = "netyard/trace/1".to_owned();
        if order.json {
            record.print(&Line::Begin { schema: schema.clone(), title: title.clone(), picture: None });
        }
        record.keep(&Line::Begin { schema, title, picture: Some(drawn) })?;
        Ok(record)
    }

    /// Tells of conversations.
    pub fn tell(&mut self, journeys: &[Journey]) -> Reader {
        for journey in journeys {
            self.told += 1;
            self.failures += u32::from(is_failure(journey));
            let reader = if self.order.json {
                self.print(&Line::Journey(journey.clone()))
            } else {
                output::print(&self.text.journey(journey))
            };
            if let Err(error) = self.keep(&Line::Journey(journey.clone())) {
                output::report(&error);
            }
            if reader == Reader::Gone {
                return reader;
            }
        }
        Reader::There
    }

    /// Tells what is worth knowing about the trace itself.
    pub fn end(&mut self, trace: &mut Trace) {
        let notes = trace.notes();
        for note in &notes {
            output::say(&format!("note: {note}"));
        }
        let line = Line::End { journeys: self.told, failures: self.failures, notes };
        if self.order.json {
            self.print(&line);
        }
        if let Err(error) = self.keep(&line) {
            output::report(&error);
        }
    }

    pub fn told(&self) -> u32 {
        self.told
    }

    pub fn has_failures(&self) -> bool {
        self.failures > 0
    }

    fn print(&self, line: &Line) -> Reader {
        output::print(&format!("{}\n", written(line)))
    }

    fn keep(&mut self, line: &Line) -> Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let path = self.order.save.as_deref().unwrap_or(std::path::Path::new("the file"));
        writeln!(file, "{}", written(line))
            .map_err(|e| Error::io(format!("cannot write {}", path.display()), &e))
    }
}

fn written(line: &Line) -> String {
    serde_json::to_string(line).expect("lines are maps with text keys")
}
