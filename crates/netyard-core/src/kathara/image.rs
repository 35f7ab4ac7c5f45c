//! What the images of Kathara hold, and what stands for them here.

/// What stands for an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// Programs that any machine has, or gets from its packages as they are needed.
    Plain,
    /// A program of the machine's packages: what it is, a file of it, and the package of Debian.
    Package(&'static str, &'static str, &'static str),
    /// Quagga, which FRR takes the place of.
    Quagga,
    /// A picture of the network traffic in a browser.
    Wireshark,
    /// What it needs is in no package.
    Missing(&'static str),
    /// An image that is not Kathara's own.
    Foreign,
}

/// The program that runs instead of Quagga, and the package of Debian.
pub const FRR: Image = Image::Package("FRR", "/usr/lib/frr/zebra", "frr");

/// What stands for the image of that name; registry and tag do not count.
///
/// ```
/// use netyard_core::kathara::image::{Image, image};
/// assert_eq!(image("kathara/base"), Image::Plain);
/// assert!(matches!(image("kathara/frr:latest"), Image::Package("FRR", ..)));
/// assert!(matches!(image("docker.io/kathara/p4"), Image::Missing(_)));
/// assert_eq!(image("alpine"), Image::Foreign);
/// ```
#[must_use]
pub fn image(name: &str) -> Image {
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    let Some(own) = name.strip_prefix("kathara/") else {
        return if name.contains("wireshark") { Image::Wireshark } else { Image::Foreign };
    };
    match own.split(':').next().unwrap_or_default() {
        "base" | "netkit_base" | "core" => Image::Plain,
        "frr" => FRR,
        "quagga" | "quagga_v2" => Image::Quagga,
        "bind" => Image::Package("BIND", "/usr/sbin/named", "bind9"),
        "bird" => Image::Package("BIRD", "/usr/sbin/bird", "bird2"),
        "openbgpd" => Image::Package("OpenBGPD", "/usr/sbin/bgpd", "openbgpd"),
        "wireshark" => Image::Wireshark,
        "p4" => Image::Missing("the behavioural model of P4 (simple_switch) and its compiler (p4c)"),
        "pox" => Image::Missing("the controller POX and Open vSwitch"),
        "sdn" => Image::Missing("the controller Ryu and Open vSwitch"),
        "scion" => Image::Missing("the daemons of SCION"),
        "krill" => Image::Missing("Krill"),
        "routinator" => Image::Missing("Routinator"),
        "rpki-client" => Image::Missing("the RPKI client of OpenBSD"),
        "rift-python" => Image::Missing("RIFT in Python"),
        _ => Image::Foreign,
    }
}
