//! Rules as the expressions that nft(8) makes of the same words.
//!
//! The sequence and the registers are nft's own, so that `nft list ruleset` recognises them: a match on an IP address
//! in a table of several families is preceded by one on the version of IP, a match on a port by one on the protocol,
//! and each such dependency is written once (nftables src/payload.c, src/netlink_linearize.c).

use super::expression::{Expression, Load, REG_1, REG_2, Verdict, number::*};
use ipnet::IpNet;
use netyard_core::name::IfName;
use netyard_core::nft::{Action, CtStates, Family, Match, Ports, Protocol, Rule};
use std::net::{IpAddr, SocketAddr};

/// Bytes of a padded interface name (linux/if.h `IFNAMSIZ`).
const IFNAME_SIZE: usize = 16;
/// The kernel's limit for one rule (net/netfilter/nf_tables_api.c `NFT_RULE_MAXEXPRS`).
const EXPRESSIONS_MAX: usize = 128;
/// `RTN_LOCAL` of linux/rtnetlink.h.
const TYPE_LOCAL: u32 = 2;
/// `IPS_DST_NAT` of linux/netfilter/nf_conntrack_common.h.
const STATUS_DNAT: u32 = 1 << 5;
/// The flags byte of a TCP header, and in it SYN and RST (RFC 9293 3.1).
const TCP_FLAGS_OFFSET: u32 = 13;
const TCP_SYN: u8 = 0x02;
const TCP_RST: u8 = 0x04;
/// Maximum segment size (RFC 9293 3.2): kind, length, then the size in two bytes.
pub(super) const TCPOPT_MAXSEG: u8 = 2;

/// The expressions of a rule.
///
/// # Errors
/// Words for a rule that nft would not take in a table of this family.
pub(super) fn expressions(family: Family, rule: &Rule) -> Result<Vec<Expression>, String> {
    let rule = rule.canonical();
    let mut encoder = Encoder { family, ip_version: None, protocol: None, list: Vec::with_capacity(12) };
    for condition in &rule.matches {
        encoder.condition(condition)?;
    }
    if rule.counts {
        encoder.list.push(Expression::Counter);
    }
    encoder.action(&rule.action)?;
    match encoder.list.len() {
        0..=EXPRESSIONS_MAX => Ok(encoder.list),
        len => Err(format!("{len} expressions; a rule may have {EXPRESSIONS_MAX}")),
    }
}

/// A rule that is being written, and what its expressions so far have made certain.
struct Encoder {
    family: Family,
    ip_version: Option<u8>,
    protocol: Option<Protocol>,
    list: Vec<Expression>,
}

impl Encoder {
    fn condition(&mut self, condition: &Match) -> Result<(), String> {
        match condition {
            Match::InterfaceIn(name) => self.interface(META_IIFNAME, EQUAL, name),
            Match::InterfaceOut(name) => self.interface(META_OIFNAME, EQUAL, name),
            Match::InterfaceOutNot(name) => self.interface(META_OIFNAME, NOT_EQUAL, name),
            Match::Source(prefix) => self.address(*prefix, [12, 8])?,
            Match::Destination(prefix) => self.address(*prefix, [16, 24])?,
            Match::Protocol(protocol) => {
                self.compare(Load::Meta(META_L4PROTO), &[protocol.number()]);
                self.protocol = self.protocol.or(Some(*protocol));
            }
            Match::SourcePort(protocol, ports) => self.ports(*protocol, *ports, 0)?,
            Match::DestinationPort(protocol, ports) => self.ports(*protocol, *ports, 2)?,
            Match::CtState(states) => {
                let bits = ct_state_bits(*states);
                if bits == 0 {
                    return Err("`ct state` without a state".to_owned());
                }
                self.any_bit(CT_STATE, bits);
            }
            Match::CtStatusDnat => self.any_bit(CT_STATUS, STATUS_DNAT),
            Match::DestinationLocal => {
                let what = Load::Fib { result: FIB_ADDRESS_TYPE, flags: FIB_DESTINATION };
                self.compare(what, &TYPE_LOCAL.to_ne_bytes());
            }
            Match::IcmpType(protocol, number) => {
                let version = match protocol {
                    Protocol::Icmp => 4,
                    Protocol::Icmpv6 => 6,
                    other => return Err(format!("{other} has no types; only icmp and icmpv6 have")),
                };
                self.need_ip(version, Network::OfIcmp)?;
                self.need_protocol(*protocol)?;
                self.compare(transport(0, 1), &[*number]);
            }
            Match::TcpSyn => {
                self.need_protocol(Protocol::Tcp)?;
                self.load(transport(TCP_FLAGS_OFFSET, 1));
                self.mask(&[TCP_SYN | TCP_RST]);
                self.check(EQUAL, &[TCP_SYN]);
            }
            Match::Other(words) => {
                return Err(format!("`{words}` was read from a kernel and cannot be written"));
            }
        }
        Ok(())
    }

