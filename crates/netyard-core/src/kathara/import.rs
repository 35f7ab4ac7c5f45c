//! From the folder of a Kathara lab to a lab of ours.

use super::conf::{self, At, Conf, Device};
use super::image::{Image, image};
use super::report::{Fidelity, Problem, Remark};
use super::setting::{self, Setting};
use super::{bridged, dep, device, scan};
use crate::diagnostic::{Code, Diagnostic, Severity, Source, Span};
use crate::feature::Kind;
use crate::lab::{Arp, Interface, Lab, Network, NetworkKind, Profile, Uplink};
use crate::look::label::{Labels, label};
use crate::mac::Mac;
use crate::name::{IfName, LabName, NetworkName, NodeName};
use crate::shaping::Shaping;
use ipnet::IpNet;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What lies in the folder of a lab.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// The folder's own name.
    pub name: String,
    /// Files that are text, by their path in the folder.
    pub texts: BTreeMap<String, String>,
    /// Folders in it.
    pub folders: BTreeSet<String>,
}

/// How it is to be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Options for all devices, which go before those of the file (`-o NAME=VALUE`).
    pub overrides: Vec<(String, String)>,
    /// Whether each folder is a device where there is no `lab.conf`, or an empty one (`-F`).
    pub takes_folders: bool,
    /// Only these devices, if any.
    pub only: BTreeSet<String>,
    /// Not these devices.
    pub except: BTreeSet<String>,
    /// Whether devices share `shared/` although it is not there yet.
    pub makes_shared: bool,
    /// Whether devices do not see `shared/` although it is there.
    pub hides_shared: bool,
    /// That bridged devices reach the real network, by an uplink, and the name servers which they ask there.
    pub uplink: Option<Vec<IpAddr>>,
}

/// A lab of Kathara as understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// The lab.
    pub lab: Lab,
    /// The node of each device.
    pub nodes: BTreeMap<String, NodeName>,
    /// Whether devices are to start one after another, in the order of the lab's nodes (`lab.dep`).
    pub is_ordered: bool,
    /// What became of what is written.
    pub remarks: Vec<Remark>,
    /// What is probably not meant so.
    pub warnings: Vec<Problem>,
    /// What its scripts and images need of this machine.
    pub needs: Vec<DeviceNeed>,
}

/// Something that a device needs of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceNeed {
    /// The device.
    pub device: String,
    /// The file that says so.
    pub source: Source,
    /// The place in it.
    pub span: Span,
    /// What is needed.
    pub what: What,
}

/// What a device needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A part of the kernel.
    Feature(Kind),
    /// A program: what it is, a file of it, and its package in Debian.
    Program(&'static str, &'static str, &'static str),
}

/// Reads a lab of Kathara.
///
/// ```
/// use netyard_core::kathara::{Folder, Wishes, import};
/// let mut folder = Folder { name: "Two PCs".into(), ..Folder::default() };
/// folder.texts.insert("lab.conf".into(), "pc1[0]=\"A\"\npc2[0]=\"A\"\n".into());
/// folder.texts.insert("pc1.startup".into(), "ip address add 10.0.0.1/24 dev eth0\n".into());
/// let imported = import(&folder, &Wishes::default()).unwrap();
/// assert_eq!(imported.lab.name, "two-pcs");
/// assert_eq!(imported.lab.nodes[0].interfaces[0].network, "a");
/// ```
///
/// # Errors
/// Every problem of its files, if one of them is an error.
pub fn import(folder: &Folder, wishes: &Wishes) -> Result<Imported, Vec<Problem>> {
    let settings = Settings::default();
    let (problems, remarks, needs) = (Vec::new(), Vec::new(), Vec::new());
    let mut importer = Importer { settings, folder, wishes, problems, remarks, needs };
    importer.settings();
    let mut conf = importer.conf();
    // By their places in the file: whoever starts later changes nobody's address.
    let hosts = conf.devices.iter().map(|device| device.name.clone()).zip(bridged::HOST_FIRST..).collect();
    importer.external();
    importer.select(&mut conf);
    let is_ordered = importer.order(&mut conf);
    let overrides = importer.overrides();
    for device in &mut conf.devices {
        for at in &overrides {
            device.settings.retain(|own| setting::adds_up(&at.value.0) || !is_same(&own.value, &at.value.1));
            device.settings.push(At { value: at.value.1.clone(), span: at.span });
        }
    }
    importer.images(&conf);
    let (lab, nodes) = importer.lab(&conf, &hosts);
    let Importer { problems, remarks, needs, .. } = importer;
    if problems.iter().any(|problem| problem.diagnostic.severity == Severity::Error) {
        return Err(problems);
    }
    Ok(Imported { lab, nodes, is_ordered, remarks, warnings: problems, needs })
}

