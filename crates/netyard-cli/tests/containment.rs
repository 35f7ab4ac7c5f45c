//! What programs in a lab cannot do, and when they end.

#![allow(clippy::unwrap_used)]

mod story;

use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use story::{Story, end_of, lives, pids_of, signal, text, until};

const LAB: &str = "
networks: { lan: 10.0.0.0/24 }
nodes:
  pc: { links: { lan: 10.0.0.1 } }
  server: { links: { lan: 10.0.0.2 }, run: sh inside.sh }
";
/// Tries to get out. Values are written as they were, so that nothing is lost where it works.
const SCRIPT: &str = r#"
umount /etc/hosts 2>/dev/null && echo "umount /etc/hosts: done"
umount -l /run 2>/dev/null && echo "umount /run: done"
umount -l /tmp 2>/dev/null && echo "umount /tmp: done"
grep -q 10.0.0.2 /etc/hosts || echo "hosts: not the lab's"
ls /proc/1/root/ >/dev/null 2>&1 && echo "/proc/1/root: open"
for fd in /proc/1/fd/*; do readlink "$fd" >/dev/null 2>&1 && echo "$fd: open"; done
mknod /tmp/device c 1 3 2>/dev/null && echo "mknod: done"
for file in kernel/core_pattern vm/swappiness; do
    (value=$(cat "/proc/sys/$file"); echo "$value" > "/proc/sys/$file") 2>/dev/null && echo "$file: written"
done
mount -o remount,rw / 2>/dev/null && echo "remount: done"
kill -9 1 2>/dev/null
ls /proc/1/status >/dev/null || echo "pid 1: gone"
"#;
/// What only programs of the lab file must not do: those of `exec` have the caller's files.
const SCRIPT_OF_RUN: &str = r#"
[ -z "$(ls -A HOME 2>/dev/null)" ] || echo "home: shown"
for folder in /usr /etc /var /var/tmp FOLDER/lab; do
    (: > "$folder/netyard-was-here") 2>/dev/null && echo "$folder: written" && rm -f "$folder/netyard-was-here"
done
for folder in /tmp /run; do (: > "$folder/file") || echo "$folder: not written"; done
echo finished
"#;

fn contained() -> Story {
    let story = Story::new(LAB);
    let (home, folder) = (story.folder.join("home"), story.folder.clone());
    std::fs::write(home.join("secret"), "secret").unwrap();
    let of_run = SCRIPT_OF_RUN.replace("HOME", home.to_str().unwrap());
    let of_run = of_run.replace("FOLDER", folder.to_str().unwrap());
    std::fs::write(folder.join("lab/inside.sh"), format!("{SCRIPT}{of_run}")).unwrap();
    story
}

#[test]
fn a_program_of_exec_does_not_get_out() {
    let story = contained();
    let pid = story.up();
    assert_eq!(story.says(&["exec", "pc", "--", "sh", "-c", SCRIPT]), "");
    assert_eq!(story.up(), pid, "the lab lives on");
}

#[test]
fn a_program_of_the_lab_file_does_not_get_out_and_sees_no_home() {
    let story = contained();
    story.up();
    let mut said = String::new();
    until("the program has finished", || {
        said = story.says(&["logs", "server"]);
        said.contains("finished")
    });
    let lines: Vec<_> = said.lines().filter(|line| !line.ends_with("finished")).collect();
    assert!(lines.is_empty(), "{lines:#?}");
}

/// Tries what belongs to a process that somebody has started in a node of the lab.
const SPY: &str = r#"
echo watching
while :; do
    for process in /proc/[0-9]*; do
        case $(tr '\0' ' ' 2>/dev/null < $process/cmdline) in
            "sleep SECONDS "*) ;;
            *) continue ;;
        esac
        ls $process/root/ >/dev/null 2>&1 && echo "root: open"
        cat $process/environ >/dev/null 2>&1 && echo "environ: open"
        readlink $process/cwd >/dev/null 2>&1 && echo "cwd: open"
        nsenter --target ${process#/proc/} --mount true 2>/dev/null && echo "mounts: entered"
        kill -9 ${process#/proc/} 2>/dev/null
        echo finished
    done
    sleep 0.05
done
"#;

#[test]
fn a_program_of_the_lab_file_does_not_reach_into_what_a_person_has_started() {
    let story = contained();
    let seconds = unique_seconds(5);
    std::fs::write(story.folder.join("lab/inside.sh"), SPY.replace("SECONDS", &seconds)).unwrap();
    story.up();
    let child = story.start(&["exec", "pc", "--", "sleep", &seconds]);
    let mut said = String::new();
    until("the program has tried", || {
        said = story.says(&["logs", "server"]);
        said.contains("finished")
    });
    let lines: Vec<_> =
        said.lines().filter(|line| !line.ends_with("finished") && !line.ends_with("watching")).collect();
    assert!(lines.is_empty(), "{lines:#?}");
    signal("KILL", child.id());
    end_of(child);
}

/// Asks the lab's holder for the way into a node, as `exec` does.
const ASK: &str = r#"
import json, socket, struct, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(5)
try:
    s.connect(sys.argv[1])
    body = b'{"enter":{"node":"pc"}}'
    s.sendall(struct.pack("<I", len(body)) + body)
    print("answered" if s.recv(4096) else "refused", flush=True)
except OSError as error:
    print("refused", error, flush=True)
"#;

#[test]
fn the_holder_answers_persons_and_not_the_programs_of_the_lab() {
    let story = contained();
    let lab = story.folder.join("lab");
    std::fs::write(lab.join("ask.py"), ASK).unwrap();
    // Outside of /tmp and /run, of which a node has its own.
    let shown = PathBuf::from("/var/tmp").join(&story.lab);
    std::fs::create_dir_all(&shown).unwrap();
    std::fs::set_permissions(&shown, Permissions::from_mode(0o700)).unwrap();
    let is_root = rustix::process::geteuid().is_root();
    let folder = if is_root { PathBuf::from("/run/netyard") } else { shown.join("netyard") };
    let socket = folder.join(&story.lab);
    let ask = format!("while sleep 0.1; do python3 ask.py {} ; done", socket.display());
    std::fs::write(lab.join("inside.sh"), ask).unwrap();
    let run = |words: &[&str]| {
        let output = story.netyard(words).env("XDG_RUNTIME_DIR", &shown).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    run(&["up", "-q", "lab.yaml"]);
    let mut said = String::new();
    until("the program has asked", || {
        said = run(&["logs", "server"]);
        said.contains("refused") || said.contains("answered")
    });
    assert!(!said.contains("answered"), "{said}");
    if !is_root {
        let ask = format!("python3 ask.py {}", socket.display());
        assert_eq!(run(&["exec", "pc", "--", "sh", "-c", &ask]), "answered\n");
    }
    run(&["down", &story.lab]);
    std::fs::remove_dir_all(&shown).unwrap();
}

#[test]
fn a_home_folder_is_hidden_also_where_the_lab_file_lies_in_it() {
    let story = contained();
    let home = story.folder.join("home");
    let words = format!("ls -A {}; pwd; echo finished; sleep 1000", home.display());
    let lab = format!(
        "lab: {}\nnetworks: {{ lan: 10.0.0.0/24 }}\nnodes:\n  a: {{ links: [lan], run: [\"{words}\"] }}\n",
        story.lab
    );
    std::fs::write(home.join("lab.yaml"), lab).unwrap();
    let output = story.netyard(&["up", "-q", "lab.yaml"]).current_dir(&home).output().unwrap();
    let warned = text(&output.stderr);
    assert!(
        output.status.success() && warned.contains("put the lab file into a folder of its own"),
        "{warned}"
    );
    let mut said = String::new();
    until("the program has looked", || {
        said = story.says(&["logs", "a"]);
        said.contains("finished")
    });
    assert!(!said.contains("secret"), "{said}");
}

#[test]
fn a_node_that_fills_its_own_files_leaves_others_room() {
    let story = contained();
    std::fs::write(
        story.folder.join("lab/inside.sh"),
        "dd if=/dev/zero of=/tmp/all bs=1M count=200 2>/dev/null; dd if=/dev/zero of=/run/all bs=1M count=200 \
         2>/dev/null; echo finished; sleep 1000",
    )
    .unwrap();
    story.up();
    until("everything is full", || story.says(&["logs", "server"]).contains("finished"));
    assert_eq!(story.says(&["exec", "pc", "--", "sh", "-c", "echo x > /run/x; cat /run/x"]), "x\n");
    story.says(&["exec", "server", "--", "true"]);
}

#[test]
fn a_closed_folder_and_its_owner_are_seen_from_inside() {
    let story = contained();
    let lab = story.folder.join("lab");
    std::fs::write(lab.join("inside.sh"), "cat secret; echo finished").unwrap();
    std::fs::write(lab.join("secret"), "the lab's own\n").unwrap();
    let close = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    close(&lab.join("secret"), 0o600);
    close(&story.folder, 0o700);
    story.up();
    let said = story.says(&["exec", "pc", "--", "sh", "-c", "cat secret; echo written > new; stat -c %u ."]);
    assert_eq!(said, "the lab's own\n0\n");
    assert_eq!(std::fs::read_to_string(lab.join("new")).unwrap(), "written\n");
    assert_eq!(std::fs::metadata(lab.join("new")).unwrap().uid(), std::fs::metadata(&lab).unwrap().uid());
    until("the program of the lab has read it", || story.says(&["logs", "server"]).contains("finished"));
    assert!(story.says(&["logs", "server"]).contains("the lab's own"), "{}", story.says(&["logs", "server"]));
}

#[test]
fn folders_are_seen_as_they_are_now_not_as_the_first_program_saw_them() {
    let story = contained();
    story.up();
    let (one, other) = (story.folder.join("one"), story.folder.join("other"));
    let in_folder = |folder: &std::path::Path, script: &str| {
        let mut command = story.netyard(&["exec", "pc", "--", "sh", "-c", script]);
        text(&command.current_dir(folder).output().unwrap().stdout)
    };
    for folder in [&one, &other] {
        std::fs::create_dir(folder).unwrap();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            in_folder(folder, "stat -c %u . && echo $PWD > written; ip netns add $(basename $PWD)"),
            "0\n"
        );
        let written = std::fs::read_to_string(folder.join("written")).unwrap();
        assert_eq!(written.trim(), folder.to_str().unwrap(), "{name}");
    }
    assert_eq!(
        in_folder(&one, "ip netns list | sort | xargs"),
        "one other\n",
        "both folders' rooms share /run"
    );
    // The same path is another folder now, and belongs to another than before.
    std::fs::remove_dir_all(&one).unwrap();
    std::fs::create_dir(&one).unwrap();
    std::fs::write(one.join("fresh"), "").unwrap();
    assert_eq!(in_folder(&one, "stat -c %u . && ls"), "0\nfresh\n");
    std::fs::rename(&one, story.folder.join("gone")).unwrap();
    std::fs::rename(&other, &one).unwrap();
    assert_eq!(in_folder(&one, "ls"), "written\n");
}

#[test]
fn what_ip_netns_adds_is_seen_by_other_programs_of_the_node() {
    let story = contained();
    story.up();
    story.says(&["exec", "pc", "--", "ip", "netns", "add", "inner"]);
    assert_eq!(story.says(&["exec", "pc", "--", "ip", "netns", "list"]), "inner\n");
    assert_eq!(story.says(&["exec", "server", "--", "ip", "netns", "list"]), "");
}

#[test]
fn down_does_not_wait_for_a_stopped_command() {
    let story = contained();
    story.up();
    let seconds = unique_seconds(3);
    let child = story.start(&["exec", "pc", "--", "sh", "-c", &format!("exec sleep {seconds}")]);
    until("the program runs", || lives(&seconds));
    signal("STOP", child.id());
    let output = story.netyard(&["down", &story.lab]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).contains("is stopped")), (Some(0), true));
    story.up();
    signal("CONT", child.id());
    assert_eq!(end_of(child).status.code(), Some(137));
    story.says(&["exec", "pc", "--", "true"]);
}

#[test]
fn down_waits_for_the_last_namespace_when_asked() {
    let story = contained();
    story.up();
    let seconds = unique_seconds(4);
    let child = story.start(&["exec", "pc", "--", "sleep", &seconds]);
    until("the program runs", || lives(&seconds));
    let namespace = std::fs::File::open(format!("/proc/{}/ns/net", pids_of(&seconds)[0])).unwrap();
    let mut down = story.start(&["down", "--wait", &story.lab]);
    assert_eq!(end_of(child).status.code(), Some(137));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(down.try_wait().unwrap().is_none(), "somebody holds a namespace still");
    drop(namespace);
    let output = end_of(down);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn codes_and_signals_pass_through_exec() {
    let story = Story::new(&LAB.replace(", run: sh inside.sh", ""));
    story.up();
    let code = |words: &[&str]| story.netyard(words).status().unwrap().code();
    assert_eq!(code(&["exec", "pc", "--", "sh", "-c", "exit 7"]), Some(7));
    assert_eq!(code(&["exec", "pc", "--", "sh", "-c", "kill -9 $$"]), Some(137));
    let trap = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.02; done";
    let mut child = story.start(&["exec", "pc", "--", "sh", "-c", trap]);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    signal("TERM", child.id());
    let output = end_of(child);
    assert_eq!(output.status.code(), Some(9), "{}", text(&output.stderr));
}

#[test]
fn a_killed_exec_takes_its_program_along() {
    let story = contained();
    story.up();
    let seconds = unique_seconds(1);
    let child = story.start(&["exec", "pc", "--", "sh", "-c", &format!("exec sleep {seconds}")]);
    until("the program runs", || lives(&seconds));
    signal("KILL", child.id());
    end_of(child);
    until("the program has ended", || !lives(&seconds));
    story.says(&["exec", "pc", "--", "true"]);
}

#[test]
fn a_killed_holder_takes_all_along() {
    let story = contained();
    let holder = story.up();
    let seconds = unique_seconds(2);
    let away = format!("setsid sleep {seconds} & exec sleep {seconds}");
    let child = story.start(&["exec", "pc", "--", "sh", "-c", &away]);
    until("the program runs", || lives(&seconds));
    signal("KILL", holder);
    assert_eq!(end_of(child).status.code(), Some(137));
    until("all programs have ended", || !lives(&seconds));
    let again = story.up();
    assert_ne!(again, holder);
}

/// A time that no other test sleeps, as a word to find the sleeper by.
fn unique_seconds(number: u32) -> String {
    (200_000_000 + 10 * std::process::id() + number).to_string()
}
