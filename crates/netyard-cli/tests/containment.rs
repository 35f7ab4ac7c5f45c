//! What programs in a lab cannot do, and when they end.

#![allow(clippy::unwrap_used)]

mod story;

use std::io::{BufRead, BufReader};
use story::{Story, end_of, lives, signal, text, until};

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
    (cat "/proc/sys/$file" > /tmp/value; cat /tmp/value > "/proc/sys/$file") 2>/dev/null && echo "$file: written"
done
mount -o remount,rw / 2>/dev/null && echo "remount: done"
kill -9 1 2>/dev/null
ls /proc/1/status >/dev/null || echo "pid 1: gone"
"#;
/// What only programs of the lab file must not do: those of `exec` have the caller's files.
const SCRIPT_OF_RUN: &str = r#"
[ -z "$(ls -A HOME 2>/dev/null)" ] || echo "home: shown"
for folder in /usr /etc /var /var/tmp /dev/shm FOLDER/lab; do
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
