//! Lessons: proved, typed into a terminal, resumed, exported; exams handed in and graded.

#![allow(clippy::unwrap_used)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};
use support::Yard;
use support::terminal::Terminal;

/// Real programs where the machine has them.
const ANY: &str = "last";
/// How much longer than on a quiet machine things may take in CI.
const MARGIN: u32 = 5;

/// A lesson of one step: `step` replaces its checks and commands.
fn lesson(yard: &Yard, step: &str) -> String {
    let hints = "hints: [{ en: a, ja: あ }, { en: b, ja: い }, { en: c, ja: う }]";
    let text = format!(
        "lesson: own\ntitle: {{ en: Own, ja: 自作 }}\nabout: {{ en: One, ja: ひとつ }}\nsteps:\n  - id: one\n    \
         title: {{ en: One, ja: 一 }}\n    text: {{ en: Do, ja: やる }}\n    reveal: {{ en: Done, ja: できた }}\n    \
         {hints}\n{step}"
    );
    yard.write("lesson.yaml", &text).to_str().unwrap().to_owned()
}

#[test]
fn every_lesson_that_ships_is_proved() {
    let yard = Yard::new("learn-check");
    let ran = yard.run(&["learn", "check", "--all", "--json"]);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let proofs: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let lessons = proofs["lessons"].as_array().unwrap();
    let names: Vec<&str> = lessons.iter().map(|proof| proof["lesson"].as_str().unwrap()).collect();
    assert_eq!(names, ["talk", "break-it", "two-subnets", "port-forward", "dmz", "ipv6-home"]);
    let talk = &lessons[0];
    let observed = |step: &str| {
        let steps = talk["steps"].as_array().unwrap();
        steps.iter().find(|found| found["step"] == step).unwrap()["observed"].clone()
    };
    assert_eq!(observed("no-route"), "no-route");
    assert_eq!(observed("take2"), "timeout");
    assert_eq!(observed("forward"), "The internet gets it, but pc gets no answer");
    assert_eq!(lessons[1]["steps"].as_array().unwrap().len(), 16);
    let limit = u64::from(5_000 * MARGIN);
    assert!(talk["duration_ms"].as_u64().unwrap() < limit, "{}", talk["duration_ms"]);
}

#[test]
fn the_talk_is_proved_on_a_machine_without_the_programs() {
    let yard = Yard::new("learn-bare");
    let mut command = yard.command(support::PROGRAM);
    command.args(["learn", "check", "talk"]).env("NETYARD_STAND_INS", "first");
    let ran = support::finished(&mut command);
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn a_lesson_that_promises_too_much_is_not_proved() {
    let yard = Yard::new("learn-wrong");
    let says = |step: &str, words: &str| {
        let file = lesson(&yard, step);
        let ran = yard.run(&["learn", "check", &file]);
        assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains(words), "{words} in {}", ran.stdout);
    };
    says("    check: [{ namespace: vm }]\n    solve: 'true'\n", "its checks hold before anything is done");
    let predict = "    predict:\n      question: { en: Q, ja: 問 }\n      observe: { ping: 1.1.1.1 }\n      choices:\n        \
                   - { text: { en: A, ja: 甲 }, is: timeout }\n        - { text: { en: B, ja: 乙 }, is: no-route }\n";
    says(predict, "no choice stands for what happens: ok");
    says("    check: [{ namespace: pc }]\n", "neither `solve` nor `try`");
    says(
        "    differs: Only English\n    check: [{ namespace: a }]\n    solve: ip netns add a\n",
        "one of the languages",
    );
}

