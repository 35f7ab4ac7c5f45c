//! Uplinks: nodes that pasta(1) connects to the real network.
//!
//! pasta joins a node's namespaces, makes a tap there, and turns what it carries into ordinary sockets of the network
//! namespace that it was started in: the machine's. The holder of such a lab begins there, and leaves for a namespace
//! of its own as soon as its uplinks stand; nothing can bring it back, so an uplink that ends stays down. The pid
//! namespace ends pasta with the lab.
//!
//! pasta is executed in the holder's user namespace and enters the lab's inner one by itself. A process that has done
//! that is closed to the lab's programs (ptrace(2): its memory belongs to the user namespace that it was executed
//! in), so none of them gets at the machine's network through it.

use super::programs::Programs;
use crate::error::{Error, Result};
use crate::live::again;
use crate::namespaces::Namespaces;
use crate::protocol::Spec;
use netyard_core::lab::{Lab, Node, Program, Restart};
use netyard_core::name::{IfName, NodeName};
use netyard_core::state::Ns;
use netyard_kernel::netlink::{Protocol, Refusal, Socket, address, link, route};
use netyard_kernel::traveller::Traveller;
use netyard_kernel::{mount, netns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// The program, and its name among the programs of a node.
const PASTA: &str = "pasta";
/// The folder that the AppArmor profile of Debian and Ubuntu lets pasta open namespaces in
/// (`abstractions/pasta`: `@{run}/user/@{uid}/netns/*`). It is in the holder's own `/run`.
const FOLDER: &str = "/run/user/0/netns";
/// The lab's inner user namespace there; no node can have such a name.
const USER: &str = "+user";
/// The longest wait for an uplink to stand; pasta takes less than 0.1 s.
const CONNECTED_MAX: Duration = Duration::from_secs(10);

fn nodes(lab: &Lab) -> impl Iterator<Item = &Node> {
    lab.nodes.iter().filter(|node| node.uplink.is_some())
}

/// That a running lab gains or loses an uplink: its holder has left the machine's network namespace for good.
pub(super) fn refuse_change(running: &Lab, wanted: &Lab) -> Result<()> {
    let of = |lab| nodes(lab).map(|node| (node.name.clone(), node.uplink)).collect::<BTreeMap<_, _>>();
    if of(running) == of(wanted) {
        return Ok(());
    }
    Err(Error::input("U015", "a running lab cannot gain or lose an uplink")
        .help("`netyard down` and `netyard up` make it anew"))
}

/// What uplinks need of the machine, found out before anything is built.
#[derive(Debug)]
pub(super) struct Pasta {
    options: Vec<&'static str>,
    /// Of each address family that the machine has a way out for: whether it is IPv6.
    ways_out: BTreeSet<bool>,
}

impl Pasta {
    /// None where the lab has no uplink.
    ///
    /// # Errors
    /// That pasta is not installed, or may not make a tap.
    pub(super) fn find(lab: &Lab) -> Result<Option<Self>> {
        let Some(node) = nodes(lab).next() else { return Ok(None) };
        let help = Command::new(PASTA).arg("--help").output().map_err(|error| not_run(node, &error))?;
        let help = [help.stdout, help.stderr].concat();
        File::options().read(true).write(true).open("/dev/net/tun").map_err(|error| {
            Error::kernel(
                "K014",
                format!("cannot connect node `{}`: cannot open /dev/net/tun: {error}", node.name),
            )
            .note("pasta makes the uplink's interface by it")
            .help("`modprobe tun`, and `chmod 0666 /dev/net/tun` as most systems have it")
        })?;
        let mut ways_out = ways_out().map_err(|e| Error::io("cannot read the machine's routes", &e))?;
        let mut options = options(&String::from_utf8_lossy(&help));
        if !lab.uses_ipv6() {
            options.push("--ipv4-only");
            ways_out.remove(&true);
        }
        Ok(Some(Self { options, ways_out }))
    }

    /// Connects every node that has an uplink, and leaves the machine's network namespace.
    ///
    /// # Errors
    /// The first uplink that does not stand within [`CONNECTED_MAX`], with what pasta said.
    pub(super) fn connect(
        &self,
        spec: &Spec,
        namespaces: &Namespaces,
        user: Option<&OwnedFd>,
        programs: &mut Programs,
    ) -> Result<()> {
        let user = user.map(|fd| publish(USER, fd.as_fd())).transpose()?;
        for node in nodes(&spec.lab) {
            let ns = Ns::Node(node.name.clone());
            let net = namespaces
                .fd(&ns)
                .ok_or_else(|| Error::kernel("K010", format!("`{ns}` has no namespace")))?;
            let path = publish(node.name.as_str(), net)?;
            let program = self.program(node, &path, user.as_deref());
            let pidfd = programs.start_uplink(spec, node, &program)?;
            if !self.wait_until_connected(net, &node.uplink_name(), pidfd.as_fd())? {
                return Err(not_connected(&node.name, &programs.said(&node.name, PASTA)));
            }
        }
        netns::leave().map_err(|e| Error::io("cannot leave the machine's network namespace", &e))?;
        Ok(())
    }

    fn program(&self, node: &Node, net: &Path, user: Option<&Path>) -> Program {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut argv: Vec<String> =
            std::iter::once(&PASTA).chain(&self.options).map(|&o| o.to_owned()).collect();
        argv.extend(["--ns-ifname".into(), node.uplink_name().to_string(), "--netns".into(), path(net)]);
        match user {
            Some(user) => argv.extend(["--userns".into(), path(user)]),
            None => argv.push("--netns-only".into()),
        }
        Program {
            name: PASTA.into(),
            argv,
            restart: Restart::Never,
            env: BTreeMap::new(),
            ready: None,
            after: Vec::new(),
        }
    }

    /// Waits for the uplink's interface to have an address and a default route of each family that the machine has a
    /// way out for. False when pasta ends first, or the time is over.
    fn wait_until_connected(
        &self,
        net: BorrowedFd<'_>,
        name: &IfName,
        pidfd: BorrowedFd<'_>,
    ) -> Result<bool> {
        let deadline = Instant::now() + CONNECTED_MAX;
        let waited = Traveller::run(|traveller| {
            traveller.enter(net)?;
            let mut asks = Socket::open(Protocol::Route)?;
            let mut events = Socket::open(Protocol::Route)?;
            GROUPS.iter().try_for_each(|group| events.join(*group))?;
            loop {
                if self.is_connected(&mut asks, name)? {
                    return Ok(true);
                }
                let left = deadline.saturating_duration_since(Instant::now());
                let mut fds = [events.as_fd(), pidfd].map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
                let count =
                    rustix::io::retry_on_intr(|| poll(&mut fds, Timespec::try_from(left).ok().as_ref()))?;
                let [has_events, has_ended] = fds.map(|fd| !fd.revents().is_empty());
                if has_ended || count == 0 {
                    return Ok(false);
                }
                if has_events {
                    match events.events(|_, _| {}) {
                        // Events were lost: what they told of is asked for anyway.
                        Err(error) if error.raw_os_error() != Some(NO_ROOM) => return Err(error),
                        _ => {}
                    }
                }
            }
        });
        waited.and_then(|result| result).map_err(|e| Error::io(format!("cannot wait for `{name}`"), &e))
    }

    fn is_connected(&self, socket: &mut Socket, name: &IfName) -> io::Result<bool> {
        let links = again(|| link::dump(socket))?;
        let Some(uplink) = links.iter().find(|link| link.name == name.as_str() && link.is_up()) else {
            return Ok(false);
        };
        let families: BTreeSet<bool> = again(|| address::dump(socket))?
            .iter()
            .filter(|address| address.index == uplink.index && !is_link_local(&address.address))
            .map(|address| address.address.addr().is_ipv6())
            .collect();
        let out = defaults(socket, Some(uplink.index))?;
        Ok(!families.is_empty()
            && self.ways_out.iter().all(|family| families.contains(family) && out.contains(family)))
    }
}

/// linux/rtnetlink.h `RTNLGRP_LINK`, `_IPV4_IFADDR`, `_IPV4_ROUTE`, `_IPV6_IFADDR`, `_IPV6_ROUTE`.
const GROUPS: [u32; 5] = [1, 5, 7, 9, 11];
const NO_ROOM: i32 = rustix::io::Errno::NOBUFS.raw_os_error();

/// The options for a pasta with this help: no way to the machine's own addresses and loopback, no ports passed on in
/// either direction, a configured interface.
fn options(help: &str) -> Vec<&'static str> {
    let mut options = vec!["--foreground", "--config-net", "--no-map-gw"];
    for closed in
        [["--tcp-ports", "none"], ["--udp-ports", "none"], ["--tcp-ns", "none"], ["--udp-ns", "none"]]
    {
        options.extend(closed);
    }
    // Of versions that know them; in others there is nothing to close.
    for closed in [["--map-host-loopback", "none"], ["--map-guest-addr", "none"]] {
        if help.contains(closed[0]) {
            options.extend(closed);
        }
    }
    // Versions without it write there anyway.
    if help.contains("--stderr") {
        options.push("--stderr");
    }
    options
}

