//! The instructions of the nf_tables virtual machine, as attributes and as values.
//!
//! A rule is a list of expressions. Each loads something into a register, changes or compares a register, or acts.
//! Register 0 is the verdict, 1 to 4 hold 16 bytes each. Layouts are those of linux/netfilter/nf_tables.h; numbers
//! of attributes and values are in network order.

use crate::netlink::message::{Attributes, Nest};

/// The first data register (`NFT_REG_1`).
pub(super) const REG_1: u32 = 1;
/// The second data register (`NFT_REG_2`).
pub(super) const REG_2: u32 = 2;
/// The first of the registers of four bytes (`NFT_REG32_00`): the same memory, in finer steps.
const REG32_00: u32 = 8;

/// Numbers of linux/netfilter/nf_tables.h, by the enum that they are of.
pub(super) mod number {
    /// `enum nft_meta_keys`
    pub const META_PROTOCOL: u32 = 1;
    pub const META_IIFNAME: u32 = 6;
    pub const META_OIFNAME: u32 = 7;
    pub const META_NFPROTO: u32 = 15;
    pub const META_L4PROTO: u32 = 16;
    /// `enum nft_ct_keys`
    pub const CT_STATE: u32 = 0;
    pub const CT_STATUS: u32 = 2;
    /// `enum nft_payload_bases`
    pub const LINK_HEADER: u32 = 0;
    pub const NETWORK_HEADER: u32 = 1;
    pub const TRANSPORT_HEADER: u32 = 2;
    /// `enum nft_cmp_ops`
    pub const EQUAL: u32 = 0;
    pub const NOT_EQUAL: u32 = 1;
    pub const AT_MOST: u32 = 3;
    pub const AT_LEAST: u32 = 5;
    /// `enum nft_fib_result`, `enum nft_fib_flags`
    pub const FIB_ADDRESS_TYPE: u32 = 3;
    pub const FIB_DESTINATION: u32 = 2;
    /// `enum nft_rt_keys`
    pub const RT_TCPMSS: u32 = 3;
    /// `enum nft_exthdr_op`
    pub const TCP_OPTION: u32 = 1;
    /// `enum nft_nat_types`
    pub const SNAT: u32 = 0;
    pub const DNAT: u32 = 1;
    /// `enum nft_reject_types`
    pub const REJECT_ICMP: u32 = 0;
    pub const REJECT_ICMPX: u32 = 2;
    /// `enum nft_reject_inet_code`
    pub const ICMPX_PORT_UNREACHABLE: u8 = 1;
    /// `NF_NAT_RANGE_*` of linux/netfilter/nf_nat.h
    pub const RANGE_ADDRESSES: u32 = 1;
    pub const RANGE_PORTS: u32 = 2;
    /// `enum nf_inet_hooks`, `enum nft_verdicts`
    pub const VERDICT_DROP: i32 = 0;
    pub const VERDICT_ACCEPT: i32 = 1;
    pub const VERDICT_CONTINUE: i32 = -1;
    pub const VERDICT_JUMP: i32 = -3;
    pub const VERDICT_GOTO: i32 = -4;
    pub const VERDICT_RETURN: i32 = -5;
}
use number::*;

/// One expression. Those with a name of their own are all that this crate writes, and the frequent ones that it
/// reads; any other stays as the bytes of its attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expression {
    Load {
        what: Load,
        to: u32,
    },
    Compare {
        register: u32,
        op: u32,
        value: Vec<u8>,
    },
    Range {
        register: u32,
        op: u32,
        first: Vec<u8>,
        last: Vec<u8>,
    },
    Mask {
        register: u32,
        mask: Vec<u8>,
        xor: Vec<u8>,
    },
    ToNetworkOrder {
        register: u32,
        len: u32,
        size: u32,
    },
    Lookup {
        set: String,
        register: u32,
        to: Option<u32>,
        is_inverted: bool,
    },
    Immediate {
        to: u32,
        value: Vec<u8>,
    },
    Verdict(Verdict),
    Counter,
    Masquerade {
        flags: u32,
        ports: Option<(u32, u32)>,
    },
    Nat {
        kind: u32,
        family: u32,
        addresses: Option<(u32, u32)>,
        ports: Option<(u32, u32)>,
        flags: u32,
    },
    Reject {
        kind: u32,
        code: u8,
    },
    /// A write of `len` bytes at `offset` of the TCP option `option`.
    WriteTcpOption {
        register: u32,
        option: u8,
        offset: u32,
        len: u32,
    },
    Other {
        name: String,
        attributes: Vec<u8>,
    },
}

/// What is loaded into a register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Load {
    Meta(u32),
    Ct { key: u32, direction: Option<u8> },
    Payload { base: u32, offset: u32, len: u32 },
    Fib { result: u32, flags: u32 },
    Route(u32),
}

/// What happens to the packet, and the chain for a jump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub code: i32,
    pub chain: Option<String>,
}

