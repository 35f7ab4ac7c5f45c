//! A saved trace, step by step: the picture with the place marked, and what happened there.

use super::record::{Drawn, Line};
use super::{text, theme};
use crate::args::Trace as Order;
use crate::output;
use netyard::{Error, Result};
use netyard_core::journey::Event;
use netyard_core::journey::{Hop, Journey, Leg};
use netyard_core::state::Ns;
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::io::{IsTerminal, Read};
use std::path::Path;
use std::process::ExitCode;

/// A file as it was read.
struct Saved {
    title: String,
    picture: Option<Drawn>,
    journeys: Vec<Journey>,
}

/// One step: a hop of a packet of a conversation.
struct Step<'a> {
    journey: &'a Journey,
    leg: &'a Leg,
    hop: &'a Hop,
    /// Its number among the hops of its packet, and how many there are.
    of_leg: (usize, usize),
}

pub fn run(order: &Order, file: &Path) -> Result<ExitCode> {
    let saved = read(file)?;
    let steps = steps(&saved.journeys);
    if let Some(number) = order.step {
        let step = number.checked_sub(1).and_then(|index| steps.get(index)).ok_or_else(|| {
            Error::input("U011", format!("there is no step {number}"))
                .help(format!("the last one is {}", steps.len()))
        })?;
        output::print(&page(order, &saved, step, number, steps.len()));
        return Ok(ExitCode::SUCCESS);
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return walk(order, &saved, &steps);
    }
    for (number, step) in (1..).zip(&steps) {
        output::print(&page(order, &saved, step, number, steps.len()));
    }
    let mut text = text::Text::new(theme(order), order.ascii, order.all, None);
    for journey in &saved.journeys {
        output::print(&text.journey(journey));
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> Result<Saved> {
    let failed = |e: &std::io::Error| Error::io(format!("cannot read {}", file.display()), e);
    let text = std::fs::read_to_string(file).map_err(|e| failed(&e))?;
    let mut saved = Saved { title: String::new(), picture: None, journeys: Vec::new() };
    let mut has_begun = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line: Line = serde_json::from_str(line).map_err(|error| {
            Error::input("U011", format!("{}:{number} is no line of a trace: {error}", file.display()))
                .help("`netyard trace ... --save FILE` writes such files")
        })?;
        match line {
            Line::Begin { schema, title, picture } if schema == "netyard/trace/1" => {
                (saved.title, saved.picture) = (title, picture);
                has_begun = true;
            }
            Line::Begin { schema, .. } => {
                return Err(Error::input(
                    "U011",
                    format!("{}: the schema {schema} is not known", file.display()),
                )
                .help("a newer netyard has written it"));
            }
            Line::Journey(journey) => saved.journeys.push(journey),
            Line::End { .. } => {}
        }
    }
    if has_begun {
        return Ok(saved);
    }
    Err(Error::input("U011", format!("{} is no trace", file.display()))
        .help("`netyard trace ... --save FILE` writes one"))
}

fn steps(journeys: &[Journey]) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    for journey in journeys {
        for leg in &journey.legs {
            for (at, hop) in leg.hops.iter().enumerate() {
                steps.push(Step { journey, leg, hop, of_leg: (at + 1, leg.hops.len()) });
            }
        }
    }
    steps
}

/// The picture and the step.
fn page(order: &Order, saved: &Saved, step: &Step<'_>, number: usize, count: usize) -> String {
    let picture = saved.picture.as_ref().map_or_else(String::new, |drawn| {
        let drawn = if order.ascii { &drawn.ascii } else { &drawn.unicode };
        marked(drawn, &name(step.hop), order.ascii)
    });
    let text = text::Text::new(theme(order), order.ascii, true, None);
    let alone = Leg { hops: vec![step.hop.clone()], ..step.leg.clone() };
    let (at, of) = step.of_leg;
    format!(
        "{picture}\nstep {number}/{count}   {}   {}, hop {at}/{of}\n{}",
        saved.title,
        step.journey.title,
        text.leg(&alone)
    )
}