/// The families in which the calling thread's network namespace has a default route; for IPv6 also an address with
/// it, without which pasta passes no IPv6.
fn ways_out() -> io::Result<BTreeSet<bool>> {
    let mut socket = Socket::open(Protocol::Route)?;
    let mut families = defaults(&mut socket, None)?;
    let addresses = again(|| address::dump(&mut socket))?;
    let is_global = |address: &address::Address| {
        let is_loopback = address.address.addr().is_loopback();
        address.address.addr().is_ipv6() && !is_link_local(&address.address) && !is_loopback
    };
    if !addresses.iter().any(is_global) {
        families.remove(&true);
    }
    Ok(families)
}

/// The families of the default routes, over one interface or any.
fn defaults(socket: &mut Socket, index: Option<u32>) -> std::result::Result<BTreeSet<bool>, Refusal> {
    let routes = again(|| route::dump(socket))?;
    let leads_out = |route: &&route::Route| {
        let is_over = route.hops.iter().any(|hop| index.is_none_or(|index| hop.index == index));
        route.to.prefix_len() == 0 && route.kind == route::RouteKind::Unicast && is_over
    };
    Ok(routes.iter().filter(leads_out).map(|route| route.to.addr().is_ipv6()).collect())
}

fn is_link_local(address: &ipnet::IpNet) -> bool {
    matches!(address, ipnet::IpNet::V6(address) if address.addr().is_unicast_link_local())
}

