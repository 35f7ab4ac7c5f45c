//! Which package of Debian and Ubuntu brings a program, and as which users daemons run.

/// Program, package. Only what labs use and a machine may lack.
const PROGRAMS: &[(&str, &str)] = &[
    ("apache2", "apache2"),
    ("apache2ctl", "apache2"),
    ("apachectl", "apache2"),
    ("arping", "iputils-arping"),
    ("babeld", "frr"),
    ("bfdd", "frr"),
    ("bgpd", "frr"),
    ("bird", "bird2"),
    ("birdc", "bird2"),
    ("brctl", "bridge-utils"),
    ("conntrack", "conntrack"),
    ("curl", "curl"),
    ("delv", "bind9-dnsutils"),
    ("dhclient", "isc-dhcp-client"),
    ("dhcpcd", "dhcpcd5"),
    ("dhcpd", "isc-dhcp-server"),
    ("dig", "bind9-dnsutils"),
    ("dnsmasq", "dnsmasq"),
    ("ethtool", "ethtool"),
    ("fabricd", "frr"),
    ("frr-reload.py", "frr-pythontools"),
    ("frrinit.sh", "frr"),
    ("haproxy", "haproxy"),
    ("host", "bind9-host"),
    ("hping3", "hping3"),
    ("ip", "iproute2"),
    ("iperf", "iperf"),
    ("iperf3", "iperf3"),
    ("iptables", "iptables"),
    ("ipvsadm", "ipvsadm"),
    ("isisd", "frr"),
    ("keepalived", "keepalived"),
    ("ldpd", "frr"),
    ("lighttpd", "lighttpd"),
    ("mtr", "mtr-tiny"),
    ("named", "bind9"),
    ("named-checkconf", "bind9-utils"),
    ("nc", "netcat-openbsd"),
    ("nft", "nftables"),
    ("nginx", "nginx-light"),
    ("nmap", "nmap"),
    ("nslookup", "bind9-dnsutils"),
    ("nsupdate", "bind9-dnsutils"),
    ("ntpd", "ntpsec"),
    ("openvpn", "openvpn"),
    ("ospf6d", "frr"),
    ("ospfd", "frr"),
    ("ovs-vsctl", "openvswitch-switch"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("pasta", "passt"),
    ("pathd", "frr"),
    ("pbrd", "frr"),
    ("pim6d", "frr"),
    ("pimd", "frr"),
    ("ping", "iputils-ping"),
    ("python3", "python3"),
    ("radvd", "radvd"),
    ("ripd", "frr"),
    ("ripngd", "frr"),
    ("rndc", "bind9-utils"),
    ("socat", "socat"),
    ("squid", "squid"),
    ("ss", "iproute2"),
    ("sshd", "openssh-server"),
    ("staticd", "frr"),
    ("tc", "iproute2"),
    ("tcpdump", "tcpdump"),
    ("telnet", "telnet"),
    ("tracepath", "iputils-tracepath"),
    ("traceroute", "traceroute"),
    ("tshark", "tshark"),
    ("unbound", "unbound"),
    ("vrrpd", "frr"),
    ("vtysh", "frr"),
    ("watchfrr", "frr"),
    ("wg", "wireguard-tools"),
    ("wget", "wget"),
    ("zebra", "frr"),
];

/// Package, user as whom its daemons run.
const USERS: &[(&str, &str)] = &[
    ("apache2", "www-data"),
    ("bind9", "bind"),
    ("bird2", "bird"),
    ("dnsmasq", "dnsmasq"),
    ("frr", "frr"),
    ("haproxy", "haproxy"),
    ("lighttpd", "www-data"),
    ("nginx-light", "www-data"),
    ("openssh-server", "sshd"),
    ("radvd", "radvd"),
    ("squid", "proxy"),
    ("unbound", "unbound"),
];

/// The package that brings a program, told by its file name or path; none for a program that is not known.
///
/// ```
/// use netyard_core::layer::package_of;
/// assert_eq!(package_of("/usr/lib/frr/zebra"), Some("frr"));
/// assert_eq!(package_of("dig"), Some("bind9-dnsutils"));
/// assert_eq!(package_of("my-server"), None);
/// ```
#[must_use]
pub fn package_of(program: &str) -> Option<&'static str> {
    let name = program.rsplit('/').next()?;
    let at = PROGRAMS.binary_search_by_key(&name, |(program, _)| program).ok()?;
    Some(PROGRAMS[at].1)
}

/// The user as whom a daemon runs once it has begun; none for programs that stay who they are.
///
/// ```
/// assert_eq!(netyard_core::layer::user_of("named"), Some("bind"));
/// assert_eq!(netyard_core::layer::user_of("dig"), None);
/// ```
#[must_use]
pub fn user_of(program: &str) -> Option<&'static str> {
    let package = package_of(program)?;
    USERS.iter().find(|(other, _)| *other == package).map(|(_, user)| *user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::dpkg::is_package_name;

    #[test]
    fn tables_can_be_searched() {
        assert!(PROGRAMS.is_sorted_by_key(|(program, _)| program));
        assert!(PROGRAMS.iter().all(|(_, package)| is_package_name(package)));
        for (package, _) in USERS {
            assert!(PROGRAMS.iter().any(|(_, other)| other == package), "{package}");
        }
    }
}
