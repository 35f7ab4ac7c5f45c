//! The node of a device: files, programs, values.

use super::bind;
use super::bridged::GATEWAY;
use super::conf::{At, Device};
use super::image::{Image, image};
use super::import::Importer;
use super::report::Fidelity;
use super::setting::{Setting, Volume};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::lab::{
    FileContent, Interface, Node, NodeBind, NodeFile, NodeKind, NodeRoot, Program, Restart, Role,
};
use crate::name::NodeName;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// What runs in a device that starts.
const STARTUP: &str = include_str!("startup.sh");
/// Where it lies in a device.
pub const STARTUP_PATH: &str = "/hostlab/startup.sh";
/// The name of the program that runs it.
pub const STARTUP_NAME: &str = "startup";

pub(super) fn node(
    importer: &mut Importer<'_>,
    device: &Device,
    name: NodeName,
    interfaces: Vec<Interface>,
) -> Node {
    let ipv6 = ipv6(importer, device);
    let shell = device.last(|s| if let Setting::Shell(shell) = s { Some(shell.clone()) } else { None });
    let shell = shell.map_or_else(|| importer.settings.device_shell.clone(), |at| at.value);
    let hostname = (name != device.name.as_str()).then(|| device.name.clone());
    for interface in &device.interfaces {
        let what = format!("{}[{}]", device.name, interface.number);
        importer.remark(Fidelity::Used, "lab.conf", interface.span, what, "an interface on a hub");
    }
    let image = device.image().map_or(importer.settings.image.as_str(), |at| at.value).to_owned();
    let mut sysctls = sysctls(ipv6);
    let mut env = BTreeMap::new();
    let mut binds = shared(importer);
    for at in &device.settings {
        setting(importer, device, at, &mut sysctls, &mut env, &mut binds);
    }
    let files = files(importer, device, &image);
    // Every device forwards; those that have somewhere to forward to are shown as what they are for.
    let role = if interfaces.len() > 1 { Role::Router } else { Role::Host };
    Node {
        kind: NodeKind::Full,
        role,
        interfaces,
        forwards_ipv4: true,
        forwards_ipv6: ipv6,
        sysctls,
        programs: vec![startup(device, &shell)],
        on_down: shutdown(importer, device, &shell),
        root: NodeRoot { files, binds, ..NodeRoot::default() },
        env,
        hostname,
        labels: labels(device, image),
        ..Node::named(name)
    }
}

/// The label of a device that tells its image; no other node has it.
pub const IMAGE_LABEL: &str = "image";

/// Its image, and the collision domain of each interface as it is written: networks have names of their own.
fn labels(device: &Device, image: String) -> BTreeMap<String, String> {
    let domains = device.interfaces.iter().map(|i| (format!("eth{}", i.number), i.domain.clone()));
    domains.chain([(IMAGE_LABEL.to_owned(), image)]).collect()
}

fn ipv6(importer: &mut Importer<'_>, device: &Device) -> bool {
    let written = device.last(|s| if let Setting::Ipv6(is_on) = s { Some(*is_on) } else { None });
    if let Some(at) = written {
        return at.value;
    }
    if importer.settings.enable_ipv6 {
        return true;
    }
    let is_bgp_of_links = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        matches!(words.as_slice(), ["neighbor", _, "interface", ..])
    };
    let prefix = format!("{}/etc/frr/", device.name);
    let found =
        importer.folder.texts.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
    let found = found.filter_map(|(path, text)| {
        let line = text.lines().find(|line| is_bgp_of_links(line))?;
        let start = line.as_ptr() as usize - text.as_ptr() as usize;
        Some((path.clone(), Span::new(start, start + line.len())))
    });
    if let Some((path, span)) = found.collect::<Vec<_>>().into_iter().next() {
        let label = "sessions on links use IPv6, which is off in this device";
        let problem = Diagnostic::new(Code::NeededByScript, span).label(label);
        importer.problem(
            &path,
            problem.help(format!("`-o ipv6=true`, or `{}[ipv6]=\"true\"` in lab.conf", device.name)),
        );
    }
    false
}

