//! `netyard play`: who is in the sandbox, when it ends, and that nothing leaves it.

#![allow(clippy::unwrap_used)]

mod host_facts;
mod support;

use host_facts::{host, is_as};
use support::Yard;
use support::terminal::Terminal;

const ANY: &str = "last";

/// What a learner should not do on a real machine, and what must fail in the sandbox.
const HARM: &str = r#"
iptables -F; iptables -t nat -F; iptables -P FORWARD DROP
nft add table ip mine
sysctl -qw net.ipv4.ip_forward=1
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo "ip_forward: not written"
echo 0 > /proc/sys/net/ipv4/ip_forward
sysctl -qw net.ipv4.conf.all.rp_filter=1 net.core.somaxconn=99 net.ipv4.tcp_fin_timeout=7
ip rule add to 192.0.2.0/24 table 7
ip netns add mine
ip netns exec mine sysctl -qw net.ipv4.ip_forward=1 || echo "in a namespace: not written"
[ "$(ip netns exec mine cat /proc/sys/net/ipv4/ip_forward)" = 1 ] || echo "in a namespace: no effect"
[ "$(cat /proc/sys/net/ipv4/ip_forward)" = 0 ] || echo "in a namespace: wrong one"
ip link add mine0 type dummy 2>/dev/null || ip link add mine0 type veth peer name mine1
ip link del ens4
rm -rf /run/* 2>/dev/null
: > /run/mine || echo "/run: not writable"
for file in kernel/core_pattern kernel/hostname kernel/panic vm/swappiness vm/drop_caches fs/file-max \
    kernel/sysrq kernel/printk kernel/modprobe vm/overcommit_memory; do
    value=$(cat "/proc/sys/$file" 2>/dev/null || echo 1)
    (echo "$value" > "/proc/sys/$file") 2>/dev/null && echo "$file: written"
done
# Of these every namespace has its own, on newer kernels.
for file in kernel/pid_max kernel/shmmni kernel/msgmni user/max_uts_namespaces; do
    (echo 3000 > "/proc/sys/$file") 2>/dev/null
done
(echo b > /proc/sysrq-trigger) 2>/dev/null && echo "sysrq: written"
for target in /etc/passwd /etc/hosts /etc/resolv.conf /run /proc /sys; do
    umount "$target" 2>/dev/null && echo "$target: uncovered"
done
mount -o remount,rw /run/netyard-programs 2>/dev/null && echo "programs: writable"
hostname other 2>/dev/null
kill -9 1 2>/dev/null
ls /proc/1/root/ >/dev/null 2>&1 && echo "/proc/1/root: open"
echo done
"#;

#[test]
fn nothing_that_is_done_in_the_sandbox_reaches_the_host() {
    let yard = Yard::new("play-harm");
    let of_namespaces = || {
        ["kernel/pid_max", "kernel/shmmni", "kernel/msgmni", "user/max_uts_namespaces", "kernel/core_pattern"]
            .map(|file| std::fs::read_to_string(format!("/proc/sys/{file}")).unwrap())
    };
    let (before, values) = (host(), of_namespaces());
    let mut vm = Terminal::new(&yard, &[], ANY);
    let own = yard.write("own", "mine");
    assert_eq!(yard.prints(&["play", "--lab", &yard.lab, "sh", "-c", HARM]), "done\n");
    is_as(&before, "with the sandbox up");
    assert_eq!(of_namespaces(), values);
    assert_eq!(vm.says("ip netns exec mine ip link show up"), "", "the namespace has outlived its folder");
    vm.leave();
    is_as(&before, "after the sandbox");
    assert_eq!(std::fs::read_to_string(own).unwrap(), "mine");
}

#[test]
fn terminals_share_a_sandbox_that_ends_with_its_first() {
    let yard = Yard::new("play-shared");
    let mut first = Terminal::new(&yard, &[], ANY);
    let mut second = Terminal::new(&yard, &[], ANY);
    assert_eq!(
        first.says("ip netns add pc; ip link add left type veth peer name right netns pc; : > /run/mine"),
        ""
    );
    assert_eq!(second.says("ip netns show | cut -d' ' -f1; ls /run/mine"), "pc\n/run/mine\n");
    assert!(second.says("ip netns exec pc ip link show right").contains("right@if"));
    // A shell of another verb is in the same room.
    assert_eq!(yard.prints(&["exec", "vm", "--", "sh", "-c", "ip netns show | cut -d' ' -f1"]), "pc\n");
    second.leave();
    let second = Terminal::new(&yard, &[], ANY);
    assert_eq!(first.says("ls /run/mine"), "/run/mine\n");
    first.leave();
    let said = second.gone();
    assert!(said.contains(&format!("sandbox {} has ended\n", yard.lab)), "{said}");
    assert!(!yard.prints(&["list"]).contains(&yard.lab));
}

#[test]
fn a_shell_is_a_job_of_its_own_and_goes_without_a_word() {
    let yard = Yard::new("play-job");
    let mut vm = Terminal::new(&yard, &[], ANY);
    assert_eq!(vm.says("read -r p n s pp group session tty foreground r < /proc/$$/stat; echo $((group == foreground && group == $$))"), "1\n");
    // Between its jobs as well.
    assert_eq!(vm.says("true | cat; echo $?"), "0\n");
    assert!(vm.leave().lines().all(|line| line == "exit" || line.starts_with("sandbox ")));
}

#[test]
fn a_sandbox_goes_with_a_killed_terminal() {
    let yard = Yard::new("play-killed");
    let first = Terminal::new(&yard, &[], ANY);
    let pid = yard.json(&["list", "--json"])["labs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|lab| lab["name"] == *yard.lab)
        .unwrap()["pid"]
        .clone();
    drop(first);
    support::until("the holder has ended", || !std::path::Path::new(&format!("/proc/{pid}")).exists());
    assert!(!yard.prints(&["list"]).contains(&yard.lab));
}

#[test]
fn a_kept_sandbox_is_a_lab() {
    let yard = Yard::new("play-kept");
    let lab = yard.lab.as_str();
    assert_eq!(yard.run(&["play", "--keep", lab, "ip", "netns", "add", "pc"]).code, Some(0));
    assert!(yard.prints(&["list"]).contains(lab));
    assert_eq!(yard.prints(&["play", "--lab", lab, "ip", "netns", "show"]), "pc\n");
    assert_eq!(yard.prints(&["play", "--keep", lab, "ip", "netns", "show"]), "pc\n");
    assert_eq!(yard.prints(&["exec", "vm", "--", "ip", "netns", "show"]), "pc\n");
    let shown = yard.prints(&["show", lab]);
    assert!(shown.contains("ens4") && shown.contains("10.138.0.3/32"), "{shown}");
    assert_eq!(yard.run(&["ping", "vm", "1.1.1.1", "-c", "1"]).code, Some(0));
    assert_eq!(yard.run(&["down", lab]).code, Some(0));
}

#[test]
fn the_code_of_a_command_is_that_of_play() {
    let yard = Yard::new("play-code");
    assert_eq!(yard.run(&["play", "--lab", &yard.lab, "sh", "-c", "exit 7"]).code, Some(7));
    assert_eq!(yard.run(&["play", "--lab", &yard.lab, "ping", "-c1", "1.1.1.1"]).code, Some(0));
}

#[test]
fn another_lab_is_not_played_in() {
    let yard = Yard::with_lab("play-other", "nodes: { vm: {} }");
    let ran = yard.run(&["play", "--lab", &yard.lab, "true"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.starts_with(&format!("error[U002]: a lab `{}` is up that is no sandbox", yard.lab)),
        "{}",
        ran.stderr
    );

    let yard = Yard::new("play-unkept");
    let _vm = Terminal::new(&yard, &[], ANY);
    let ran = yard.run(&["play", "--keep", &yard.lab, "true"]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("ends with the terminal that started it"), "{}", ran.stderr);
}
