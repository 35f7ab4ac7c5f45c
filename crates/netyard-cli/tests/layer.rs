//! Package layers: built, listed, shown, removed; the machine stays as it is, whatever happens.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{PROGRAM, Ran, Yard, until};

/// A small package that no machine has.
const PACKAGE: &str = "hello";

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// The folder of the caller's layers.
fn layers(yard: &Yard) -> PathBuf {
    if is_root() { "/var/lib/netyard/layers".into() } else { yard.folder.join(".local/share/netyard/layers") }
}

fn command(yard: &Yard, args: &[&str]) -> Command {
    let mut command = yard.command(PROGRAM);
    command.args(args).env_remove("XDG_DATA_HOME");
    command
}

fn run(yard: &Yard, args: &[&str]) -> Ran {
    support::finished(&mut command(yard, args))
}

/// Why no layer can be built here: no ids, no apt, or no way to its packages. Then only the refusal is tested.
fn obstacle(ran: &Ran) -> Option<&'static str> {
    let says = |words: &str| ran.stderr.contains(words);
    let offline = ["Temporary failure", "Could not resolve", "Could not connect", "Failed to fetch"];
    match ran.code {
        Some(0) => None,
        _ if says("gives this user less") && says("/etc/subuid") => Some("no subordinate ids"),
        _ if says("is not installed") && says("apt install uidmap") => Some("no newuidmap"),
        _ if says("this machine does not have") => Some("no apt"),
        _ if offline.iter().any(|words| says(words)) => Some("apt has no network"),
        _ => panic!("{ran:?}"),
    }
}

/// Builds a layer, or says why that is not possible.
fn build(yard: &Yard, name: &str) -> bool {
    let ran = run(yard, &["layer", "build", name, "--apt", PACKAGE]);
    match obstacle(&ran) {
        Some(why) => {
            println!("skipped: {why}");
            false
        }
        None => true,
    }
}

/// What installing packages would change: files of the machine with their times and sizes.
fn machine() -> BTreeMap<PathBuf, (u32, u32, u64, i64, i64)> {
    let mut facts = BTreeMap::new();
    for folder in
        ["/etc", "/usr/bin", "/usr/sbin", "/usr/share/doc", "/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt"]
    {
        listing(Path::new(folder), &mut facts);
    }
    facts
}

fn listing(path: &Path, facts: &mut BTreeMap<PathBuf, (u32, u32, u64, i64, i64)>) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    let fact = (metadata.mode(), metadata.uid(), metadata.size(), metadata.mtime(), metadata.ctime());
    facts.insert(path.to_owned(), fact);
    if metadata.is_dir() {
        fs::read_dir(path).into_iter().flatten().flatten().for_each(|entry| listing(&entry.path(), facts));
    }
}

/// Processes that have this word on their command line, as `pgrep -f` finds them.
fn processes(word: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    let lines = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(word)).collect()
}

#[test]
fn a_layer_holds_what_packages_add_and_the_machine_stays_as_it_is() {
    let yard = Yard::new("layer");
    let name = format!("t/{}", yard.lab);
    let before = machine();
    if !build(&yard, &name) {
        return;
    }
    assert_eq!(machine(), before);
    let shown: serde_json::Value =
        serde_json::from_str(&run(&yard, &["layer", "show", &name, "--json"]).stdout).unwrap();
    assert_eq!((&shown["schema"], &shown["asked"][0]), (&"netyard/layer/1".into(), &PACKAGE.into()));
    let packages = shown["packages"].as_array().unwrap();
    assert!(packages.iter().any(|package| package["name"] == PACKAGE), "{shown}");

    let folder = layers(&yard).join(&name);
    assert_eq!(shown["folder"], folder.to_str().unwrap());
    let output = Command::new(folder.join("usr/bin/hello")).env("LC_ALL", "C").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello, world!\n");
    for absent in ["var/lib/dpkg", "var/lib/apt", "var/cache", "etc/passwd", "usr/sbin/policy-rc.d", ".site"]
    {
        assert!(!folder.join(absent).exists(), "{absent}");
    }
    // The packages' root is the layer's: nobody else of the machine but the user who has built it.
    let (owner, own) =
        (fs::metadata(folder.join("usr/bin/hello")).unwrap().uid(), fs::metadata("/proc/self").unwrap());
    assert_eq!(owner == own.uid(), !is_root());
    assert!(run(&yard, &["layer", "list"]).stdout.contains(&name));

    let lab =
        format!("networks: {{ lan: 10.0.0.0/24 }}\nnodes:\n  pc: {{ links: [lan], layers: ['{name}'] }}\n");
    let file = yard.write("lab.yaml", &format!("lab: {}\n{lab}", yard.lab));
    let upped = run(&yard, &["up", "--quiet", file.to_str().unwrap()]);
    assert_eq!(upped.code, Some(0), "{upped:?}");
    assert_eq!(run(&yard, &["exec", "pc", "--", PACKAGE]).stdout, "Hello, world!\n");
    assert_eq!(run(&yard, &["down", &yard.lab]).code, Some(0));

    let again = run(&yard, &["layer", "build", &name, "--apt", PACKAGE]);
    assert!(again.stderr.contains("error[U041]") && again.stderr.contains("is there already"), "{again:?}");
    let removed = run(&yard, &["layer", "remove", &name]);
    assert_eq!((removed.code, folder.exists()), (Some(0), false), "{removed:?}");
    let _ = fs::remove_dir(layers(&yard).join("t"));
    assert!(run(&yard, &["layer", "remove", &name]).stderr.contains("error[U040]"));
    assert_eq!(processes(&name), [""; 0]);
}

