//! Where packets go: lines of text or JSON, or a capture file.

use crate::output::theme::{Label, Theme};
use crate::output::{self, Reader};
use netyard::capture::{Capture, Seen, Totals};
use netyard::{Error, Result};
use netyard_core::capture::{End, EndRecord, File, Parts, Place, Record, Text};
use netyard_core::stand_in::tcpdump::Style;
use std::io::{BufWriter, ErrorKind, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Where packets go.
pub struct Sink {
    form: Form,
    lines: Text,
    theme: Theme,
    output: BufWriter<std::fs::File>,
    /// What is written to, for errors.
    name: String,
}

enum Form {
    Text(Style),
    Json,
    /// None until it has begun.
    File(Option<File>),
}

impl Sink {
    /// Lines of text on standard output.
    pub fn text(style: Style) -> Self {
        Self::new(Form::Text(style), own_output(), "standard output".to_owned())
    }

    /// Lines of JSON on standard output.
    pub fn json() -> Self {
        Self::new(Form::Json, own_output(), "standard output".to_owned())
    }

    /// A capture file on standard output.
    pub fn to_output() -> Self {
        Self::to(own_output(), "standard output".to_owned())
    }

    /// A capture file in a new file that only the user can read; `replaces` one that is there.
    pub fn to_file(path: &Path, replaces: bool) -> Result<Self> {
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let mut options = std::fs::OpenOptions::new();
        options.write(true).mode(0o600).custom_flags(no_follow);
        let options = if replaces { options.create(true).truncate(true) } else { options.create_new(true) };
        let file = options.open(path).map_err(|error| {
            let title = format!("cannot write {}: {error}", path.display());
            match error.kind() {
                ErrorKind::AlreadyExists => Error::input("U030", title).help("--force replaces it"),
                _ => Error::input("U030", title),
            }
        })?;
        Ok(Self::to(file.into(), path.display().to_string()))
    }

    /// A capture file through a descriptor.
    pub fn to(fd: OwnedFd, name: String) -> Self {
        Self::new(Form::File(None), fd, name)
    }

    fn new(form: Form, output: OwnedFd, name: String) -> Self {
        Self {
            form,
            lines: Text::default(),
            theme: Theme::of_output(),
            output: BufWriter::with_capacity(1 << 16, output.into()),
            name,
        }
    }

    /// Whoever reads what is written.
    pub fn reader(&self) -> Option<BorrowedFd<'_>> {
        Some(self.output.get_ref().as_fd())
    }

    /// Begins.
    pub fn begin(
        &mut self,
        title: &str,
        filter: (&str, u32),
        begun_ns: u64,
        names: &[(IpAddr, String)],
        capture: &Capture,
    ) -> Result<()> {
        let places = capture.places();
        if let Form::Text(style) = self.form {
            let selected = places.iter().enumerate().filter(|(number, _)| capture.is_selected(*number));
            self.lines = Text::new(style, selected.map(|(_, place)| place));
        }
        if let Form::File(file) = &mut self.form {
            let selected: Vec<(usize, &Place)> =
                places.iter().enumerate().filter(|(number, _)| capture.is_selected(*number)).collect();
            let (begun, bytes) = File::begin(title, filter, begun_ns, names, &selected);
            *file = Some(begun);
            self.write(&bytes)?;
            self.flush()?;
        }
        Ok(())
    }

    /// Writes a packet.
    pub fn packet(&mut self, seen: Seen<'_>) -> Result<Reader> {
        let Seen { sighting, place, remarks } = seen;
        let bytes = match &mut self.form {
            Form::File(file) => {
                let file = file.as_mut().expect("it has begun before packets come");
                file.packet(&sighting, place, &remarks)
            }
            Form::Json => {
                let parts = self.lines.parts(&sighting, place, remarks);
                let record = Record::new(&sighting, place, &parts);
                let line = serde_json::to_string(&record).expect("a record is a map with text keys");
                (line + "\n").into_bytes()
            }
            Form::Text(_) => {
                let parts = self.lines.parts(&sighting, place, remarks);
                text(&parts, sighting.at_ns, self.theme).into_bytes()
            }
        };
        self.write(&bytes)
    }

    /// Writes what is still to be written.
    pub fn flush(&mut self) -> Result<Reader> {
        let done = self.output.flush();
        self.checked(done)
    }

    /// Writes the end.
    pub fn end(&mut self, told: u64, totals: &Totals, places: &[Place]) -> Result<()> {
        let bytes = match &self.form {
            Form::File(Some(file)) => {
                file.end(places, End { at_ns: Capture::now_ns(), dropped: &totals.dropped })
            }
            Form::Json => {
                let record = EndRecord::new(told, &totals.dropped);
                let line = serde_json::to_string(&record).expect("a record is a map with text keys");
                (line + "\n").into_bytes()
            }
            Form::File(None) | Form::Text(_) => Vec::new(),
        };
        self.write(&bytes)?;
        self.flush()?;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<Reader> {
        let done = self.output.write_all(bytes);
        self.checked(done)
    }

    /// A reader that has gone away wants nothing more: that is no failure.
    fn checked(&self, done: std::io::Result<()>) -> Result<Reader> {
        match done {
            Ok(()) => Ok(Reader::There),
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Reader::Gone),
            Err(error) => {
                let error = Error::kernel("U023", format!("cannot write to {}: {error}", self.name));
                Err(error.help("the capture is not complete; is the disk full?"))
            }
        }
    }
}

/// Standard output, with its own buffer.
fn own_output() -> OwnedFd {
    let output = std::io::stdout();
    output.as_fd().try_clone_to_owned().unwrap_or_else(|error| {
        output::report(&Error::io("cannot write to standard output", &error));
        std::process::exit(3)
    })
}

/// `12:00:01.123456 router:eth1 Out IP 10.0.0.1 > 1.1.1.1: ICMP echo request, id 5, seq 1, length 64`
fn text(parts: &Parts, at_ns: u64, theme: Theme) -> String {
    let (hours, minutes, seconds) = netyard_kernel::capture::time_of_day(at_ns / 1_000_000_000);
    let micros = at_ns % 1_000_000_000 / 1000;
    let time = theme.paint(Label::Quiet, &format!("{hours:02}:{minutes:02}:{seconds:02}.{micros:06}"));
    let place = theme.paint(Label::Node, &parts.place);
    let mut line = format!("{time} {place} {} {}\n", parts.way, parts.words);
    for remark in &parts.remarks {
        line += &format!("    ⇄ {}\n", theme.paint(Label::Nat, remark));
    }
    line
}