/// The values that Kathara sets (manager/docker/DockerMachine.py), sorted by key.
fn sysctls(ipv6: bool) -> BTreeMap<String, String> {
    let conf4 = ["all", "default", "lo"].map(|conf| (format!("net.ipv4.conf.{conf}.rp_filter"), "0"));
    let mut all: BTreeMap<String, &str> = conf4.into();
    all.insert("net.ipv4.ip_forward".to_owned(), "1");
    all.insert("net.ipv4.icmp_ratelimit".to_owned(), "0");
    for conf in ["all", "default"] {
        all.insert(format!("net.ipv6.conf.{conf}.disable_ipv6"), if ipv6 { "0" } else { "1" });
    }
    all.insert("net.ipv6.conf.all.forwarding".to_owned(), if ipv6 { "1" } else { "0" });
    if ipv6 {
        all.insert("net.ipv6.conf.all.accept_ra".to_owned(), "0");
        all.insert("net.ipv6.icmp.ratelimit".to_owned(), "0");
    } else {
        all.insert("net.ipv6.conf.default.forwarding".to_owned(), "0");
    }
    all.into_iter().map(|(key, value)| (key, value.to_owned())).collect()
}

/// What becomes of one option; that of the image, the shell and IPv6 is known already.
fn setting(
    importer: &mut Importer<'_>,
    device: &Device,
    at: &At<Setting>,
    sysctls: &mut BTreeMap<String, String>,
    env: &mut BTreeMap<String, String>,
    binds: &mut Vec<NodeBind>,
) {
    use Fidelity::{Approximated, Ignored, Used};
    let (option, fidelity, reason) = match &at.value {
        Setting::Image(_) => return,
        Setting::Mem(_) => ("mem", Ignored, "devices share the memory of the machine"),
        Setting::Cpus(_) => ("cpus", Ignored, "devices share the processors of the machine"),
        Setting::Port(_) => {
            let reason = "no port of the machine leads into a lab: ask from inside, `netyard kathara exec DEVICE curl URL`";
            ("port", Ignored, reason)
        }
        Setting::Bridged(true) if importer.wishes.uplink.is_some() => {
            ("bridged", Approximated, "one more interface, and a way to the real network by pasta(1)")
        }
        Setting::Bridged(true) => {
            let reason = "one more interface, and a way to an internet that answers pings, DNS and HTTP; `lstart --uplink` \
                          leads to the real one";
            ("bridged", Approximated, reason)
        }
        Setting::Bridged(false) => ("bridged", Used, "no way to the machine's network"),
        Setting::Ipv6(_) => ("ipv6", Used, "with the values of sysctl that Kathara sets"),
        Setting::Exec(_) => ("exec", Used, "runs after the startup script"),
        Setting::Sysctl(key, value) => {
            sysctls.insert(key.clone(), value.clone());
            ("sysctl", Used, "set when the device starts")
        }
        Setting::Env(key, value) => {
            env.insert(key.clone(), value.clone());
            ("env", Used, "in the environment of its programs")
        }
        Setting::Shell(_) => ("shell", Used, "reads the startup script, and is what `connect` starts"),
        Setting::Terminals(_) => {
            ("num_terms", Ignored, "no terminals open by themselves; `connect` gives one")
        }
        Setting::Ulimit(..) => (
            "ulimit",
            Approximated,
            "set by prlimit(1); no hard limit is above that of whoever starts the lab",
        ),
        Setting::Privileged(true) => (
            "privileged",
            Ignored,
            "root of a device is nobody on the machine; its network is its own in any case",
        ),
        Setting::Privileged(false) => ("privileged", Used, "root of a device is nobody on the machine"),
        Setting::Entrypoint(_) => ("entrypoint", Ignored, "devices have no container; `exec` runs a command"),
        Setting::Args(_) => ("args", Ignored, "devices have no container; `exec` runs a command"),
        Setting::Volume(volume) => {
            binds.push(bind_of(volume));
            (
                "volume",
                Approximated,
                "the folder is found from that of the lab, not from where the command is started",
            )
        }
        Setting::Unknown(name) => (name.as_str(), Ignored, "Kathara does nothing with it either"),
    };
    importer.remark(fidelity, "lab.conf", at.span, format!("{}[{option}]", device.name), reason);
}