#[test]
fn a_build_that_is_killed_leaves_a_folder_that_the_next_command_removes() {
    let yard = Yard::new("layer-killed");
    let unfinished = layers(&yard).join(format!(".{}.part", yard.lab));
    let mut child = command(&yard, &["layer", "build", &yard.lab, "--apt", PACKAGE]);
    let mut child = child.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // By then it is alone in its own root file system.
    let is_far = || unfinished.join(".site/written/var/cache/apt").exists();
    let mut ended = None;
    until("the build is under way", || {
        ended = child.try_wait().unwrap();
        ended.is_some() || is_far()
    });
    if ended.is_some() {
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let ran = Ran { code: output.status.code(), stdout: String::new(), stderr };
        println!("skipped: {}", obstacle(&ran).expect("it was not to end"));
        return;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    until("all processes of the build are gone", || processes(&yard.lab).is_empty());
    assert!(!layers(&yard).join(&yard.lab).exists());
    // That of another test may be at it.
    until("a command has removed what was left", || {
        assert!(!run(&yard, &["layer", "list"]).stdout.contains(&yard.lab));
        !unfinished.exists()
    });
}

#[test]
fn what_cannot_be_built_is_told_before_anything_is_done() {
    let yard = Yard::new("layer-refused");
    for (args, code, words) in [
        (["build", "Frr", "--apt", "frr"].as_slice(), "U042", "is not the name of a layer"),
        (&["build", "x", "--apt", "frr=8"], "U042", "is not the name of a package"),
        (&["build", "x"], "U040", "`netyard layer build x --apt PACKAGE,...` names them"),
        (&["show", "kathara/fr"], "U040", "did you mean `kathara/frr`?"),
        (&["remove", "no-such-layer-anywhere"], "U040", "`netyard layer build no-such-layer-anywhere --apt"),
    ] {
        let ran = run(&yard, &[["layer"].as_slice(), args].concat());
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("error[{code}]")) && ran.stderr.contains(words),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_package_that_apt_does_not_know_is_told_and_nothing_is_left() {
    let yard = Yard::new("layer-unknown");
    let ran = run(&yard, &["layer", "build", &yard.lab, "--apt", "no-such-package"]);
    if ran.stderr.contains("apt knows no package `no-such-package`") {
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    } else {
        println!("skipped: {}", obstacle(&ran).unwrap());
    }
    let left = |name: &str| layers(&yard).join(name).exists();
    assert!(!left(&yard.lab) && !left(&format!(".{}.part", yard.lab)));
}

#[test]
fn programs_that_nobody_has_installed_are_told_before_a_lab_is_built() {
    let yard = Yard::new("lacks");
    let text = "networks: { lan: 10.0.0.0/24 }\nnodes:\n\
                \u{20}\u{20}a: { links: [lan], run: no-such-server --port 80 }\n\
                \u{20}\u{20}b: { links: [lan], run: { named: /usr/no/such/named -g } }\n";
    let file = yard.write("lab.yaml", &format!("lab: {}\n{text}", yard.lab));
    let ran = run(&yard, &["up", file.to_str().unwrap()]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    for words in [
        "error[K008]: programs of the lab's nodes are not installed",
        "node `a`: `no-such-server`",
        "node `b`: `/usr/no/such/named` (package bind9)",
        "help: `sudo apt install bind9`",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    assert!(!run(&yard, &["list"]).stdout.contains(&yard.lab));
}
