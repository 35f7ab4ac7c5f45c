//! What root of a full node cannot do, and that files of a node stay in the node.

#![allow(clippy::unwrap_used)]

mod story;

use std::os::unix::fs::symlink;
use std::path::Path;
use story::{Story, text};

const LAB: &str = "
networks: { lan: 10.0.0.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  server: { kind: full, links: { lan: 10.0.0.2 }, run: sh /inside.sh, files: { /inside.sh: { from: inside.sh } } }
";
/// Tries to get out. Values are written as they were, so that nothing is lost where it works.
const SCRIPT: &str = r#"
for file in kernel/panic kernel/core_pattern vm/swappiness fs/file-max kernel/domainname; do
    (value=$(cat "/proc/sys/$file"); echo "$value" > "/proc/sys/$file") 2>/dev/null && echo "$file: written"
done
mount -o remount,rw /proc/sys 2>/dev/null && echo "/proc/sys: written"
for mount in /proc/sys /usr /etc /proc /sys /dev/null /; do
    umount -l "$mount" 2>/dev/null && echo "$mount: unmounted"
done
mount -t proc proc /mnt 2>/dev/null && [ -w /mnt/sys/kernel/panic ] && echo "proc: mounted again"
mknod /tmp/disk b 254 0 2>/dev/null && echo "mknod of a disk: done"
mknod /tmp/memory c 1 1 2>/dev/null && echo "mknod of memory: done"
for disk in /sys/class/block/*; do
    mount "/dev/${disk##*/}" /mnt 2>/dev/null && echo "$disk: mounted"
done
ls /proc/1/root/ >/dev/null 2>&1 && echo "/proc/1/root: open"
ls /proc/1/cwd/ >/dev/null 2>&1 && echo "/proc/1/cwd: open"
for fd in /proc/1/fd/*; do readlink "$fd" >/dev/null 2>&1 && echo "$fd: open"; done
cat /proc/1/environ >/dev/null 2>&1 && echo "/proc/1/environ: read"
cat /proc/1/maps 2>/dev/null | grep -q . && echo "/proc/1/maps: read"
(exec 3<>/proc/1/mem) 2>/dev/null && echo "/proc/1/mem: open"
kill -9 1; kill -STOP 1; kill -TERM 1
[ -e /proc/1/status ] || echo "pid 1: gone"
grep -v ':\*:' /etc/shadow && echo "/etc/shadow: passwords"
[ -z "$(ls -A /root /home | grep -v :)" ] || echo "homes: shown"
[ -e "HOME" ] && echo "HOME: shown"
cat HOME/secret 2>/dev/null
[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 12 ] || echo "processes of others: seen"
cat /proc/kcore /proc/kmsg 2>/dev/null | head -c 1 | grep -q . && echo "memory: read"
(echo x > /proc/sysrq-trigger) 2>/dev/null && echo "sysrq: done"
echo x > /etc/written && echo x > /usr/local/bin/written && mkdir -p /var/log/written || echo "own files: not written"
hostname other && [ "$(hostname)" = other ] || echo "host name: not set"
echo 1 > /proc/sys/net/ipv4/ip_forward || echo "own network: not set"
echo finished
"#;

fn contained() -> Story {
    let story = Story::new(LAB);
    let home = story.folder.join("home");
    std::fs::write(home.join("secret"), "secret").unwrap();
    let script = SCRIPT.replace("HOME", home.to_str().unwrap());
    std::fs::write(story.folder.join("lab/inside.sh"), script).unwrap();
    story
}

#[test]
fn a_program_of_a_person_does_not_get_out_of_a_full_node() {
    let story = contained();
    let pid = story.up();
    let script = std::fs::read_to_string(story.folder.join("lab/inside.sh")).unwrap();
    assert_eq!(story.says(&["exec", "server", "--", "sh", "-c", &script]), "finished\n");
    assert_eq!(story.up(), pid, "the lab lives on");
    assert!(!Path::new("/etc/written").exists() && !Path::new("/usr/local/bin/written").exists());
}

#[test]
fn a_program_of_the_lab_file_does_not_get_out_of_a_full_node() {
    let story = contained();
    story.up();
    story::until("the script has finished", || story.says(&["logs", "server"]).contains("finished"));
    let logs = story.says(&["logs", "server"]);
    let said: Vec<&str> = logs.lines().map(|line| line.rsplit(" | ").next().unwrap_or(line)).collect();
    assert!(said.len() == 1 && said[0].ends_with("finished"), "{logs}");
}

/// The kernel refuses a program outside what it refuses inside; what is looked at here is what a lab file can make of it.
fn with_files(files: &str) -> Story {
    let lab = format!(
        "networks: {{ lan: 10.0.0.0/24 }}\nnodes:\n  server: {{ links: {{ lan: 10.0.0.2 }}, files: {{ {files} }} }}\n"
    );
    Story::new(&lab)
}

#[test]
fn links_in_a_tree_of_files_lead_to_the_node_itself() {
    let story = with_files("/: { from: tree }, /up/tmp/hostile: text, /out/here: text");
    let tree = story.folder.join("lab/tree");
    std::fs::create_dir(&tree).unwrap();
    symlink("../../../../../..", tree.join("up")).unwrap();
    symlink(&story.folder, tree.join("out")).unwrap();
    // Where the link leads does not exist in the node, and is not made elsewhere.
    let output = story.netyard(&["up", "lab.yaml"]).output().unwrap();
    let inside = story.netyard(&["exec", "server", "--", "cat", "/tmp/hostile"]).output().unwrap();
    assert!(!story.folder.join("here").exists(), "{}", text(&output.stderr));
    assert!(!Path::new("/tmp/hostile").exists());
    if output.status.success() {
        assert_eq!(text(&inside.stdout), "text");
    }
}

#[test]
fn files_are_not_written_below_proc() {
    for (target, file) in
        [("/proc/sys/net/ipv4", "ip_forward"), ("/sys/class/net/lo", "mtu"), ("/dev/pts", "x")]
    {
        let story = with_files(&format!("/: {{ from: tree }}, /way/{file}: text"));
        let tree = story.folder.join("lab/tree");
        std::fs::create_dir(&tree).unwrap();
        symlink(target, tree.join("way")).unwrap();
        let output = story.netyard(&["up", "lab.yaml"]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{target}: {said}");
        assert!(said.contains(&format!("cannot write /way/{file}")) && said.contains("Read-only"), "{said}");
    }
}

#[test]
fn files_from_outside_of_the_folder_are_not_taken() {
    let story = with_files("/etc/stolen: { from: link }");
    symlink("/etc/passwd", story.folder.join("lab/link")).unwrap();
    let output = story.netyard(&["up", "lab.yaml"]).output().unwrap();
    assert!(!output.status.success());
    assert!(text(&output.stderr).contains("leads out of the lab file's folder"), "{}", text(&output.stderr));
}