impl Expression {
    /// Appends the expression as one `NFTA_LIST_ELEM`.
    pub fn put(&self, list: &mut Nest<'_>) {
        const NFTA_LIST_ELEM: u16 = 1;
        const NFTA_EXPR_NAME: u16 = 1;
        const NFTA_EXPR_DATA: u16 = 2;
        let mut element = list.nest(NFTA_LIST_ELEM);
        element.put_str(NFTA_EXPR_NAME, self.name());
        self.put_attributes(&mut element.nest(NFTA_EXPR_DATA));
    }

    fn name(&self) -> &str {
        match self {
            Self::Load { what: Load::Meta(_), .. } => "meta",
            Self::Load { what: Load::Ct { .. }, .. } => "ct",
            Self::Load { what: Load::Payload { .. }, .. } => "payload",
            Self::Load { what: Load::Fib { .. }, .. } => "fib",
            Self::Load { what: Load::Route(_), .. } => "rt",
            Self::Compare { .. } => "cmp",
            Self::Range { .. } => "range",
            Self::Mask { .. } => "bitwise",
            Self::ToNetworkOrder { .. } => "byteorder",
            Self::Lookup { .. } => "lookup",
            Self::Immediate { .. } | Self::Verdict(_) => "immediate",
            Self::Counter => "counter",
            Self::Masquerade { .. } => "masq",
            Self::Nat { .. } => "nat",
            Self::Reject { .. } => "reject",
            Self::WriteTcpOption { .. } => "exthdr",
            Self::Other { name, .. } => name,
        }
    }

    /// The attributes inside `NFTA_EXPR_DATA`; the numbers are `enum nft_*_attributes`.
    fn put_attributes(&self, to: &mut Nest<'_>) {
        match self {
            Self::Load { what, to: register } => put_load(to, what, *register),
            Self::Compare { register, op, value } => {
                to.put_be32(1, *register);
                to.put_be32(2, *op);
                put_value(to, 3, value);
            }
            Self::Range { register, op, first, last } => {
                to.put_be32(1, *register);
                to.put_be32(2, *op);
                put_value(to, 3, first);
                put_value(to, 4, last);
            }
            Self::Mask { register, mask, xor } => {
                to.put_be32(1, *register);
                to.put_be32(2, *register);
                to.put_be32(3, u32::try_from(mask.len()).expect("a register holds 16 bytes"));
                put_value(to, 4, mask);
                put_value(to, 5, xor);
            }
            Self::ToNetworkOrder { register, len, size } => {
                to.put_be32(1, *register);
                to.put_be32(2, *register);
                to.put_be32(3, 1); // NFT_BYTEORDER_HTON
                to.put_be32(4, *len);
                to.put_be32(5, *size);
            }
            Self::Lookup { set, register, to: result, is_inverted } => {
                to.put_str(1, set);
                to.put_be32(2, *register);
                if let Some(result) = result {
                    to.put_be32(3, *result);
                }
                to.put_be32(5, u32::from(*is_inverted));
            }
            Self::Immediate { to: register, value } => {
                to.put_be32(1, *register);
                put_value(to, 2, value);
            }
            Self::Verdict(verdict) => {
                to.put_be32(1, 0); // NFT_REG_VERDICT
                let mut data = to.nest(2);
                let mut inner = data.nest(2); // NFTA_DATA_VERDICT
                inner.put_be32(1, verdict.code.cast_unsigned());
                if let Some(chain) = &verdict.chain {
                    inner.put_str(2, chain);
                }
            }
            Self::Counter => {}
            Self::Masquerade { flags, ports } => {
                if *flags != 0 {
                    to.put_be32(1, *flags);
                }
                put_pair(to, 2, *ports);
            }
            Self::Nat { kind, family, addresses, ports, flags } => {
                to.put_be32(1, *kind);
                to.put_be32(2, *family);
                put_pair(to, 3, *addresses);
                put_pair(to, 5, *ports);
                if *flags != 0 {
                    to.put_be32(7, *flags);
                }
            }
            Self::Reject { kind, code } => {
                to.put_be32(1, *kind);
                to.put_u8(2, *code);
            }
            Self::WriteTcpOption { register, option, offset, len } => {
                to.put_be32(7, *register);
                to.put_u8(2, *option);
                to.put_be32(3, *offset);
                to.put_be32(4, *len);
                to.put_be32(6, TCP_OPTION);
            }
            Self::Other { attributes, .. } => to.put_raw(attributes),
        }
    }

    /// The expression in one `NFTA_LIST_ELEM`; unknown or incomplete ones become [`Expression::Other`].
    pub fn read(element: Attributes<'_>) -> Self {
        let name = element.str(1).unwrap_or("?");
        let data = element.nested(2);
        read_known(name, data)
            .unwrap_or_else(|| Self::Other { name: name.to_owned(), attributes: data.0.to_vec() })
    }
}

fn put_value(to: &mut Nest<'_>, kind: u16, value: &[u8]) {
    const NFTA_DATA_VALUE: u16 = 1;
    to.nest(kind).put(NFTA_DATA_VALUE, value);
}

/// Two registers, the second only where it differs, as nft does.
fn put_pair(to: &mut Nest<'_>, kind: u16, pair: Option<(u32, u32)>) {
    let Some((min, max)) = pair else { return };
    to.put_be32(kind, min);
    if max != min {
        to.put_be32(kind + 1, max);
    }
}