/// The name of the lab in a folder: `LAB_NAME`, else the folder's own, made a legal name.
///
/// ```
/// assert_eq!(netyard_core::kathara::lab_name("x", "LAB_NAME=\"My Lab\"\n"), "my-lab");
/// assert_eq!(netyard_core::kathara::lab_name("R I P", ""), "r-i-p");
/// ```
#[must_use]
pub fn lab_name(folder: &str, conf: &str) -> LabName {
    let written = conf.lines().rev().find_map(|line| line.strip_prefix("LAB_NAME="));
    let written =
        written.map(|name| name.replace(['"', '\''], "").trim().to_owned()).filter(|name| !name.is_empty());
    legal(written.as_deref().unwrap_or(folder))
}

fn legal(text: &str) -> LabName {
    LabName::new(label(text).as_str()).expect("the label of a node is one of a lab")
}

fn is_same(a: &Setting, b: &Setting) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

/// What `kathara.conf` in the lab's folder says, and what holds where it says nothing.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct Settings {
    /// The image of devices that name none.
    pub image: String,
    /// The shell of devices that name none.
    pub device_shell: String,
    /// Whether devices speak IPv6 that do not say.
    pub enable_ipv6: bool,
    /// Whether devices see `shared/`.
    pub shared_mount: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let (image, device_shell) = ("kathara/base".to_owned(), "/bin/bash".to_owned());
        Self { image, device_shell, enable_ipv6: false, shared_mount: true }
    }
}

pub(super) struct Importer<'a> {
    pub settings: Settings,
    pub folder: &'a Folder,
    pub wishes: &'a Wishes,
    pub problems: Vec<Problem>,
    pub remarks: Vec<Remark>,
    pub needs: Vec<DeviceNeed>,
}

