//! The same star as shell scripts: `ip -batch`, and one `ip` for each command as the talk types them.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::PathBuf;

/// A script in a file, which goes with this value.
pub struct Script {
    file: PathBuf,
}

impl Script {
    /// What to run inside the sandbox: bash with network and mount namespaces of its own, which end with it.
    pub fn program(&self) -> [&str; 5] {
        ["unshare", "--net", "--mount", "bash", self.file.to_str().unwrap_or_default()]
    }

    fn new(name: &str, text: &str) -> io::Result<Self> {
        let file = std::env::temp_dir().join(format!("netyard-bench-{}-{name}.sh", std::process::id()));
        // The names of `ip netns` go with the mount namespace, and so do the namespaces.
        fs::write(&file, format!("set -e\nmount -t tmpfs tmpfs /run\n{text}"))?;
        Ok(Self { file })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}

const BRIDGE: &str = "ip link add lan type bridge\nip link set lan up\n";
const ROUTER: &str = "\
ip netns exec router ip link set lo up
ip netns exec router ip address add 10.0.3.254/22 dev eth0
ip netns exec router ip link set eth0 up
ip link add eth1 netns router type veth peer name isp0
ip netns exec router ip address add 10.138.0.3/24 dev eth1
ip netns exec router ip link set eth1 up
ip link set isp0 up
ip netns exec router bash -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'
ip netns exec router nft -f - <<'NFT'
table inet floor {
  chain postrouting {
    type nat hook postrouting priority srcnat
    ip saddr 10.0.0.0/22 oifname \"eth1\" masquerade
  }
}
NFT
";

/// How a cable gets into a namespace.
#[derive(Clone, Copy)]
pub enum Cabling {
    /// The pair is made outside and one end moved, as everybody types it.
    Moved,
    /// Each end is made where it belongs: as quick as `ip` can be.
    InPlace,
}

impl Cabling {
    fn commands(self, number: u32, node: &str) -> String {
        match self {
            Self::Moved => format!(
                "link add p{number} type veth peer name t{number}\nlink set t{number} netns {node} name eth0\n\
                 link set p{number} master lan up\n"
            ),
            Self::InPlace => {
                format!("link add p{number} master lan up type veth peer name eth0 netns {node}\n")
            }
        }
    }
}

/// Every namespace and cable by one `ip -batch`, then one `ip -batch` inside each namespace. Waits for no link.
pub fn batch(hosts: u32, cabling: Cabling) -> io::Result<Script> {
    let mut links = String::new();
    let mut inside = String::new();
    for number in 1..=hosts {
        let node = format!("h{number}");
        let _ = write!(links, "netns add {node}\n{}", cabling.commands(number, &node));
        let _ = writeln!(
            inside,
            "ip -n h{number} -batch - <<'IP'\nlink set lo up\naddress add {} dev eth0\nlink set eth0 up\nroute add default via 10.0.3.254\nIP",
            address(number)
        );
    }
    let router = format!("netns add router\n{}", cabling.commands(0, "router"));
    let name = match cabling {
        Cabling::Moved => "batch",
        Cabling::InPlace => "batch-in-place",
    };
    Script::new(name, &format!("{BRIDGE}ip -batch - <<'IP'\n{links}{router}IP\n{inside}{ROUTER}"))
}

/// As the talk types it: a pair is made here, one end moved away, the other put into the bridge.
pub fn one_by_one(hosts: u32) -> io::Result<Script> {
    let mut text = BRIDGE.to_owned();
    let add = |text: &mut String, node: &str, port: &str| {
        let _ = writeln!(
            text,
            "ip netns add {node}
ip link add name eth0 type veth peer name {port}
ip link set eth0 netns {node}
ip link set {port} master lan
ip link set {port} up"
        );
    };
    for number in 1..=hosts {
        let node = format!("h{number}");
        add(&mut text, &node, &format!("p{number}"));
        let own = address(number);
        let _ = writeln!(
            text,
            "ip netns exec {node} ip link set lo up
ip netns exec {node} ip address add {own} dev eth0
ip netns exec {node} ip link set eth0 up
ip netns exec {node} ip route add default via 10.0.3.254"
        );
    }
    add(&mut text, "router", "p0");
    Script::new("one-by-one", &format!("{text}{ROUTER}"))
}

fn address(number: u32) -> String {
    format!("10.0.{}.{}/22", number / 256, number % 256)
}