/// The name under which a place is in the picture.
fn name(hop: &Hop) -> String {
    match (&hop.place.node, &hop.event) {
        (Ns::Fabric, Event::Bridged { bridge, .. }) => bridge.to_string(),
        (Ns::Fabric, _) => hop.place.interface.as_ref().map(ToString::to_string).unwrap_or_default(),
        (node, _) => node.to_string(),
    }
}

/// The picture with the box of that name marked: its name stands between two arrows.
fn marked(picture: &str, name: &str, is_ascii: bool) -> String {
    let (left, right) = if is_ascii { ('>', '<') } else { ('▶', '◀') };
    let ends = |c: Option<char>| c.is_some_and(|c| c == ' ');
    let mut marked = String::new();
    for line in picture.lines() {
        // Before and after the name of a box are a blank and a piece of its border.
        let found = line.match_indices(name).find(|(at, _)| {
            let before: Vec<char> = line[..*at].chars().rev().take(2).collect();
            let after: Vec<char> = line[at + name.len()..].chars().take(2).collect();
            let is_border = |c: Option<&char>| c.is_some_and(|c| matches!(c, '─' | '═' | '-' | '='));
            ends(before.first().copied())
                && is_border(before.get(1))
                && ends(after.first().copied())
                && is_border(after.get(1))
        });
        match found {
            Some((at, _)) => {
                let head: Vec<char> = line[..at].chars().collect();
                let (kept, _) = head.split_at(head.len() - 2);
                let kept: String = kept.iter().collect();
                let tail: String = line[at + name.len()..].chars().skip(2).collect();
                marked.push_str(&format!("{kept}{left} {name} {right}{tail}"));
            }
            None => marked.push_str(line),
        }
        marked.push('\n');
    }
    marked
}

/// Shows steps as keys ask for them.
fn walk(order: &Order, saved: &Saved, steps: &[Step<'_>]) -> Result<ExitCode> {
    let keys = Keys::open()?;
    let mut at = 0;
    while let Some(step) = steps.get(at) {
        // The screen is cleared, and the cursor put to its beginning.
        let page = page(order, saved, step, at + 1, steps.len());
        output::print(&format!("\x1b[2J\x1b[H{page}\nn next   p back   space next packet   q end\n"));
        match keys.next() {
            Some(b'n' | b'\n' | b'\r' | b'j' | b'l') => at += 1,
            Some(b'p' | b'k' | b'h') => at = at.saturating_sub(1),
            Some(b' ') => at += 1 + step.of_leg.1 - step.of_leg.0,
            Some(b'q' | 3 | 4) | None => break,
            Some(_) => {}
        }
        at = at.min(steps.len().saturating_sub(1));
    }
    Ok(ExitCode::SUCCESS)
}

/// A terminal that gives each key at once, until this is dropped.
struct Keys {
    before: Termios,
}

impl Keys {
    fn open() -> Result<Self> {
        let failed = |e: rustix::io::Errno| Error::io("cannot read keys", &e.into());
        let before = tcgetattr(std::io::stdin()).map_err(failed)?;
        let mut raw = before.clone();
        raw.local_modes &= !(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw).map_err(failed)?;
        Ok(Self { before })
    }

    fn next(&self) -> Option<u8> {
        let mut key = [0];
        (std::io::stdin().lock().read(&mut key).ok()? == 1).then_some(key[0])
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_box_of_a_place_is_marked() {
        let picture = "╭─ pc ──── host ─╮  ╭─ pc2 ── host ─╮\n│ pc ●───● │";
        assert_eq!(marked(picture, "pc", false), "╭▶ pc ◀─── host ─╮  ╭─ pc2 ── host ─╮\n│ pc ●───● │\n");
    }
}