impl Importer<'_> {
    pub(super) fn source(&self, path: &str) -> Source {
        Source::new(path, self.folder.texts.get(path).map_or("", String::as_str))
    }

    /// Notes what became of something at a place of a file.
    pub(super) fn remark(
        &mut self,
        fidelity: Fidelity,
        path: &str,
        span: Span,
        what: String,
        reason: impl Into<String>,
    ) {
        let is_override = span == Span::default() && path == "lab.conf";
        let line = if span == Span::default() { 0 } else { self.source(path).line_and_column(span.start).0 };
        let file = if is_override { "-o".to_owned() } else { path.to_owned() };
        self.remarks.push(Remark { fidelity, file, line, what, reason: reason.into() });
    }

    pub(super) fn problem(&mut self, path: &str, diagnostic: Diagnostic) {
        let source = self.source(path);
        self.problems.push(Problem { source, diagnostic });
    }

    /// Reads `kathara.conf`, the settings of one lab.
    fn settings(&mut self) {
        let Some(text) = self.folder.texts.get("kathara.conf") else { return };
        match serde_json::from_str(text) {
            Ok(settings) => {
                self.settings = settings;
                let reason = "its image, device_shell, enable_ipv6 and shared_mount";
                self.remark(
                    Fidelity::Approximated,
                    "kathara.conf",
                    Span::default(),
                    "settings".to_owned(),
                    reason,
                );
            }
            Err(error) => {
                let problem =
                    Diagnostic::without_place(Code::LabConfSyntax, format!("kathara.conf: {error}"));
                self.problem("kathara.conf", problem.help("a JSON object, as Kathara writes it"));
            }
        }
    }

    fn conf(&mut self) -> Conf {
        let text = self.folder.texts.get("lab.conf");
        let conf = if self.wishes.takes_folders && text.is_none_or(String::is_empty) {
            self.devices_by_folder()
        } else if text.is_none() {
            let help = "say where the lab is with `-d FOLDER`; `-F` takes each folder as a device";
            let problem =
                Diagnostic::without_place(Code::FileUnreadable, "there is no lab.conf in the folder");
            self.problem("lab.conf", problem.help(help));
            return Conf::default();
        } else {
            match conf::parse(&self.source("lab.conf")) {
                Ok((conf, warnings)) => {
                    warnings.into_iter().for_each(|warning| self.problem("lab.conf", warning));
                    conf
                }
                Err(problems) => {
                    problems.into_iter().for_each(|problem| self.problem("lab.conf", problem));
                    return Conf::default();
                }
            }
        };
        if conf.devices.is_empty() {
            let problem = Diagnostic::without_place(Code::NoSuchNode, "the lab has no device");
            let help = "a line such as `pc1[0]=\"A\"` in lab.conf for each interface";
            self.problem("lab.conf", problem.help(help));
        }
        conf
    }

    fn devices_by_folder(&self) -> Conf {
        let is_name = |name: &&String| {
            let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            name.len() <= 30 && name.chars().all(is_letter) && !matches!(name.as_str(), "shared" | "_test")
        };
        let folders = self.folder.folders.iter().filter(is_name);
        Conf { devices: folders.map(|name| Device::new(name, Span::default())).collect(), ..Conf::default() }
    }

    /// `lab.ext` is refused: a lab does not touch the machine's network.
    fn external(&mut self) {
        let problems = dep::external(&self.source("lab.ext"));
        problems.into_iter().for_each(|problem| self.problem("lab.ext", problem));
    }

    /// Leaves only the devices that are wanted.
    fn select(&mut self, conf: &mut Conf) {
        let named = self.wishes.only.iter().chain(&self.wishes.except);
        let known = |name: &&String| conf.devices.iter().any(|device| device.name == **name);
        let unknown: Vec<String> = named.filter(|name| !known(name)).cloned().collect();
        for name in unknown.iter().filter(|_| !conf.devices.is_empty()) {
            let names: Vec<&str> = conf.devices.iter().map(|device| device.name.as_str()).collect();
            let problem =
                Diagnostic::without_place(Code::NoSuchNode, format!("the lab has no device `{name}`"));
            self.problem("lab.conf", problem.help(format!("it has {}", names.join(", "))));
        }
        let only = &self.wishes.only;
        conf.devices.retain(|device| only.is_empty() || only.contains(&device.name));
        conf.devices.retain(|device| !self.wishes.except.contains(&device.name));
    }

    /// Puts devices that wait for others behind them, and behind those that wait for nobody. Whether any is named.
    fn order(&mut self, conf: &mut Conf) -> bool {
        if !self.folder.texts.contains_key("lab.dep") {
            return false;
        }
        let order = dep::order(&self.source("lab.dep")).unwrap_or_else(|problems| {
            problems.into_iter().for_each(|problem| self.problem("lab.dep", problem));
            Vec::new()
        });
        if order.is_empty() {
            return false;
        }
        let place = |name: &str| order.iter().position(|other| other == name).map_or(0, |at| at + 1);
        conf.devices.sort_by_key(|device| place(&device.name));
        let reason = "`lstart` starts devices one after another in this order, a lab file all at once; nobody waits until \
                      a startup script has ended, nor does Kathara";
        self.remark(Fidelity::Approximated, "lab.dep", Span::default(), order.join(", "), reason);
        true
    }

    fn overrides(&mut self) -> Vec<At<(String, Setting)>> {
        let mut settings = Vec::new();
        for (name, value) in &self.wishes.overrides.clone() {
            match setting::read(name, value) {
                Ok(setting) => settings.push(At { value: (name.clone(), setting), span: Span::default() }),
                Err(fault) => {
                    let title = format!("`-o {name}={value}`: {}", fault.reason);
                    self.problem(
                        "-o",
                        Diagnostic::without_place(Code::BadDeviceOption, title).help(fault.help),
                    );
                }
            }
        }
        settings
    }

    /// Refuses images that hold what is not here, and says which programs stand for others.
    fn images(&mut self, conf: &Conf) {
        for device in &conf.devices {
            let Some(At { value: name, span }) = device.image() else { continue };
            let what = format!("{}[image]", device.name);
            let used = |of: &str| format!("`{name}`: {of} of this machine's packages");
            match image(name) {
                Image::Plain => self.remark(Fidelity::Used, "lab.conf", span, what, used("programs")),
                Image::Package(program, ..) => {
                    self.remark(Fidelity::Used, "lab.conf", span, what, used(program))
                }
                Image::Quagga => {
                    let reason = "Quagga's configuration is translated and run by FRR";
                    self.remark(Fidelity::Approximated, "lab.conf", span, what, reason);
                }
                Image::Wireshark => {
                    let reason = "a device without programs of its own; `netyard capture` and `netyard wireshark` see the \
                                  traffic of every device";
                    self.remark(Fidelity::Approximated, "lab.conf", span, what, reason);
                    let label = format!("`{}` shows nothing here", device.name);
                    let problem = Diagnostic::new(Code::ImageReplaced, span).label(label);
                    let help = "`netyard capture` shows packets at every interface, `netyard wireshark` in Wireshark";
                    self.problem("lab.conf", problem.help(help));
                }
                Image::Missing(needs) => {
                    let label = format!("`{}` needs {needs}", device.name);
                    let problem = Diagnostic::new(Code::ImageNotHere, span).label(label);
                    let help = "run this lab with Kathara, or leave the device out with `--exclude`";
                    self.problem("lab.conf", problem.help(help));
                }
                Image::Foreign => {
                    let reason =
                        format!("`{name}` is not one of Kathara's own: programs of this machine instead");
                    self.remark(Fidelity::Approximated, "lab.conf", span, what, reason);
                    let label = format!("`{}` gets this machine's programs instead", device.name);
                    let problem = Diagnostic::new(Code::ImageReplaced, span).label(label);
                    self.problem("lab.conf", problem.help("install here what the device is to run"));
                }
            }
        }
    }

    fn lab(&mut self, conf: &Conf, hosts: &BTreeMap<String, u32>) -> (Lab, BTreeMap<String, NodeName>) {
        for (word, at) in &conf.metadata {
            let reason = if word == "LAB_NAME" { "the name of the lab" } else { "told by `linfo`" };
            self.remark(Fidelity::Used, "lab.conf", at.span, word.clone(), reason);
        }
        let written =
            conf.metadata.get("LAB_NAME").map(|at| at.value.as_str()).filter(|name| !name.is_empty());
        let name = legal(written.unwrap_or(&self.folder.name));
        let mut cables = Cables::default();
        let mut nodes = Vec::new();
        let mut names = BTreeMap::new();
        let mut labels = Labels::default();
        let mut bridged = Vec::new();
        for device in &conf.devices {
            let node = labels.give(&device.name);
            let interfaces = device.interfaces.iter().map(|interface| {
                let network = cables.network(&interface.domain);
                cables.interface(&name, &node, interface.number, network, interface.mac)
            });
            let interfaces: Vec<Interface> = interfaces.collect();
            names.insert(device.name.clone(), node.clone());
            if device.is_bridged() {
                bridged.extend(hosts.get(&device.name).map(|host| (nodes.len(), *host)));
            }
            nodes.push(device::node(self, device, node, interfaces));
            self.scan(device);
        }
        let uplink = self.wishes.uplink.as_ref().map(|_| Uplink::Pasta);
        bridged::connect(&name, &mut cables, &mut labels, &mut nodes, &bridged, uplink);
        let networks = cables.networks;
        let (expectations, profile, arp) = (Vec::new(), Profile::Realistic, Arp::Dynamic);
        (Lab { name, networks, nodes, expectations, profile, arp, dad: false }, names)
    }

    /// What the scripts of a device need.
    fn scan(&mut self, device: &Device) {
        for file in [format!("{}.startup", device.name), "shared.startup".to_owned()] {
            let Some(text) = self.folder.texts.get(&file) else { continue };
            let features = scan::needs(text).into_iter().map(|need| (What::Feature(need.kind), need.span));
            let services = scan::programs(text).into_iter();
            for (what, span) in features.chain(services).collect::<Vec<_>>() {
                let source = self.source(&file);
                self.needs.push(DeviceNeed { device: device.name.clone(), source, span, what });
            }
        }
    }
}