fn bind_of(volume: &Volume) -> NodeBind {
    let path = format!("/{}", volume.guest.trim_start_matches('/'));
    NodeBind { source: volume.host.clone(), path, is_read_only: volume.is_read_only }
}

/// `shared/`, where it is there or asked for.
fn shared(importer: &Importer<'_>) -> Vec<NodeBind> {
    let is_hidden = importer.wishes.hides_shared || !importer.settings.shared_mount;
    let is_there = importer.folder.folders.contains("shared") && !is_hidden;
    let has = is_there || importer.wishes.makes_shared;
    let bind = NodeBind { source: "shared".to_owned(), path: "/shared".to_owned(), is_read_only: false };
    has.then_some(bind).into_iter().collect()
}

/// Files of a device; later ones lie over earlier ones.
fn files(importer: &mut Importer<'_>, device: &Device, image_name: &str) -> Vec<NodeFile> {
    let name = &device.name;
    let hosts = format!("127.0.0.1 localhost\n::1 localhost\n127.0.1.1 {name}\n");
    let mut files = vec![text("/etc/hosts", hosts), text("/etc/resolv.conf", name_servers(importer, device))];
    if matches!(image(image_name), Image::Package("FRR", ..) | Image::Quagga) {
        files.extend(frr_defaults());
    }
    if importer.folder.folders.contains(name) {
        files.push(copy("/", name, None));
        importer.remark(Fidelity::Used, name, Span::default(), name.clone(), "laid over the device's files");
    }
    for script in [format!("{name}.startup"), "shared.startup".to_owned()] {
        if importer.folder.texts.contains_key(&script) {
            files.push(copy(&format!("/hostlab/{script}"), &script, Some(0o755)));
            importer.remark(
                Fidelity::Used,
                &script,
                Span::default(),
                name.clone(),
                "run when the device starts",
            );
        }
    }
    for (_, script) in shutdown_scripts(device) {
        if importer.folder.texts.contains_key(&script) {
            files.push(copy(&format!("/hostlab/{script}"), &script, Some(0o755)));
        }
    }
    files.push(NodeFile { mode: Some(0o755), ..text(STARTUP_PATH, STARTUP.to_owned()) });
    files.extend(named_without_old_options(importer, name));
    files
}

/// `/etc/resolv.conf`: empty, but for devices that reach out of the lab.
fn name_servers(importer: &Importer<'_>, device: &Device) -> String {
    let own = [IpAddr::V4(GATEWAY)];
    let servers = match &importer.wishes.uplink {
        _ if !device.is_bridged() => &[],
        Some(servers) => servers.as_slice(),
        None => &own,
    };
    servers.iter().map(|server| format!("nameserver {server}\n")).collect()
}

/// What the image of FRR has in `/etc/frr`: nothing is on, and each daemon has a file of its own.
fn frr_defaults() -> [NodeFile; 2] {
    let daemons =
        ["zebra", "bgpd", "ospfd", "ospf6d", "ripd", "ripngd", "isisd", "pimd", "ldpd", "eigrpd", "babeld"];
    let daemons: String =
        daemons.iter().chain(&["staticd", "bfdd"]).map(|daemon| format!("{daemon}=no\n")).collect();
    let owned = |file: NodeFile| NodeFile { owner: Some("frr:frr".to_owned()), mode: Some(0o640), ..file };
    [
        owned(text("/etc/frr/daemons", daemons + "vtysh_enable=yes\n")),
        owned(text("/etc/frr/vtysh.conf", "no service integrated-vtysh-config\n".to_owned())),
    ]
}

/// Files for BIND with options that it has lost since.
fn named_without_old_options(importer: &mut Importer<'_>, device: &str) -> Vec<NodeFile> {
    let prefix = format!("{device}/etc/bind/");
    let texts =
        importer.folder.texts.range(prefix.clone()..).take_while(|(path, _)| path.starts_with(&prefix));
    let changed: Vec<_> = texts
        .filter(|(path, _)| path[prefix.len()..].contains("conf"))
        .filter_map(|(path, text)| Some((path.clone(), bind::without_old_options(text)?)))
        .collect();
    let mut files = Vec::new();
    for (path, (new, removed)) in changed {
        for old in removed {
            let what = format!("option `{}`", old.option);
            importer.remark(Fidelity::Approximated, &path, old.span, what, "left out: BIND 9.18 refuses it");
        }
        files.push(text(&path[device.len()..], new));
    }
    files
}