#[test]
fn what_is_wrong_with_a_lesson_is_shown_in_its_place() {
    let yard = Yard::new("learn-parse");
    let file = lesson(&yard, "    check: [{ lnk: pc }, { address: 10.0.0.300/24, on: eth0 }]\n");
    let ran = yard.run(&["learn", "check", &file]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("error[Y007]: unknown key") && ran.stderr.contains("did you mean `link`?"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("`300` is more than 255"), "{}", ran.stderr);
    let ran = yard.run(&["learn", "tolk"]);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("error[U021]: there is no lesson `tolk`\n  = help: did you mean `talk`?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_lesson_of_the_documentation_is_proved() {
    let yard = Yard::new("learn-docs");
    let docs =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/lessons.md")).unwrap();
    let text = docs.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let file = yard.write("lesson.yaml", text);
    let said = yard.prints(&["learn", "check", file.to_str().unwrap()]);
    assert!(said.starts_with("✓ first-bridge: 1 step, 1 prediction, "), "{said}");
}

#[test]
fn a_rule_of_legacy_iptables_is_as_good_as_any() {
    let yard = Yard::new("learn-legacy");
    let program = ["/usr/sbin/iptables-legacy", "/sbin/iptables-legacy"];
    let Some(program) = program.into_iter().find(|path| std::path::Path::new(path).exists()) else {
        // A machine without the program has no such rules; those of nft are tested above.
        return assert!(!std::path::Path::new("/usr/sbin/xtables-legacy-multi").exists());
    };
    let step = format!(
        "    check: [{{ masquerade: 10.0.0.0/24, out: ens4 }}]\n    \
         solve: {program} -t nat -A POSTROUTING -s 10.0.0.0/24 -j MASQUERADE\n"
    );
    let ran = yard.run(&["learn", "check", &lesson(&yard, &step)]);
    assert_eq!(ran.code, Some(0), "{}", ran.stdout);
}

/// The slides' own commands for each step, and the title that turns green; none where a question is answered.
const TALK: [(&str, &str); 22] = [
    ("quiz 1", ""),
    ("ping -c 3 1.1.1.1", "Reach the internet from the machine"),
    ("ip netns add test_ns", "Make a network namespace"),
    ("ip netns exec test_ns ping -c 1 127.0.0.1", "Run a program inside"),
    ("ip netns exec test_ns ping 1.1.1.1", "Nowhere to go"),
    ("ip netns delete test_ns\nip netns add pc\nip netns add printer", "pc and printer"),
    ("ip link add name veth1-pc type veth peer name veth1-br", "A cable has two ends"),
    ("ip link set veth1-pc netns pc", "Plug one end into pc"),
    (
        "ip link add name veth2-printer type veth peer name veth2-br\n\
         ip link add name veth3-df type veth peer name veth3-br\nip link set veth2-printer netns printer",
        "Two more cables",
    ),
    ("brctl addbr bridge0", "A switch"),
    ("brctl addif bridge0 veth1-br\nbrctl addif bridge0 veth2-br", "Plug two cables into the switch"),
    (
        "ip netns exec pc ip address add 10.0.0.1/24 dev veth1-pc\n\
         ip netns exec printer ip address add 10.0.0.2/24 dev veth2-printer",
        "Addresses",
    ),
    (
        "ip link set bridge0 up\nip link set veth1-br up\nip link set veth2-br up\n\
         ip netns exec pc ip link set veth1-pc up\nip netns exec printer ip link set veth2-printer up",
        "Switch on",
    ),
    ("ip netns exec pc ping -c 3 10.0.0.2", "pc reaches printer"),
    (
        "brctl addif bridge0 veth3-br\nip address add 10.0.0.254/24 dev veth3-df\nip link set veth3-br up\n\
         ip link set veth3-df up",
        "Plug the machine in",
    ),
    ("ip netns exec pc ping -c 3 10.0.0.254", "pc reaches the router"),
    ("ip netns exec pc ping 1.1.1.1", "To the internet, take 1"),
    (
        "ip netns exec pc ip route add default via 10.0.0.254\nip netns exec pc ping -c 1 -W 1 1.1.1.1",
        "To the internet, take 2",
    ),
    ("echo 1 > /proc/sys/net/ipv4/ip_forward\nip netns exec pc ping -c 1 -W 1 1.1.1.1", "Half-way"),
    (
        "iptables --table nat --flush\n\
         iptables --table nat --append POSTROUTING --source 10.0.0.0/24 --jump MASQUERADE",
        "IP masquerade (NAPT)",
    ),
    ("ip netns exec pc ping -c 3 1.1.1.1", "To the internet, take 3"),
    (
        "ip netns exec printer ip route add default via 10.0.0.254\ncurl -I 1.1.1.1\n\
         ip netns exec pc curl -I 1.1.1.1\nip netns exec printer curl -I 1.1.1.1",
        "Three clients, one address",
    ),
];

#[test]
fn the_talk_turns_green_step_by_step_in_a_terminal() {
    let yard = Yard::new("learn-talk");
    let mut vm = Terminal::of(&yard, "learn", &["talk", "--lang", "en"], ANY);
    for (index, (commands, title)) in TALK.iter().enumerate() {
        let is_last = index + 1 == TALK.len();
        let (last, first) =
            commands.lines().rev().collect::<Vec<_>>().split_first().map(|(l, f)| (*l, f.to_vec())).unwrap();
        for line in first.iter().rev() {
            vm.begins(line);
            vm.shows_as(line, |screen| screen.contains("# "));
        }
        vm.begins(last);
        if !title.is_empty() {
            vm.shows(&format!("✓ {title}"));
        }
        let end = if is_last { "that was the last step" } else { "→ `next` goes on" };
        vm.shows(end);
        if !is_last {
            vm.begins("next");
            vm.shows(&format!("{}/22  ", index + 2));
            vm.shows_as("the prompt", |screen| screen.trim_end_matches(' ').ends_with('#'));
        }
    }
    vm.leave();
    let listed = yard.json(&["learn", "list", "--json"]);
    assert_eq!(listed["lessons"][0]["done"], 22, "{listed}");
    let kept = yard.folder.join(".local/state/netyard");
    assert_eq!(std::fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_step_turns_green_by_event_and_another_is_near() {
    let yard = Yard::new("learn-times");
    let mut vm = Terminal::of(&yard, "learn", &["talk", "--lang", "en", "--at", "bridge"], ANY);
    let begun = Instant::now();
    vm.begins("brctl addbr bridge0");
    vm.shows("✓ A switch");
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(200) * MARGIN, "{took:?}");
    vm.shows("→ `next` goes on");
    let begun = Instant::now();
    vm.begins("goto 20");
    vm.shows("20/22  IP masquerade (NAPT)");
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1) * MARGIN, "{took:?}");
    vm.shows_as("the prompt", |screen| screen.ends_with("# "));
    let said = vm.says("check");
    assert!(said.contains("✗ vm does not masquerade packets from 10.0.0.0/24 yet"), "{said}");
    // Any way to the state is good.
    vm.begins("nft add table ip t; nft 'add chain ip t c { type nat hook postrouting priority 100; }'; nft add rule ip t c masquerade");
    vm.shows("✓ IP masquerade (NAPT)");
    vm.leave();
}

#[test]
fn the_coach_speaks_japanese_and_answers_its_words() {
    let yard = Yard::new("learn-words");
    let mut vm = Terminal::of(&yard, "learn", &["talk", "--lang", "ja", "--at", "two"], ANY);
    assert!(vm.says("task").contains("6/22  pc と printer を作る"));
    assert!(vm.says("hint").contains("1/3  `ip netns` のコマンドを 3 つ使います。"));
    assert!(vm.says("check").contains("✗ namespace pc がまだありません"));
    assert!(vm.says("picture").contains("test_ns"));
    assert!(vm.says("next").contains("まだ完了していません"));
    assert!(vm.says("steps").contains("→  6  pc と printer を作る"));
    vm.begins("solve");
    vm.shows("✓ pc と printer を作る");
    vm.leave();
}

#[test]
fn a_speaker_is_not_asked_and_goes_on_without_a_word() {
    let yard = Yard::new("learn-pace");
    let words = ["talk", "--lang", "en", "--pace", "talk", "--at", "two"];
    let mut vm = Terminal::of(&yard, "learn", &words, ANY);
    vm.begins("ip netns del test_ns; ip netns add pc; ip netns add printer");
    vm.shows("7/22  A cable has two ends");
    vm.begins("ip link add name veth1-pc type veth peer name veth1-br");
    vm.shows_as("the next step without a question", |screen| {
        screen.contains("8/22  Plug one end into pc") && !screen.contains("quiz NUMBER")
    });
    vm.leave();
}

#[test]
fn a_lesson_is_exported_with_its_pictures() {
    let yard = Yard::new("learn-export");
    let text = yard.prints(&["learn", "export", "talk", "--lang", "ja"]);
    assert!(text.starts_with("# 発表をたどる: network namespace で家のネットワークを作る\n"), "{text}");
    assert!(text.contains("## 20. iptables で IP マスカレード（NAPT） (スライド 36-37)"), "{text}");
    assert!(text.contains("╔═ bridge0") && text.contains("✚ 10.0.0.1/24"), "{text}");
}

#[test]
fn a_student_builds_and_mends_in_a_terminal() {
    let yard = Yard::new("learn-sit");
    let result = yard.folder.join("exam.json");
    let words = ["exam", "--student", "aki", "--lang", "en", "--result", result.to_str().unwrap()];
    let task = yard.prints(&["learn", "exam", "--student", "aki", "--lang", "en", "--show"]);
    let mut vm = Terminal::of(&yard, "learn", &words, ANY);
    assert!(vm.says("solve").contains("not in an exam"));
    let answer = answer(&task);
    let line = answer.trim_end().replace('\n', "; ");
    vm.begins(&line);
    vm.shows("✓ Build it");
    vm.shows("`next` brings a fault");
    vm.begins("next");
    vm.shows("2/2  Mend it");
    // Whatever the fault is, to build everything anew mends it.
    let quoted = answer.split('\'').skip(1).step_by(2).take(2);
    for name in quoted.map(|words| words.split(' ').next().unwrap()) {
        vm.begins(&format!("ip netns del {name}; ip link del p-{name}"));
    }
    vm.begins("ip link del sw; iptables -P FORWARD ACCEPT");
    vm.begins(&line);
    vm.shows("✓ Mend it");
    vm.shows("hands the exam in");
    let said = vm.leave();
    let kept = std::fs::read_to_string(&result).unwrap();
    assert!(said.contains("aki: 12 of 12 points"), "{said}{kept}");
    assert_eq!(yard.run(&["learn", "grade", result.to_str().unwrap()]).code, Some(0));
}

/// Commands that build what an exam asks for: "... Two namespaces, A with ADDRESS/24 and B with ADDRESS/24, ... has
/// ADDRESS/24 there."
fn answer(task: &str) -> String {
    let addresses: Vec<&str> =
        task.split(' ').filter_map(|word| word.trim_end_matches(',').strip_suffix("/24")).collect();
    let names = task.split("Two namespaces, ").nth(1).unwrap();
    let second = names.split(" and ").nth(1).unwrap();
    let (a, b) = (names.split(' ').next().unwrap(), second.split(' ').next().unwrap());
    let [one, two, router] = addresses[..] else { panic!("{task}") };
    let lan = format!("{}.0/24", router.rsplit_once('.').unwrap().0);
    format!(
        "ip link add sw type bridge\nip link set sw up\nip address add {router}/24 dev sw\n\
         for n in '{a} {one}' '{b} {two}'; do set -- $n\nip netns add $1\n\
         ip link add p-$1 type veth peer name eth0 netns $1\nip link set p-$1 master sw up\n\
         ip -n $1 address add $2/24 dev eth0\nip -n $1 link set eth0 up\n\
         ip -n $1 route add default via {router}\ndone\n\
         sysctl -qw net.ipv4.ip_forward=1\niptables -t nat -A POSTROUTING -s {lan} -j MASQUERADE\n"
    )
}

#[test]
fn an_exam_is_graded_by_building_it_again() {
    let yard = Yard::new("learn-exam");
    let task = yard.prints(&["learn", "exam", "--student", "aki", "--lang", "en", "--show"]);
    assert_ne!(task, yard.prints(&["learn", "exam", "--student", "ben", "--lang", "en", "--show"]));
    let answer = answer(&task);
    let answer = yard.write("answer.sh", &answer);
    let result = yard.folder.join("exam.json");
    let result = result.to_str().unwrap();
    let words =
        ["learn", "exam", "--student", "aki", "--result", result, "--answer", answer.to_str().unwrap()];
    let said = yard.prints(&words);
    assert!(said.starts_with("aki: 11 of 12 points\n"), "{said}");
    assert_eq!(yard.run(&["learn", "grade", result]).code, Some(0));
    // One who changes the commands afterwards is found out.
    let text = std::fs::read_to_string(result).unwrap().replace("ip_forward=1", "ip_forward=0");
    let forged = yard.write("forged.json", &text);
    let ran = yard.run(&["learn", "grade", forged.to_str().unwrap()]);
    assert_eq!(ran.code, Some(1), "{}", ran.stdout);
    assert!(ran.stdout.contains("its commands do not build what the file says"), "{}", ran.stdout);
    assert_eq!(yard.run(&["learn", "grade", answer.to_str().unwrap()]).code, Some(2));
}