/// Networks and names of the fabric, while they are given out.
#[derive(Default)]
pub(super) struct Cables {
    networks: Vec<Network>,
    by_domain: BTreeMap<String, NetworkName>,
    labels: Labels,
    taken: BTreeSet<IfName>,
}

impl Cables {
    fn network(&mut self, domain: &str) -> NetworkName {
        if let Some(name) = self.by_domain.get(domain) {
            return name.clone();
        }
        let name = self.add(domain, NetworkKind::Hub, Vec::new());
        self.by_domain.insert(domain.to_owned(), name.clone());
        name
    }

    /// A new network, called like this text as far as that can be.
    pub(super) fn add(&mut self, text: &str, kind: NetworkKind, prefixes: Vec<IpNet>) -> NetworkName {
        let name = NetworkName::new(self.labels.give(text).as_str())
            .expect("the label of a node is one of a network");
        let network = Network { name: name.clone(), kind, prefixes, mtu: MTU };
        self.taken.insert(network.bridge_name());
        self.networks.push(network);
        name
    }

    pub(super) fn interface(
        &mut self,
        lab: &LabName,
        node: &NodeName,
        number: i64,
        network: NetworkName,
        mac: Option<Mac>,
    ) -> Interface {
        let name = IfName::shortened(&format!("eth{number}"));
        let mac = mac.unwrap_or_else(|| Mac::of_interface(lab.as_str(), node.as_str(), name.as_str()));
        let long = format!("{node}-{name}");
        let mut port = IfName::shortened(&long);
        let mut salt = 0_u32;
        while !self.taken.insert(port.clone()) {
            salt += 1;
            port = IfName::shortened(&format!("{long}-is-taken-{salt}"));
        }
        let (up, down) = (Shaping::default(), Shaping::default());
        Interface { name, network, port, mac, mtu: MTU, addresses: Vec::new(), up, down }
    }
}

/// The MTU of Ethernet (linux/if_ether.h `ETH_DATA_LEN`).
const MTU: u32 = 1500;

#[cfg(test)]
mod tests;