fn put_load(to: &mut Nest<'_>, what: &Load, register: u32) {
    to.put_be32(1, register);
    match what {
        Load::Meta(key) | Load::Route(key) => to.put_be32(2, *key),
        Load::Ct { key, direction } => {
            to.put_be32(2, *key);
            if let Some(direction) = direction {
                to.put_u8(3, *direction);
            }
        }
        Load::Payload { base, offset, len } => {
            to.put_be32(2, *base);
            to.put_be32(3, *offset);
            to.put_be32(4, *len);
        }
        Load::Fib { result, flags } => {
            to.put_be32(2, *result);
            to.put_be32(3, *flags);
        }
    }
}

fn read_known(name: &str, data: Attributes<'_>) -> Option<Expression> {
    let register = || Some(four_byte_register(data.be32(1)?));
    Some(match name {
        "meta" | "ct" | "payload" | "fib" | "rt" => {
            Expression::Load { what: read_load(name, data)?, to: register()? }
        }
        "cmp" => {
            Expression::Compare { register: register()?, op: data.be32(2)?, value: read_value(data, 3)? }
        }
        "range" => Expression::Range {
            register: register()?,
            op: data.be32(2)?,
            first: read_value(data, 3)?,
            last: read_value(data, 4)?,
        },
        // The operation, attribute 6, is 0 for mask and xor; shifts are others.
        "bitwise" if data.be32(6).unwrap_or(0) == 0 && data.be32(1) == data.be32(2) => {
            Expression::Mask { register: register()?, mask: read_value(data, 4)?, xor: read_value(data, 5)? }
        }
        "byteorder" if data.be32(3)? == 1 && data.be32(1) == data.be32(2) => {
            Expression::ToNetworkOrder { register: register()?, len: data.be32(4)?, size: data.be32(5)? }
        }
        "lookup" => Expression::Lookup {
            set: data.str(1)?.to_owned(),
            register: four_byte_register(data.be32(2)?),
            to: data.be32(3).map(four_byte_register),
            is_inverted: data.be32(5).unwrap_or(0) & 1 != 0,
        },
        "immediate" => match read_verdict(data.nested(2)) {
            Some(verdict) => Expression::Verdict(verdict),
            None => Expression::Immediate { to: register()?, value: read_value(data, 2)? },
        },
        "counter" => Expression::Counter,
        "masq" => Expression::Masquerade { flags: data.be32(1).unwrap_or(0), ports: read_pair(data, 2) },
        "nat" => Expression::Nat {
            kind: data.be32(1)?,
            family: data.be32(2)?,
            addresses: read_pair(data, 3),
            ports: read_pair(data, 5),
            flags: data.be32(7).unwrap_or(0),
        },
        "reject" => Expression::Reject { kind: data.be32(1)?, code: data.u8(2).unwrap_or(0) },
        "exthdr" if data.be32(6) == Some(TCP_OPTION) && data.be32(1).is_none() => {
            Expression::WriteTcpOption {
                register: four_byte_register(data.be32(7)?),
                option: data.u8(2)?,
                offset: data.be32(3)?,
                len: data.be32(4)?,
            }
        }
        _ => return None,
    })
}

fn read_load(name: &str, data: Attributes<'_>) -> Option<Load> {
    data.be32(1)?; // Without a register to load into it is a write, which has no value of its own here.
    Some(match name {
        "meta" => Load::Meta(data.be32(2)?),
        "ct" => Load::Ct { key: data.be32(2)?, direction: data.u8(3) },
        "payload" => Load::Payload { base: data.be32(2)?, offset: data.be32(3)?, len: data.be32(4)? },
        "fib" => Load::Fib { result: data.be32(2)?, flags: data.be32(3)? },
        _ => Load::Route(data.be32(2)?),
    })
}

/// The bytes in a nested `NFTA_DATA_VALUE`; at most what the registers hold.
pub(super) fn read_value(data: Attributes<'_>, kind: u16) -> Option<Vec<u8>> {
    const REGISTERS_LEN: usize = 64;
    data.nested(kind).get(1).filter(|v| v.len() <= REGISTERS_LEN).map(<[u8]>::to_vec)
}

/// The verdict in `NFTA_DATA_VERDICT`.
pub(super) fn read_verdict(data: Attributes<'_>) -> Option<Verdict> {
    let verdict = data.nested(2);
    Some(Verdict { code: verdict.be32(1)?.cast_signed(), chain: verdict.str(2).map(str::to_owned) })
}

fn read_pair(data: Attributes<'_>, kind: u16) -> Option<(u32, u32)> {
    let min = four_byte_register(data.be32(kind)?);
    Some((min, data.be32(kind + 1).map_or(min, four_byte_register)))
}

/// A register by the number of its first four bytes: 1 to 4 are 16 bytes each, from 8 on they are 4 bytes each.
///
/// Register 1 and register 8 are the same memory; both become 8 here, and register 2 becomes 12.
pub(super) fn four_byte_register(register: u32) -> u32 {
    match register {
        1..=4 => REG32_00 + (register - 1) * 4,
        other => other,
    }
}
