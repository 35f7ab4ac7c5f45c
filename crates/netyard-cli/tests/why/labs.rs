//! No false blame: in every lab of the gallery, what is foretold for a pair of nodes is what a real packet meets.

use crate::net::{Net, Said};
use crate::support::until;
use std::collections::BTreeSet;
use std::path::Path;

/// Pairs that are tried in a large lab.
const PAIRS_MAX: usize = 42;
/// How many questions of a lab are asked at once.
const SIDE_BY_SIDE: usize = 3;

fn gallery() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs")
}

/// All pairs of nodes; of many, some that are spread evenly.
fn pairs(nodes: &[String]) -> Vec<(String, String)> {
    let all =
        nodes.iter().flat_map(|a| nodes.iter().filter(move |b| *b != a).map(move |b| (a.clone(), b.clone())));
    let all: Vec<_> = all.collect();
    let step = all.len().div_ceil(PAIRS_MAX).max(1);
    // A step that shares no factor with the number of nodes meets every node.
    let step = (step..).find(|step| step % nodes.len() != 0).unwrap_or(1);
    all.into_iter().step_by(step).collect()
}

/// Asks why, sends a real packet, and compares; what is told wrong.
fn disagreement(net: &Net, words: &[&str]) -> Option<String> {
    let ran = net.run(&[&["why", "--json"], words].concat());
    if ran.code == Some(2) {
        // A bridge without an address cannot be asked for anything.
        return None;
    }
    let said = Said::of(&ran);
    if said.is_reachable() != net.passes(words, &said) {
        // The lab may have changed in between: its own programs start, neighbours are learned.
        let again = net.why(words);
        let passes = net.passes(words, &again);
        if again.is_reachable() != passes {
            let (verdict, sentences) = (&again.told["verdict"], again.sentences());
            return Some(format!("{words:?}: packets pass: {passes}; told: {verdict} {sentences}"));
        }
    } else if !said.is_reachable() && said.stopping().is_empty() {
        return Some(format!("{words:?}: no cause is told"));
    }
    None
}

fn check(lab: &str, ports: &[&str]) {
    let text = std::fs::read_to_string(gallery().join(format!("{lab}.yaml"))).unwrap();
    let net = Net::of(&format!("why-lab-{lab}"), &text);
    let Net::Lab(yard) = &net else { return };
    let shown = yard.json(&["show", "--json", &yard.lab]);
    let nodes = shown["nodes"].as_array().unwrap().iter();
    let nodes: Vec<String> = nodes.map(|node| node["name"].as_str().unwrap().to_owned()).collect();
    let pairs = pairs(&nodes);
    let compare = |pairs: &[(String, String)]| -> Vec<String> {
        let about = |(from, to)| {
            let ports = ports.iter().map(move |port| vec![from, to, *port]);
            std::iter::once(vec![from, to]).chain(ports)
        };
        let questions = pairs.iter().map(|(from, to)| (from.as_str(), to.as_str())).flat_map(about);
        questions.filter_map(|words| disagreement(&net, &words)).collect()
    };
    // Mostly it is waited for answers that do not come.
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let shares = pairs.chunks(pairs.len().div_ceil(SIDE_BY_SIDE).max(1));
        let threads: Vec<_> = shares.map(|pairs| scope.spawn(|| compare(pairs))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} of {} pairs: {wrong:#?}", wrong.len(), pairs.len());
}

macro_rules! labs {
    ($($name:ident: $lab:literal, $ports:expr;)*) => {
        $(#[test]
        fn $name() {
            check($lab, &$ports);
        })*

        #[test]
        fn every_lab_of_the_gallery_is_tried() {
            let tried: BTreeSet<&str> = [$($lab),*].into();
            let files = std::fs::read_dir(gallery()).unwrap().map(|entry| entry.unwrap().path());
            let labs = files.filter(|path| path.extension().is_some_and(|extension| extension == "yaml"));
            for lab in labs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()) {
                // A thousand nodes are for the test of time; uplinks lead to what is not here.
                assert!(tried.contains(lab.as_str()) || lab == "star-1000", "{lab} is not tried");
            }
        }
    };
}

labs! {
    anycast: "anycast", ["tcp:80"];
    bandwidth: "bandwidth", [];
    bridge: "bridge", ["tcp:80"];
    cable: "cable", [];
    cgn: "cgn", ["tcp:80"];
    cloud_address: "cloud-address", ["tcp:80"];
    dmz: "dmz", ["tcp:80", "tcp:22"];
    dual_stack: "dual-stack", ["tcp:80"];
    ecmp: "ecmp", [];
    home: "home", ["tcp:80"];
    hub: "hub", [];
    ipv6_only: "ipv6-only", ["tcp:80"];
    longest_prefix: "longest-prefix", [];
    mtu: "mtu", [];
    mtu_black_hole: "mtu-black-hole", [];
    napt: "napt", ["tcp:80"];
    no_forwarding: "no-forwarding", [];
    policy_routing: "policy-routing", ["tcp:80"];
    port_forward: "port-forward", ["tcp:80", "tcp:8080"];
    programs: "programs", ["tcp:80"];
    router: "router", [];
    rp_filter: "rp-filter", [];
    spanning_tree: "spanning-tree", [];
    static_arp: "static-arp", [];
    static_routes: "static-routes", [];
    ttl: "ttl", [];
}

/// IPv6 in a lab that has both, asked for by name of the version.
#[test]
fn both_versions_of_a_lab_that_has_both() {
    let text = std::fs::read_to_string(gallery().join("dual-stack.yaml")).unwrap();
    let net = Net::of("why-dual", &text);
    let Net::Lab(yard) = &net else { return };
    let shown = yard.json(&["show", "--json", &yard.lab]);
    let names =
        shown["nodes"].as_array().unwrap().iter().map(|node| node["name"].as_str().unwrap().to_owned());
    let nodes: Vec<String> = names.collect();
    let mut asked = 0;
    for (from, to) in pairs(&nodes) {
        for version in ["-4", "-6"] {
            let ran = net.run(&["why", "--json", version, &from, &to]);
            if ran.code == Some(2) {
                continue;
            }
            let said = net.why(&[version, &from, &to]);
            let address = said.told["to"]["address"].as_str().unwrap();
            assert_eq!(address.contains(':'), version == "-6", "{address}");
            let script = format!("ping -c 1 -W 1 {address}");
            let passes = || net.shell(&from, &script).code == Some(0);
            if said.is_reachable() {
                until("the foretold packet passes", passes);
            } else {
                assert!(!passes(), "{from} {to}: {}", said.sentences());
            }
            asked += 1;
        }
    }
    assert!(asked > 4, "{asked}");
}
