//! A plugin of Wireshark (extcap(4)): this program under the name `netyard-extcap`. One interface for each running lab.

use super::plugin::NAME;
use crate::command::capture::{Limits, Plan, Session, Sink};
use crate::output;
use netyard::capture::{SNAP, Settings};
use netyard::store::Store;
use netyard::{Error, Result};
use netyard_core::filter::Filter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Interfaces are called so, followed by the lab's name.
const PREFIX: &str = "netyard-";

/// What Wireshark asks for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Order {
    lists_interfaces: bool,
    lists_headers: bool,
    lists_options: bool,
    captures: bool,
    interface: Option<String>,
    fifo: Option<PathBuf>,
    filter: Option<String>,
    nodes: Option<String>,
}

/// Does what Wireshark asks for, where this process was started as its plugin; none otherwise.
pub fn run() -> Option<ExitCode> {
    let mut words = std::env::args();
    let first = words.next()?;
    Path::new(&first).file_name().filter(|name| *name == NAME)?;
    Some(match answer(&order(words)) {
        Ok(code) => code,
        Err(error) => {
            output::report(&error);
            ExitCode::FAILURE
        }
    })
}

/// Options stand alone, or have their value behind `=` or as the next word. Others of later versions are ignored.
fn order(words: impl Iterator<Item = String>) -> Order {
    let mut order = Order::default();
    let mut words = words.peekable();
    while let Some(word) = words.next() {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (word, None),
        };
        let mut of = |place: &mut Option<String>| {
            let next = || words.next_if(|next| !next.starts_with("--"));
            *place = value.take().or_else(next);
        };
        match name.as_str() {
            "--extcap-interfaces" => order.lists_interfaces = true,
            "--extcap-dlts" => order.lists_headers = true,
            "--extcap-config" => order.lists_options = true,
            "--capture" => order.captures = true,
            "--extcap-interface" => of(&mut order.interface),
            "--extcap-capture-filter" => of(&mut order.filter),
            "--nodes" => of(&mut order.nodes),
            "--fifo" => {
                let mut fifo = None;
                of(&mut fifo);
                order.fifo = fifo.map(PathBuf::from);
            }
            _ => {}
        }
    }
    order
}

fn answer(order: &Order) -> Result<ExitCode> {
    if order.lists_interfaces {
        let version = env!("CARGO_PKG_VERSION");
        let mut text = format!("extcap {{version={version}}}{{display=netyard}}\n");
        for lab in Store::of_user().labs()? {
            text += &format!("interface {{value={PREFIX}{lab}}}{{display=netyard: all nodes of {lab}}}\n");
        }
        output::print(&text);
        return Ok(ExitCode::SUCCESS);
    }
    if order.lists_headers {
        output::print("dlt {number=1}{name=EN10MB}{display=Ethernet}\n");
        return Ok(ExitCode::SUCCESS);
    }
    if order.lists_options {
        output::print(
            "arg {number=0}{call=--nodes}{display=Nodes}{type=string}\
             {tooltip=Names of nodes, or NODE:IF, with blanks between; all of the lab where it is empty}\n",
        );
        return Ok(ExitCode::SUCCESS);
    }
    if order.captures {
        return capture(order);
    }
    // While a filter is typed Wireshark asks what is wrong with it, and takes silence for consent.
    if let Some(Err(words)) = order.filter.as_deref().map(Filter::parse) {
        output::print(&format!("{words}\n"));
    }
    Ok(ExitCode::SUCCESS)
}

fn capture(order: &Order) -> Result<ExitCode> {
    let missing = |what: &str| Error::input("U011", format!("Wireshark gave no {what}"));
    let interface = order.interface.as_deref().ok_or_else(|| missing("interface"))?;
    let lab = interface
        .strip_prefix(PREFIX)
        .ok_or_else(|| Error::input("U003", format!("`{interface}` is no interface of netyard")))?;
    let fifo = order.fifo.as_deref().ok_or_else(|| missing("pipe"))?;
    let words: Vec<String> = [&order.nodes, &order.filter]
        .into_iter()
        .flatten()
        .flat_map(|text| text.split_whitespace().map(str::to_owned))
        .collect();
    let plan = Plan::of(Some(lab), false, &words)?;
    let settings = Settings { snap: SNAP, ring_len: None };
    let pipe = std::fs::OpenOptions::new()
        .write(true)
        .open(fifo)
        .map_err(|e| Error::io(format!("cannot open the pipe {}", fifo.display()), &e))?;
    let sink = Sink::to(pipe.into(), fifo.display().to_string());
    Session::open(plan, settings, sink)?.run(Limits::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(text: &str) -> Order {
        order(text.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn options_are_read_as_wireshark_writes_them() {
        let asked = ordered("--extcap-interfaces --extcap-version=4.0");
        assert_eq!(asked, Order { lists_interfaces: true, ..Order::default() });
        let asked = ordered(
            "--capture --extcap-interface netyard-home --fifo /tmp/pipe --extcap-capture-filter=icmp --nodes pc",
        );
        assert!(asked.captures);
        assert_eq!(asked.interface.as_deref(), Some("netyard-home"));
        assert_eq!(asked.fifo.as_deref(), Some(Path::new("/tmp/pipe")));
        assert_eq!((asked.filter.as_deref(), asked.nodes.as_deref()), (Some("icmp"), Some("pc")));
    }
}