    fn action(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Continue => self.verdict(VERDICT_CONTINUE, None),
            Action::Accept => self.verdict(VERDICT_ACCEPT, None),
            Action::Drop => self.verdict(VERDICT_DROP, None),
            Action::Jump(chain) => self.verdict(VERDICT_JUMP, Some(chain)),
            Action::Return => self.verdict(VERDICT_RETURN, None),
            Action::Reject => {
                let reject = reject(self.family, self.ip_version);
                self.list.push(reject.ok_or_else(|| format!("no reject in family {}", self.family))?);
            }
            Action::Masquerade => self.list.push(Expression::Masquerade { flags: 0, ports: None }),
            Action::Snat(addr) => self.nat(SNAT, SocketAddr::new(*addr, 0))?,
            Action::Dnat(to) => self.nat(DNAT, *to)?,
            Action::ClampMss => {
                self.load(Load::Route(RT_TCPMSS));
                self.list.push(Expression::ToNetworkOrder { register: REG_1, len: 2, size: 2 });
                let option = TCPOPT_MAXSEG;
                self.list.push(Expression::WriteTcpOption { register: REG_1, option, offset: 2, len: 2 });
            }
            Action::Other(words) => {
                return Err(format!("`{words}` was read from a kernel and cannot be written"));
            }
        }
        Ok(())
    }

    fn interface(&mut self, key: u32, op: u32, name: &IfName) {
        let mut padded = [0; IFNAME_SIZE];
        padded[..name.as_str().len()].copy_from_slice(name.as_str().as_bytes());
        self.load(Load::Meta(key));
        self.check(op, &padded);
    }

    /// Compares an address with a prefix: whole bytes are loaded as they are, other lengths are masked.
    fn address(&mut self, prefix: IpNet, offsets: [u32; 2]) -> Result<(), String> {
        let (version, offset) = if prefix.addr().is_ipv4() { (4, offsets[0]) } else { (6, offsets[1]) };
        self.need_ip(version, Network::OfAddress)?;
        let address = octets(prefix.addr());
        let bits = usize::from(prefix.prefix_len());
        let len = if bits > 0 && bits.is_multiple_of(8) { bits / 8 } else { address.len() };
        let loaded = u32::try_from(len).expect("an address has at most 16 bytes");
        self.load(Load::Payload { base: NETWORK_HEADER, offset, len: loaded });
        if len * 8 != bits {
            self.mask(&octets(prefix.netmask()));
        }
        self.check(EQUAL, &address[..len]);
        Ok(())
    }

    fn ports(&mut self, protocol: Protocol, ports: Ports, offset: u32) -> Result<(), String> {
        if !has_ports(protocol) {
            return Err(format!("{protocol} has no ports"));
        }
        if ports.first > ports.last {
            return Err(format!("the port range {ports} is empty"));
        }
        self.need_protocol(protocol)?;
        self.load(transport(offset, 2));
        if ports.first == ports.last {
            self.check(EQUAL, &ports.first.to_be_bytes());
        } else {
            self.check(AT_LEAST, &ports.first.to_be_bytes());
            self.check(AT_MOST, &ports.last.to_be_bytes());
        }
        Ok(())
    }

    fn nat(&mut self, kind: u32, to: SocketAddr) -> Result<(), String> {
        let version = if to.is_ipv4() { 4 } else { 6 };
        let is_family_wrong =
            matches!((self.family, version), (Family::Ip, 6) | (Family::Ip6, 4) | (Family::Arp, _));
        if is_family_wrong || self.ip_version.is_some_and(|known| known != version) {
            return Err(format!("{} is an address of another family than this rule's", to.ip()));
        }
        let value = octets(to.ip());
        self.list.push(Expression::Immediate { to: REG_1, value });
        let mut ports = None;
        if to.port() != 0 {
            if !self.protocol.is_some_and(has_ports) {
                let words = "a port is only valid after a match on a transport protocol (tcp or udp)";
                return Err(words.to_owned());
            }
            self.list.push(Expression::Immediate { to: REG_2, value: to.port().to_be_bytes().to_vec() });
            ports = Some((REG_2, REG_2));
        }
        let flags = if ports.is_some() { RANGE_PORTS } else { 0 };
        let addresses = Some((REG_1, REG_1));
        self.list.push(Expression::Nat { kind, family: nfproto(version).into(), addresses, ports, flags });
        Ok(())
    }

    /// Makes certain that the packet is of this version of IP.
    fn need_ip(&mut self, version: u8, network: Network) -> Result<(), String> {
        let certain = match self.family {
            Family::Ip => Some(4),
            Family::Ip6 => Some(6),
            _ => self.ip_version,
        };
        match (self.family, certain) {
            (Family::Arp, _) => return Err("a table of family arp sees no IP packets".to_owned()),
            (_, Some(known)) if known == version => {}
            (_, Some(_)) => return Err("conflicting protocols: ip and ip6".to_owned()),
            (Family::Inet, None) => self.compare(Load::Meta(META_NFPROTO), &[nfproto(version)]),
            (_, None) => {
                let ethertype: u16 = if version == 4 { 0x0800 } else { 0x86dd };
                let what = match (self.family, network) {
                    (Family::Bridge, Network::OfIcmp) => {
                        Load::Payload { base: LINK_HEADER, offset: 12, len: 2 }
                    }
                    _ => Load::Meta(META_PROTOCOL),
                };
                self.compare(what, &ethertype.to_be_bytes());
            }
        }
        self.ip_version = Some(version);
        Ok(())
    }

    /// Makes certain that the packet is of this transport protocol.
    fn need_protocol(&mut self, protocol: Protocol) -> Result<(), String> {
        match self.protocol {
            Some(known) if known == protocol => {}
            Some(known) => return Err(format!("conflicting protocols: {known} and {protocol}")),
            None => self.compare(Load::Meta(META_L4PROTO), &[protocol.number()]),
        }
        self.protocol = Some(protocol);
        Ok(())
    }

    fn any_bit(&mut self, key: u32, bits: u32) {
        self.load(Load::Ct { key, direction: None });
        self.mask(&bits.to_ne_bytes());
        self.check(NOT_EQUAL, &[0; 4]);
    }

    fn compare(&mut self, what: Load, value: &[u8]) {
        self.load(what);
        self.check(EQUAL, value);
    }

    fn load(&mut self, what: Load) {
        self.list.push(Expression::Load { what, to: REG_1 });
    }

    fn mask(&mut self, mask: &[u8]) {
        let xor = vec![0; mask.len()];
        self.list.push(Expression::Mask { register: REG_1, mask: mask.to_vec(), xor });
    }

    fn check(&mut self, op: u32, value: &[u8]) {
        self.list.push(Expression::Compare { register: REG_1, op, value: value.to_vec() });
    }

    fn verdict(&mut self, code: i32, chain: Option<&String>) {
        self.list.push(Expression::Verdict(Verdict { code, chain: chain.cloned() }));
    }
}

