//! What `netyard trace --json` tells, as lines that tests compare.

#![allow(clippy::unwrap_used)]

use crate::support::{Yard, until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

/// The conversations that netyard tells of when it ends with this code.
#[track_caller]
pub fn journeys(yard: &Yard, words: &[&str], code: i32) -> Vec<Value> {
    let ran = yard.run(words);
    assert_eq!(ran.code, Some(code), "{words:?}: {}{}", ran.stdout, ran.stderr);
    read(&ran.stdout)
}

/// The conversations among the lines; what a program has printed in between is left out.
pub fn read(text: &str) -> Vec<Value> {
    events(text).filter(|line| line["event"] == "journey").collect()
}

/// The last line.
#[track_caller]
pub fn end(text: &str) -> Value {
    events(text).find(|line| line["event"] == "end").unwrap()
}

fn events(text: &str) -> impl Iterator<Item = Value> {
    text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok())
}

/// The conversation of this title; ports that the kernel has chosen are `P`.
#[track_caller]
pub fn find<'a>(all: &'a [Value], title: &str) -> &'a Value {
    let titles: Vec<String> = all.iter().map(|journey| plain(journey["title"].as_str().unwrap())).collect();
    let at = titles.iter().position(|known| known == title);
    &all[at.unwrap_or_else(|| panic!("no `{title}` among {titles:?}"))]
}

pub fn legs(journey: &Value) -> Vec<&Value> {
    journey["legs"].as_array().unwrap().iter().collect()
}

/// All packets with their hops, and how it ended.
#[track_caller]
pub fn told(all: &[Value], title: &str) -> Vec<String> {
    let journey = find(all, title);
    let mut lines = Vec::new();
    for leg in legs(journey) {
        let copy = if leg["is_copy"] == true { " (copy)" } else { "" };
        lines.push(format!(
            "{} {}{copy}",
            leg["way"].as_str().unwrap(),
            plain(leg["title"].as_str().unwrap())
        ));
        lines.extend(hops(leg));
    }
    lines.push(verdict(journey));
    lines
}

pub fn hops(leg: &Value) -> Vec<String> {
    leg["hops"].as_array().unwrap().iter().map(hop).collect()
}

fn hop(hop: &Value) -> String {
    let place = place(&hop["place"]);
    let what = match &hop["event"] {
        Value::String(word) => word.clone(),
        Value::Object(event) => {
            let (kind, value) = event.iter().next().unwrap();
            inside(kind, value)
        }
        other => panic!("no event: {other}"),
    };
    format!("{place} {what}")
}

fn inside(kind: &str, value: &Value) -> String {
    let text = |key: &str| value[key].as_str().map(str::to_owned);
    match kind {
        "bridged" => {
            let from = text("from").unwrap_or_else(|| "itself".to_owned());
            let to: Vec<&str> =
                value["to"].as_array().unwrap().iter().map(|to| to.as_str().unwrap()).collect();
            format!("bridge {from} > {} ({})", to.join(" "), text("decision").unwrap())
        }
        "routed" => {
            let via = text("via").map_or_else(String::new, |via| format!(" via {via}"));
            let src = text("src").map_or_else(String::new, |src| format!(" src {src}"));
            format!(
                "route {}{via} dev {}{src}",
                text("route").unwrap_or_else(|| "unknown".to_owned()),
                text("dev").unwrap()
            )
        }
        "neighbour" => {
            // What was known before may be fresh or old.
            let state = if value["state"] == "asked" { " (asked)" } else { "" };
            format!("neighbour {}{state}", text("to").unwrap())
        }
        "ttl" => format!("ttl {} > {}", value["from"], value["to"]),
        "filtered" => {
            let rule = &value["rule"];
            let word = |key: &str| rule[key].as_str().unwrap();
            format!(
                "rule {} {} {}: {} ({})",
                word("family"),
                word("table"),
                word("chain"),
                word("text"),
                text("verdict").unwrap()
            )
        }
        "translated" => {
            let (before, after) = (&value["before"], &value["after"]);
            let is_source =
                before["source"] != after["source"] || before["source_port"] != after["source_port"];
            let end = if is_source { "source" } else { "destination" };
            let one = |ends: &Value| {
                let port = &ends[format!("{end}_port")];
                // The identifier of a ping is no port.
                let port = if before["destination_port"].is_null() { &Value::Null } else { port };
                let port = port.as_u64().map_or_else(String::new, |port| format!(":{port}"));
                plain(&format!("{}{port}", ends[end].as_str().unwrap()))
            };
            let ct = if value["ct"].is_null() { "" } else { " (ct)" };
            let rule = value["rule"]["text"].as_str().map_or_else(String::new, |rule| format!(" by {rule}"));
            format!("{} {} > {}{ct}{rule}", text("nat").unwrap(), one(before), one(after))
        }
        "fragmented" => format!("cut into {} fragments", value["pieces"]),
        "reassembled" => format!("put together from {} fragments", value["pieces"]),
        "segmented" => format!("cut into {} segments", value["pieces"]),
        "tunnelled" => {
            let way = if value["is_in"] == true { "into" } else { "out of" };
            format!("{way} {} {}", text("kind").unwrap(), value["id"])
        }
        "delivered" => {
            let socket = text("socket").map_or_else(String::new, |socket| format!(" at {socket}"));
            format!("delivered to {}{socket}", text("to").unwrap())
        }
        "dropped" => format!("dropped: {}", text("cause").unwrap()),
        other => panic!("the event {other}"),
    }
}

