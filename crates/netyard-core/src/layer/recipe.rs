//! Layers that are known by name: the package sets of Kathara's images, and the commonest daemons.

/// What is built under a known name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipe {
    /// The layer's name.
    pub name: &'static str,
    /// Packages of Debian and Ubuntu.
    pub packages: &'static [&'static str],
    /// Files of the packages that are left out, as the image has it.
    pub without: &'static [&'static str],
}

/// With the package's own `frr.conf` FRR reads no file of a single daemon, which labs bring (KatharaFramework's image
/// removes it too).
const WITHOUT_FRR_CONF: &[&str] = &["/etc/frr/frr.conf"];

const FRR: &[&str] = &["frr", "frr-pythontools"];

/// Kathara's image `base` (KatharaFramework/Docker-Images, `base/Dockerfile`), as far as Debian has it.
const BASE: &[&str] = &[
    "apache2",
    "bind9",
    "bind9-dnsutils",
    "bridge-utils",
    "curl",
    "dnsmasq",
    "dsniff",
    "ethtool",
    "iperf3",
    "iproute2",
    "iptables",
    "iputils-arping",
    "iputils-ping",
    "iputils-tracepath",
    "isc-dhcp-client",
    "isc-dhcp-server",
    "less",
    "lsof",
    "nano",
    "net-tools",
    "netcat-openbsd",
    "nftables",
    "nmap",
    "openssh-client",
    "openssh-server",
    "procps",
    "python3",
    "radvd",
    "tcpdump",
    "telnet",
    "traceroute",
    "vim-tiny",
    "wget",
];

const RECIPES: &[Recipe] = &[
    Recipe { name: "apache2", packages: &["apache2"], without: &[] },
    Recipe { name: "bind9", packages: &["bind9", "bind9-dnsutils"], without: &[] },
    Recipe { name: "dnsmasq", packages: &["dnsmasq"], without: &[] },
    Recipe { name: "frr", packages: FRR, without: &[] },
    Recipe { name: "kathara/base", packages: BASE, without: &[] },
    Recipe { name: "kathara/bird", packages: &["bird2"], without: &[] },
    Recipe { name: "kathara/frr", packages: FRR, without: WITHOUT_FRR_CONF },
    Recipe { name: "kathara/openbgpd", packages: &["openbgpd"], without: &[] },
    Recipe { name: "kathara/quagga", packages: FRR, without: WITHOUT_FRR_CONF },
    Recipe { name: "kathara/sdn", packages: &["openvswitch-switch"], without: &[] },
    Recipe { name: "radvd", packages: &["radvd"], without: &[] },
];

/// All known layers, by name.
#[must_use]
pub fn recipes() -> &'static [Recipe] {
    RECIPES
}

/// What is built under this name; none where the packages must be told.
///
/// ```
/// assert_eq!(netyard_core::layer::recipe("kathara/frr").unwrap().packages[0], "frr");
/// assert!(netyard_core::layer::recipe("mine").is_none());
/// ```
#[must_use]
pub fn recipe(name: &str) -> Option<&'static Recipe> {
    RECIPES.iter().find(|recipe| recipe.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerName;
    use crate::layer::dpkg::is_package_name;

    #[test]
    fn recipes_are_in_order_with_good_names() {
        assert!(RECIPES.is_sorted_by_key(|recipe| recipe.name));
        for recipe in RECIPES {
            assert!(LayerName::new(recipe.name).is_ok(), "{}", recipe.name);
            assert!(recipe.packages.iter().all(|package| is_package_name(package)));
        }
    }
}
