//! journalctl(1): what services printed.

use crate::output::{self, Reader};
use netyard::service::{Record, Units};
use netyard_core::stand_in::systemctl::{JournalOrder, journal_order};
use netyard_core::unit::UnitName;
use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

/// How often logs that are followed are looked at.
const PAUSE: Duration = Duration::from_millis(100);

pub fn run(typed: &[String]) -> u8 {
    let order = match journal_order(typed) {
        Ok(order) => order,
        Err(words) => {
            return super::fail("journalctl", words, 1);
        }
    };
    if order.follows {
        return follow(&order);
    }
    let mut lines = Vec::new();
    for name in names(&order) {
        let log = Record::of(&name).log(order.lines.unwrap_or(usize::MAX), 0);
        lines.extend(log.lines().map(|line| told(&name, line)));
    }
    if order.is_reversed {
        lines.reverse();
    }
    if lines.is_empty() {
        lines.push("-- No entries --\n".to_owned());
    }
    output::print(&lines.concat());
    0
}

fn told(name: &UnitName, line: &str) -> String {
    format!("{}: {line}\n", name.stem())
}

/// The units that are asked for, those that come later among them.
fn names(order: &JournalOrder) -> Vec<UnitName> {
    let named = order.units.iter().filter_map(|typed| UnitName::new(typed)).map(|name| {
        let found = Units::default().find(&name);
        found.map_or(name, |found| found.unit.name)
    });
    if order.units.is_empty() { Record::all() } else { named.collect() }
}

/// Shows the last lines and those that come, for as long as somebody reads them.
fn follow(order: &JournalOrder) -> u8 {
    let mut seen: BTreeMap<UnitName, u64> = BTreeMap::new();
    let mut shown = order.lines.unwrap_or(10);
    loop {
        let mut lines = Vec::new();
        for name in names(order) {
            let place = seen.entry(name.clone()).or_default();
            let (text, next) = Record::of(&name).log_from(*place);
            *place = next;
            lines.extend(text.lines().map(|line| told(&name, line)));
        }
        let first = lines.len().saturating_sub(shown);
        if matches!(output::print(&lines[first..].concat()), Reader::Gone) {
            return 0;
        }
        shown = usize::MAX;
        thread::sleep(PAUSE);
    }
}
