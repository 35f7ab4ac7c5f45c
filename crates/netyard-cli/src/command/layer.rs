//! `netyard layer`: packages for nodes, without touching the machine's.

use crate::args::layer::{Build, Layer as Verb, Show};
use crate::output::table::{aligned, heading};
use crate::output::theme::{Cell, Label, Theme};
use crate::output::{self, Progress, json};
use netyard::Result;
use netyard::layer::{Layer, Layers, Order, Stage, build as build_layer, named};
use netyard_core::layer::Manifest;
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A layer as JSON: where it is, and what it tells of itself.
#[derive(Serialize)]
struct Told<'a> {
    folder: &'a Path,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

impl<'a> Told<'a> {
    fn of(layer: &'a Layer) -> Self {
        Self { folder: &layer.folder, manifest: &layer.manifest }
    }
}

#[derive(Serialize)]
struct All<'a> {
    layers: Vec<Told<'a>>,
}

pub fn run(verb: &Verb) -> Result<ExitCode> {
    let layers = Layers::of_user();
    layers.tidy();
    match verb {
        Verb::Build(args) => build(args, &layers)?,
        Verb::List(args) => list(&layers.list(), args.json),
        Verb::Show(args) => show(args, &layers)?,
        Verb::Remove { names } => {
            for name in names {
                layers.remove(&named(name)?)?;
                output::say(&format!("layer {name} is gone"));
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn build(args: &Build, layers: &Layers) -> Result<()> {
    let order = Order::new(&args.name, &args.apt)?;
    let begun = Instant::now();
    let mut progress = Progress::new(format!("building layer {}", order.name));
    let layer = build_layer(layers, &order, &mut |stage| {
        let (done, words) = told(stage);
        progress.at_stage(words, done);
    })?;
    drop(progress);
    if args.json {
        json::print("layer", &Told::of(&layer));
    } else if !args.quiet {
        let manifest = &layer.manifest;
        output::say(&format!(
            "layer {} is built: {}, {}, {} s",
            manifest.name,
            output::count(manifest.packages.len(), "package"),
            size(manifest.bytes),
            begun.elapsed().as_secs()
        ));
    }
    Ok(())
}

/// How far it is, in percent, and at what.
fn told(stage: &Stage) -> (Option<u8>, &'static str) {
    match stage {
        Stage::Preparing => (None, "making a place for packages"),
        Stage::Lists => (None, "fetching lists of packages"),
        Stage::Fetching(percent) => (Some(*percent), "fetching packages"),
        Stage::Installing(percent) => (Some(*percent), "installing packages"),
        Stage::Gathering => (None, "gathering what they have added"),
    }
}

fn list(layers: &[Layer], is_json: bool) {
    if is_json {
        json::print("layers", &All { layers: layers.iter().map(Told::of).collect() });
    } else if layers.is_empty() {
        output::say("there is no layer; `netyard layer build frr` makes one");
    } else {
        let mut rows = vec![heading(["LAYER", "SIZE", "AGE", "PACKAGES", "FOLDER"])];
        rows.extend(layers.iter().map(|layer| {
            let Manifest { name, asked, bytes, built, .. } = &layer.manifest;
            [
                Cell::new(Label::Node, name),
                Cell::plain(size(*bytes)),
                Cell::plain(age(*built)),
                Cell::plain(shortened(asked)),
                Cell::new(Label::Quiet, layer.folder.display()),
            ]
        }));
        output::print(&aligned(&rows, Theme::of_output()));
    }
}

/// The first few of many words.
fn shortened(words: &[String]) -> String {
    const SHOWN: usize = 4;
    match words.len() {
        0..=SHOWN => words.join(" "),
        more => format!("{} and {} more", words[..SHOWN].join(" "), more - SHOWN),
    }
}

fn show(args: &Show, layers: &Layers) -> Result<()> {
    let layer = layers.find(&named(&args.name)?)?;
    if args.json {
        json::print("layer", &Told::of(&layer));
        return Ok(());
    }
    let Manifest { name, system, built, users, groups, bytes, packages, asked, architecture, .. } =
        &layer.manifest;
    let processors =
        architecture.iter().map(|architecture| format!(" for {architecture}")).collect::<String>();
    let names = |accounts: &[netyard_core::layer::account::Account]| match accounts {
        [] => "none".to_owned(),
        some => some.iter().map(|account| account.name.as_str()).collect::<Vec<_>>().join(" "),
    };
    let row = |word: &str, text: String| [Cell::new(Label::Heading, word), Cell::plain(text)];
    let mut rows = vec![
        row("layer", name.to_string()),
        row("folder", layer.folder.display().to_string()),
        row("size", size(*bytes)),
        row("built", format!("{} ago, on {system}{processors}", age(*built))),
        row("asked for", asked.join(" ")),
        row("users added", names(users)),
        row("groups added", names(groups)),
    ];
    for (index, package) in packages.iter().enumerate() {
        let word = if index == 0 { "packages" } else { "" };
        rows.push(row(word, format!("{} {}", package.name, package.version)));
    }
    output::print(&aligned(&rows, Theme::of_output()));
    Ok(())
}

/// `12.3 MB`.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

fn age(since: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    super::list::age(std::time::Duration::from_secs(now.saturating_sub(since)))
}