/// What a dependency on the version of IP is for: nft writes it in two ways in a bridge table.
#[derive(Clone, Copy)]
enum Network {
    OfAddress,
    OfIcmp,
}

/// What `reject` without further words is where this version of IP is certain; none where nft has no reject.
pub(super) fn reject(family: Family, ip_version: Option<u8>) -> Option<Expression> {
    const ICMP_PORT_UNREACHABLE: u8 = 3;
    const ICMPV6_PORT_UNREACHABLE: u8 = 4;
    let certain = match family {
        Family::Arp => return None,
        Family::Ip => Some(4),
        Family::Ip6 => Some(6),
        _ => ip_version,
    };
    Some(match certain {
        Some(4) => Expression::Reject { kind: REJECT_ICMP, code: ICMP_PORT_UNREACHABLE },
        Some(_) => Expression::Reject { kind: REJECT_ICMP, code: ICMPV6_PORT_UNREACHABLE },
        None => Expression::Reject { kind: REJECT_ICMPX, code: ICMPX_PORT_UNREACHABLE },
    })
}

/// The bits of `ct state` (linux/netfilter/nf_conntrack_common.h `NF_CT_STATE_*`).
pub(super) fn ct_state_bits(states: CtStates) -> u32 {
    let CtStates { invalid, established, related, new, untracked } = states;
    [(invalid, 1), (established, 2), (related, 4), (new, 8), (untracked, 64)]
        .into_iter()
        .filter(|(is_in, _)| *is_in)
        .map(|(_, bit)| bit)
        .sum()
}

/// `NFPROTO_IPV4` or `NFPROTO_IPV6` (linux/netfilter.h).
fn nfproto(version: u8) -> u8 {
    if version == 4 { 2 } else { 10 }
}

fn has_ports(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Tcp | Protocol::Udp)
}

fn transport(offset: u32, len: u32) -> Load {
    Load::Payload { base: TRANSPORT_HEADER, offset, len }
}

fn octets(addr: IpAddr) -> Vec<u8> {
    match addr {
        IpAddr::V4(addr) => addr.octets().to_vec(),
        IpAddr::V6(addr) => addr.octets().to_vec(),
    }
}
