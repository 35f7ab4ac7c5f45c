//! bpf(2). Attributes are laid out as `union bpf_attr` (linux/bpf.h) has them for each command.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

const MAP_CREATE: libc::c_int = 0;
const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_UPDATE_ELEM: libc::c_int = 2;
const PROG_LOAD: libc::c_int = 5;
const RAW_TRACEPOINT_OPEN: libc::c_int = 17;
const PROG_TYPE_TRACING: u32 = 26;
const TRACE_RAW_TP: u32 = 23;

/// `BPF_MAP_CREATE`
#[repr(C)]
struct Create {
    kind: u32,
    key_len: u32,
    value_len: u32,
    entries_max: u32,
}

/// `BPF_MAP_*_ELEM`
#[repr(C)]
struct Element {
    map: u32,
    unused: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `BPF_PROG_LOAD`, up to the kernel's type that the program is attached to.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    licence: u64,
    log_level: u32,
    log_len: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
    /// BTF of the program, and its functions and lines: none.
    btf: [u32; 3],
    unused: [u32; 6],
    attach_btf_id: u32,
}

/// `BPF_RAW_TRACEPOINT_OPEN`
#[repr(C)]
struct Open {
    name: u64,
    program: u32,
    unused: u32,
}

/// The system call itself; what it returns is a descriptor or 0.
///
/// # Safety
/// `T` is what the command takes, without padding, and pointers in it name live memory of the lengths beside them.
unsafe fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: the attributes are live during the call, and as the caller says.
    let done =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(done as RawFd) }
}

fn address<T>(of: &[T]) -> u64 {
    of.as_ptr() as u64
}

pub(super) fn create_map(
    kind: u32,
    key_len: usize,
    value_len: usize,
    entries_max: u32,
) -> io::Result<OwnedFd> {
    let attributes = Create { kind, key_len: key_len as u32, value_len: value_len as u32, entries_max };
    // SAFETY: no pointers; the result is a fresh descriptor, closed on exec as all of bpf(2).
    unsafe { bpf(MAP_CREATE, &attributes).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

pub(super) fn update(map: RawFd, key: &[u8], value: &[u8]) -> io::Result<()> {
    let attributes =
        Element { map: map.cast_unsigned(), unused: 0, key: address(key), value: address(value), flags: 0 };
    // SAFETY: the map's caller has seen to the lengths of key and value.
    unsafe { bpf(MAP_UPDATE_ELEM, &attributes).map(drop) }
}

pub(super) fn look_up(map: RawFd, key: &[u8], value: &mut [u8]) -> io::Result<()> {
    let attributes = Element {
        map: map.cast_unsigned(),
        unused: 0,
        key: address(key),
        value: value.as_mut_ptr() as u64,
        flags: 0,
    };
    // SAFETY: as above; the kernel writes as many bytes as the map's values have.
    unsafe { bpf(MAP_LOOKUP_ELEM, &attributes).map(drop) }
}

/// Loads a program for a tracepoint, which is named by the number of its type.
pub(super) fn load_tracing(code: &[u8], licence: &[u8], attach_btf_id: u32) -> io::Result<OwnedFd> {
    let load = |log: &mut [u8]| {
        let attributes = Load {
            kind: PROG_TYPE_TRACING,
            count: (code.len() / 8) as u32,
            instructions: address(code),
            licence: address(licence),
            log_level: u32::from(!log.is_empty()),
            log_len: log.len() as u32,
            log: if log.is_empty() { 0 } else { log.as_mut_ptr() as u64 },
            kernel_version: 0,
            flags: 0,
            name: *b"netyard\0\0\0\0\0\0\0\0\0",
            interface: 0,
            attach_type: TRACE_RAW_TP,
            btf: [0; 3],
            unused: [0; 6],
            attach_btf_id,
        };
        // SAFETY: the code has `count` instructions of 8 bytes, the licence ends with a zero byte as sections of
        // objects that hold a text do, and the log has its length; the result is a fresh descriptor.
        unsafe { bpf(PROG_LOAD, &attributes).map(|fd| OwnedFd::from_raw_fd(fd)) }
    };
    if licence.last() != Some(&0) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the object's licence has no end"));
    }
    let refused = match load(&mut []) {
        Err(error)
            if error.kind() != io::ErrorKind::PermissionDenied
                || error.raw_os_error() == Some(libc::EACCES) =>
        {
            error
        }
        done => return done,
    };
    // Once more, to hear why.
    let mut log = vec![0; 1 << 20];
    let _ = load(&mut log);
    let text = String::from_utf8_lossy(&log);
    let lines: Vec<&str> = text.trim_end_matches('\0').lines().collect();
    match lines[lines.len().saturating_sub(4)..].join("; ") {
        words if words.is_empty() => Err(refused),
        words => Err(io::Error::new(refused.kind(), format!("{refused}: {words}"))),
    }
}

/// Attaches a program to the tracepoint that it was loaded for.
pub(super) fn open_raw_tracepoint(program: RawFd) -> io::Result<OwnedFd> {
    let attributes = Open { name: 0, program: program.cast_unsigned(), unused: 0 };
    // SAFETY: no pointers; the result is a fresh descriptor.
    unsafe { bpf(RAW_TRACEPOINT_OPEN, &attributes).map(|fd| OwnedFd::from_raw_fd(fd)) }
}