fn text(path: &str, text: String) -> NodeFile {
    NodeFile { path: path.to_owned(), content: FileContent::Text(text), mode: None, owner: None }
}

fn copy(path: &str, from: &str, mode: Option<u32>) -> NodeFile {
    let content = FileContent::From { path: from.to_owned(), fixes_text: true };
    NodeFile { path: path.to_owned(), content, mode, owner: None }
}

/// The program that does what Kathara does in a device that starts, in its order.
fn startup(device: &Device, shell: &str) -> Program {
    let interpreter = if shell.ends_with("bash") { shell } else { "/bin/sh" };
    let mut argv = limited(&limits(device));
    argv.extend([interpreter, STARTUP_PATH, shell, &device.name].map(str::to_owned));
    for at in &device.settings {
        if let Setting::Exec(command) = &at.value {
            argv.push(command.clone());
        }
    }
    program(STARTUP_NAME, argv)
}

/// `NAME=SOFT:HARD` of each limit of a device; of several with one name the last counts.
fn limits(device: &Device) -> Vec<String> {
    let all = device.settings.iter().filter_map(|at| match &at.value {
        Setting::Ulimit(name, soft, hard) => Some((name, format!("{name}={soft}:{hard}"))),
        _ => None,
    });
    all.collect::<BTreeMap<_, _>>().into_values().collect()
}

/// The words before a command that set limits for it (prlimit(1)); none where there are none. A limit that may not be
/// set stays as it is.
fn limited(limits: &[String]) -> Vec<String> {
    if limits.is_empty() {
        return Vec::new();
    }
    let set: Vec<String> =
        limits.iter().map(|limit| format!("prlimit --pid $$ --{limit} 2> /dev/null")).collect();
    ["/bin/sh".to_owned(), "-c".to_owned(), set.join("; ") + "; exec \"$@\"", "sh".to_owned()].into()
}

/// The words before any command in a device that set its limits, and its shell, as its startup program has them.
///
/// ```
/// use netyard_core::kathara::{Folder, Wishes, import, surroundings};
/// let mut folder = Folder { name: "lab".into(), ..Folder::default() };
/// folder.texts.insert("lab.conf".into(), "a[0]=A\na[shell]=/bin/sh\n".into());
/// let lab = import(&folder, &Wishes::default()).unwrap().lab;
/// assert_eq!(surroundings(&lab.nodes[0]), (&[][..], "/bin/sh"));
/// ```
#[must_use]
pub fn surroundings(node: &Node) -> (&[String], &str) {
    let startup = node.programs.iter().find(|program| program.name == STARTUP_NAME);
    let words = startup.map_or(&[][..], |program| program.argv.as_slice());
    match words.iter().position(|word| word == STARTUP_PATH) {
        Some(at) => (&words[..at - 1], words.get(at + 1).map_or("/bin/bash", String::as_str)),
        None => (&[], "/bin/bash"),
    }
}

/// The scripts that run before the lab ends, and in which order.
fn shutdown_scripts(device: &Device) -> [(&'static str, String); 2] {
    [("shutdown", format!("{}.shutdown", device.name)), ("shared-shutdown", "shared.shutdown".to_owned())]
}

fn shutdown(importer: &mut Importer<'_>, device: &Device, shell: &str) -> Vec<Program> {
    let mut programs = Vec::new();
    for (name, script) in shutdown_scripts(device) {
        if importer.folder.texts.contains_key(&script) {
            programs.push(program(name, vec![shell.to_owned(), format!("/hostlab/{script}")]));
            let reason = "run before the lab ends";
            importer.remark(Fidelity::Used, &script, Span::default(), device.name.clone(), reason);
        }
    }
    programs
}

fn program(name: &str, argv: Vec<String>) -> Program {
    let (restart, env, ready, after) = (Restart::Never, BTreeMap::new(), None, Vec::new());
    Program { name: name.to_owned(), argv, restart, env, ready, after }
}
