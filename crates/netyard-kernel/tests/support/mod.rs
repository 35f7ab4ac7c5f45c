//! Namespaces for tests: each test has its own, as root and as an ordinary user alike, and none is skipped.
#![allow(dead_code, reason = "each test program uses its part")]

use std::process::{Command, Output, Stdio};

/// Runs a test in a network namespace of its own, on a thread that is the only one there.
///
/// An ordinary user's process cannot make one from a thread; the test program is then started again under
/// `unshare -Urn`, for this one test. Must be called from the test's own thread, whose name is the test's.
pub fn in_netns(test: impl FnOnce() + Send + 'static) {
    // SAFETY: geteuid(2) takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return run_again_in_userns();
    }
    let outcome = std::thread::spawn(|| {
        // SAFETY: unshare(2) takes no pointers; it moves this thread alone, and the result is checked.
        let done = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(done, 0, "unshare(CLONE_NEWNET): {}", std::io::Error::last_os_error());
        test();
    })
    .join();
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

fn run_again_in_userns() {
    let thread = std::thread::current();
    let test = thread.name().expect("libtest names each test's thread");
    let program = std::env::current_exe().expect("/proc/self/exe is readable");
    let output = Command::new("unshare")
        .arg("-Urn")
        .arg(program)
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .output()
        .expect("the program `unshare` (package util-linux) starts");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{test}` in a user namespace: {stdout}\n{stderr}");
    assert!(stdout.contains("1 passed"), "`{test}` did not run in a user namespace: {stdout}\n{stderr}");
}

/// Runs nft(8) in the calling thread's network namespace and returns what it printed.
pub fn nft(arguments: &[&str], input: &str) -> Result<String, String> {
    let output = with_input(Command::new(program("nft", "nftables")).args(arguments), input);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

fn with_input(command: &mut Command, input: &str) -> Output {
    use std::io::Write;
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    child
        .stdin
        .take()
        .expect("it was piped")
        .write_all(input.as_bytes())
        .expect("the program reads its input");
    child.wait_with_output().expect("the program ends")
}

/// The path of a program that this test cannot do without.
pub fn program(name: &str, package: &str) -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    // An ordinary user's PATH lacks the sbin folders.
    let folders = path.split(':').chain(["/usr/sbin", "/sbin"]);
    folders
        .map(|folder| format!("{folder}/{name}"))
        .find(|path| std::path::Path::new(path).exists())
        .unwrap_or_else(|| {
            panic!("this test needs the program `{name}` (package {package}), which is not installed")
        })
}

/// Brings `lo` of the calling thread's network namespace up (`ip link set lo up`).
pub fn lo_up() {
    use netyard_kernel::netlink::{Messages, Protocol, Socket};
    const RTM_NEWLINK: u16 = 16;
    let word = |value: u32| value.to_ne_bytes();
    let (index, up) = (word(1), word(libc::IFF_UP.cast_unsigned()));
    let ifinfomsg = [word(0), index, up, up].concat();
    let mut messages = Messages::new();
    messages.begin(RTM_NEWLINK, 0, &ifinfomsg);
    Socket::open(Protocol::Route).expect("rtnetlink").send(&mut messages).expect("lo comes up");
}