/// Binds a namespace to a path, which is how pasta is told of it.
fn publish(name: &str, ns: BorrowedFd<'_>) -> Result<PathBuf> {
    let path = Path::new(FOLDER).join(name);
    let source = PathBuf::from(format!("/proc/self/fd/{}", ns.as_raw_fd()));
    std::fs::create_dir_all(FOLDER)
        .and_then(|()| File::create(&path))
        .and_then(|_| mount::bind(&source, &path))
        .map_err(|e| Error::io(format!("cannot bind {}", path.display()), &e))?;
    Ok(path)
}

fn not_run(node: &Node, error: &io::Error) -> Error {
    if error.kind() == io::ErrorKind::NotFound {
        return Error::kernel("K008", "`pasta` is not installed")
            .note(format!("the uplink of node `{}` needs it", node.name))
            .help("`apt install passt`");
    }
    Error::kernel("K008", format!("cannot run `pasta`: {error}"))
}

fn not_connected(node: &NodeName, said: &str) -> Error {
    let title = format!("the uplink of node `{node}` did not come up");
    // Where no system logger runs, pasta says so again and again.
    let lines: Vec<&str> =
        said.lines().filter(|line| !line.contains("to syslog") && !line.is_empty()).collect();
    let last = lines.iter().skip(lines.len().saturating_sub(5));
    last.fold(Error::kernel("K014", title), |error, line| error.note(format!("pasta: {line}")))
        .help("pasta takes the machine's default route for its way out: see `ip route`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_the_machine_that_a_version_knows_is_closed() {
        let old = options("  -e, --stderr\n  --no-map-gw\n").join(" ");
        assert_eq!(
            old,
            "--foreground --config-net --no-map-gw --tcp-ports none --udp-ports none --tcp-ns none --udp-ns none \
             --stderr"
        );
        let new = options("  --map-host-loopback ADDR\n  --map-guest-addr ADDR\n").join(" ");
        assert!(new.ends_with("--map-host-loopback none --map-guest-addr none"), "{new}");
    }
}