/// How a conversation ended.
pub fn verdict(journey: &Value) -> String {
    let (kind, value) = match &journey["verdict"] {
        Value::String(word) => return word.clone(),
        Value::Object(verdict) => verdict.iter().next().unwrap(),
        other => panic!("no verdict: {other}"),
    };
    match kind.as_str() {
        "arrived" => format!("arrived, as {}", value["seen_as"]["source"].as_str().unwrap()),
        "refused" => format!(
            "refused by {}: {}",
            value["by"]["node"].as_str().unwrap(),
            value["says"].as_str().unwrap()
        ),
        "lost" => {
            let faults = value["faults"].as_array().unwrap().iter();
            let causes: Vec<String> = faults
                .map(|fault| {
                    format!(
                        "{} at {}",
                        fault["cause"].as_str().unwrap(),
                        fault["at"]["node"].as_str().unwrap()
                    )
                })
                .collect();
            format!(
                "lost {} at {}: {}",
                value["way"].as_str().unwrap(),
                place(&value["last"]),
                causes.join(", ")
            )
        }
        other => panic!("the verdict {other}"),
    }
}

fn place(place: &Value) -> String {
    let node = place["node"].as_str().unwrap();
    place["interface"].as_str().map_or_else(|| node.to_owned(), |interface| format!("{node}:{interface}"))
}

/// Without what differs from run to run: ports of clients, Ethernet addresses.
fn plain(text: &str) -> String {
    let word = |word: &str| {
        let is_mac = word.len() == 17 && word.bytes().filter(|byte| *byte == b':').count() == 5;
        if is_mac {
            return "MAC".to_owned();
        }
        match word.rsplit_once(':') {
            Some((address, port))
                if address.contains('.') && port.parse::<u16>().is_ok_and(|port| port >= 32_768) =>
            {
                format!("{address}:P")
            }
            _ => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A program that says on standard output that it listens.
pub fn server(yard: &Yard, words: &[&str]) -> Child {
    let mut command = yard.command(crate::support::PROGRAM);
    let mut child = command.args(words).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "listens\n");
    child
}

/// A trace that follows packets when this returns.
pub fn started(yard: &Yard, words: &[&str]) -> Child {
    let mut command = yard.command(crate::support::PROGRAM);
    let mut child = command.args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    errors.read_line(&mut line).unwrap();
    assert_eq!(line, "packets are followed; Ctrl-C ends it\n");
    child
}

/// What a trace has printed when it has ended by itself.
pub fn end_of(mut child: Child) -> String {
    let mut output = child.stdout.take().unwrap();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    });
    until("the trace has ended", || child.try_wait().unwrap().is_some());
    reader.join().unwrap()
}
