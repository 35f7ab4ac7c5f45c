//! brctl(8).

use crate::output;
use netyard_core::stand_in::brctl::{self, Bridge, Known, Order};
use netyard_kernel::netlink::{Messages, Protocol, Refusal, Socket, bridge, link};
use std::io;

pub fn run(typed: &[String]) -> u8 {
    let order = match brctl::order(typed) {
        Ok(order) => order,
        Err(words) => return say(words.trim_end()),
    };
    match Socket::open(Protocol::Route)
        .map_err(|e| super::words(&e))
        .and_then(|socket| carry_out(socket, &order))
    {
        Ok(()) => 0,
        Err(words) => say(&words),
    }
}

fn say(words: &str) -> u8 {
    output::say(words);
    1
}

fn carry_out(mut socket: Socket, order: &Order) -> Result<(), String> {
    let links = bridge::links(&mut socket).map_err(|e| said(&e))?;
    let link = |name: &str| links.iter().find(|link| link.name == name);
    let bridge_of = |name: &str| match link(name) {
        None => Err(format!("bridge {name} does not exist!")),
        Some(link) if link.bridge.is_none() => {
            Err(format!("can't get info Operation not supported: {name} is no bridge"))
        }
        Some(link) => Ok(link),
    };
    match order {
        Order::Help => {
            output::print(brctl::USAGE);
            Ok(())
        }
        Order::AddBridge(name) => {
            change(&mut socket, |messages| bridge::add(messages, name)).map_err(|e| match e.errno {
                EEXIST => format!("device {name} already exists; can't create bridge with the same name"),
                _ => format!("add bridge failed: {}", said(&e)),
            })
        }
        Order::DeleteBridge(name) => {
            let found = bridge_of(name).map_err(|_| match link(name) {
                Some(_) => format!("can't delete bridge {name}: Operation not permitted"),
                None => format!("bridge {name} doesn't exist; can't delete it"),
            })?;
            if found.is_up {
                return Err(format!("bridge {name} is still up; can't delete it"));
            }
            change(&mut socket, |messages| link::delete(messages, found.index))
                .map_err(|e| format!("can't delete bridge {name}: {}", said(&e)))
        }
        Order::AddPorts(bridge, names) => names.iter().try_for_each(|name| {
            let master = bridge_of(bridge)?.index;
            let port = link(name).ok_or_else(|| format!("interface {name} does not exist!"))?;
            if port.master.is_some() {
                return Err(format!(
                    "device {name} is already a member of a bridge; can't add it to bridge {bridge}."
                ));
            }
            change(&mut socket, |messages| link::set_master(messages, port.index, Some(master)))
                .map_err(|e| format!("can't add {name} to bridge {bridge}: {}", said(&e)))
        }),
        Order::DeletePorts(bridge, names) => names.iter().try_for_each(|name| {
            let master = bridge_of(bridge)?.index;
            let port = link(name).ok_or_else(|| format!("interface {name} does not exist!"))?;
            if port.master != Some(master) {
                return Err(format!("device {name} is not a port of {bridge}"));
            }
            change(&mut socket, |messages| link::set_master(messages, port.index, None))
                .map_err(|e| format!("can't delete {name} from {bridge}: {}", said(&e)))
        }),
        Order::SpanningTree(name, is_on) => {
            let index = bridge_of(name)?.index;
            change(&mut socket, |messages| bridge::set_stp(messages, index, *is_on))
                .map_err(|e| format!("set stp status failed: {}", said(&e)))
        }
        Order::Show(names) => {
            names.iter().try_for_each(|name| bridge_of(name).map(drop))?;
            let is_wanted = |link: &&bridge::Link| names.is_empty() || names.contains(&link.name);
            let shown = links.iter().filter(is_wanted).filter_map(|link| {
                let ports = links.iter().filter(|port| port.master == Some(link.index));
                let ports = ports.map(|port| port.name.clone()).collect();
                let bridge::Bridge { id, has_stp } = link.bridge?;
                Some(Bridge { name: link.name.clone(), id, has_stp, ports })
            });
            output::print(&brctl::table(&shown.collect::<Vec<_>>()));
            Ok(())
        }
        Order::ShowMacs(name) => {
            let index = bridge_of(name)?.index;
            let learned = bridge::learned(&mut socket).map_err(|e| said(&e))?;
            let known = learned.iter().filter(|entry| entry.bridge == Some(index)).filter_map(|entry| {
                let port = links.iter().find(|link| link.index == entry.port)?.port?;
                Some(Known { port, mac: entry.mac, is_local: entry.is_local, age: entry.age })
            });
            let mut known: Vec<Known> = known.collect();
            known.dedup();
            output::print(&brctl::macs(&known));
            Ok(())
        }
    }
}

const EEXIST: i32 = rustix::io::Errno::EXIST.raw_os_error();

fn change(socket: &mut Socket, put: impl FnOnce(&mut Messages)) -> Result<(), Refusal> {
    let mut messages = Messages::new();
    put(&mut messages);
    socket.send(&mut messages)
}

/// The kernel's own words.
fn said(refusal: &Refusal) -> String {
    refusal.message.clone().unwrap_or_else(|| super::words(&io::Error::from_raw_os_error(refusal.errno)))
}
