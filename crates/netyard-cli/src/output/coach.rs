//! The terminal as the coach of a lesson uses it: it prints while the learner's shell has it.

use super::theme::{Label, Theme};
use super::width;
use netyard::lesson::coach::{Screen, Tone};
use netyard_core::diagram::{Paint, Picture, Style, unicode};
use rustix::stdio::stderr;
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcgetwinsize, tcsetwinsize};
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// The time in which a line editor notices that the window has changed.
const REDRAWING: Duration = Duration::from_millis(20);

/// The narrowest picture that is drawn.
const WIDTH_MIN: usize = 20;

/// Standard error, where there is a terminal or not.
pub struct CoachScreen;

impl Screen for CoachScreen {
    fn paint(&self, tone: Tone, text: &str) -> String {
        let label = match tone {
            Tone::Title => Label::Heading,
            Tone::Good => Label::Good,
            Tone::Bad => Label::Doubtful,
            Tone::Command => Label::Node,
            Tone::Quiet => Label::Quiet,
        };
        // Each line by itself: whoever shows one of them alone shows it in its colour.
        let painted: Vec<String> =
            text.split('\n').map(|line| Theme::of_errors().paint(label, line)).collect();
        painted.join("\n")
    }

    fn picture(&self, picture: &Picture, width: usize) -> String {
        let theme = Theme::of_errors();
        let painted = |paint: Paint, text: &str| theme.paint(Label::from(paint), text);
        let style = if theme == Theme::Plain { Style::Plain } else { Style::Painted(&painted) };
        unicode(picture, width.max(WIDTH_MIN), style)
    }

    fn width(&self) -> usize {
        width()
    }

    fn tell(&self, text: &str) {
        let mut terminal = std::io::stderr().lock();
        if !terminal.is_terminal() {
            let _ = terminal.write_all(text.as_bytes());
            return;
        }
        // What a line editor shows on its line is wiped; it draws it again when the window has changed.
        let text = format!("\r\x1b[K{text}");
        // Nobody is left to tell when this fails.
        let _ = terminal.write_all(text.as_bytes()).and_then(|()| terminal.flush());
        drop(terminal);
        redraw();
    }
}

/// Lets a line editor draw what is being typed again.
///
/// One has the terminal when lines are not the kernel's business (termios(3) `ICANON` off). Line editors draw anew when
/// the window has changed, and some of them (readline 8.2) only when it really has: one column less for a moment.
fn redraw() {
    let is_editing = tcgetattr(stderr()).is_ok_and(|modes| !modes.local_modes.contains(LocalModes::ICANON));
    let Ok(size) = tcgetwinsize(stderr()) else { return };
    if !is_editing || size.ws_col < 2 {
        return;
    }
    let narrower = Winsize { ws_col: size.ws_col - 1, ..size };
    if tcsetwinsize(stderr(), narrower).is_ok() {
        std::thread::sleep(REDRAWING);
        let _ = tcsetwinsize(stderr(), size);
    }
}
