//! journalctl(1): what services printed.

use crate::output;
use netyard::service::{Record, Units};
use netyard_core::stand_in::systemctl::journal_order;
use netyard_core::unit::UnitName;

pub fn run(typed: &[String]) -> u8 {
    let order = match journal_order(typed) {
        Ok(order) => order,
        Err(words) => {
            return super::fail("journalctl", words, 1);
        }
    };
    let named = order.units.iter().filter_map(|typed| UnitName::new(typed)).map(|name| {
        let found = Units::default().find(&name);
        found.map_or(name, |found| found.unit.name)
    });
    let names = if order.units.is_empty() { Record::all() } else { named.collect() };
    let mut text = String::new();
    for name in &names {
        for line in Record::of(name).log(order.lines.unwrap_or(usize::MAX), 0).lines() {
            text += &format!("{}: {line}\n", name.stem());
        }
    }
    if text.is_empty() {
        "-- No entries --\n".clone_into(&mut text);
    }
    output::print(&text);
    0
}
