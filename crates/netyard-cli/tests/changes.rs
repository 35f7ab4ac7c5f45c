//! A running lab that is changed becomes what a fresh one would be, also where the kernel keeps what was.

#![allow(clippy::unwrap_used)]

mod story;

use story::{Story, lives, text, until};

fn file(story: &Story, text: &str) {
    std::fs::write(story.file(), format!("lab: {}\n{text}", story.lab)).unwrap();
}

/// What a shell in a node prints.
fn sh(story: &Story, node: &str, script: &str) -> String {
    story.says(&["exec", node, "--", "sh", "-c", script])
}

#[test]
fn a_sysctl_that_is_no_longer_asked_for_is_as_in_a_new_namespace() {
    let lab =
        |more: &str| format!("networks: {{ lan: 10.0.0.0/24 }}\nnodes: {{ a: {{ links: [lan]{more} }} }}\n");
    let story =
        Story::new(&lab(", sysctls: { net.ipv4.ip_default_ttl: 99, net.ipv4.conf.eth0.log_martians: 1 }"));
    story.up();
    let values = "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/net/ipv4/conf/eth0/log_martians";
    assert_eq!(sh(&story, "a", values), "99\n1\n");
    file(&story, &lab(""));
    story.says(&["up", "lab.yaml"]);
    assert_eq!(sh(&story, "a", values), "64\n0\n");
    assert_eq!(story.says(&["plan", "lab.yaml"]), "");
}

#[test]
fn another_ethernet_address_has_its_own_link_local_address() {
    let lab = |mac: &str| {
        format!(
            "networks: {{ lan: [10.0.0.0/24, fd00::/64] }}\nnodes:\n  a: {{ links: {{ lan: {{ mac: \"{mac}\" }} }} }}\n  \
             b: {{ links: [lan] }}\nexpect: [{{ from: b, ping: a, within: 2s }}]\n"
        )
    };
    let story = Story::new(&lab("02:00:00:00:00:01"));
    story.up();
    file(&story, &lab("02:00:00:00:00:02"));
    story.says(&["up", "-q", "lab.yaml", "--test"]);
    let addresses = sh(&story, "a", "ip -6 address show dev eth0");
    assert!(addresses.contains("fe80::ff:fe00:2/64") && addresses.contains("fd00::1/64"), "{addresses}");
    assert!(!addresses.contains("fe80::ff:fe00:1/64"), "{addresses}");
    assert_eq!(story.says(&["plan", "lab.yaml"]), "");
}

#[test]
fn ipv6_that_comes_later_comes_as_from_the_start() {
    let lab = |prefixes: &str| {
        format!(
            "networks: {{ lan: {prefixes} }}\nnodes: {{ a: {{ links: [lan] }}, b: {{ links: [lan] }} }}\n"
        )
    };
    let story = Story::new(&lab("10.0.0.0/24"));
    story.up();
    file(&story, &lab("[10.0.0.0/24, fd00::/64]"));
    story.says(&["up", "-q", "lab.yaml"]);
    let addresses = sh(&story, "a", "ip -6 address show dev eth0");
    assert!(addresses.contains("fe80::") && !addresses.contains("tentative"), "{addresses}");
}

#[test]
fn addresses_work_when_up_returns_with_duplicate_address_detection() {
    let story = Story::new(
        "dad: on\nnetworks: { lan: fd00::/64 }\nnodes: { a: { links: [lan] }, b: { links: [lan] } }\n\
         expect: [{ from: a, ping: b }]\n",
    );
    story.says(&["up", "-q", "lab.yaml", "--test"]);
    assert!(!sh(&story, "a", "ip -6 address").contains("tentative"));
}

#[test]
fn a_lab_is_as_described_after_every_up() {
    let story = Story::new(
        "networks: { lan: 10.0.0.0/24 }\nnodes:\n  a: { links: [lan], sysctls: { net.ipv4.neigh.eth0.retrans_time_ms: 50 } }\n  \
         b: { links: [lan], neighbours: { 10.0.0.99: \"02:00:00:00:00:99\" } }\n",
    );
    story.up();
    assert_eq!(story.says(&["plan", "lab.yaml"]), "");
    story.says(&["link", "b", "eth0", "down"]);
    story.says(&["link", "b", "eth0", "up"]);
    assert_eq!(story.says(&["plan", "lab.yaml"]), "");
}

#[test]
fn programs_and_names_follow_the_file() {
    let lab = |a: &str, more: &str| {
        format!(
            "networks: {{ lan: 10.0.0.0/24 }}\nnodes:\n  a: {{ links: {{ lan: 10.0.0.1 }}{a} }}\n  b: {{ links: [lan] }}{more}\n"
        )
    };
    let seconds = (400_000_000 + std::process::id()).to_string();
    let run = |value: &str| {
        format!(", env: {{ V: {value} }}, run: [\"echo V is $V; sleep {seconds} & sleep 1000\"]")
    };
    let story = Story::new(&lab(&(run("one") + ", hostname: first"), ""));
    story.up();
    assert_eq!(sh(&story, "a", "hostname"), "first\n");
    until("the program runs", || lives(&seconds));

    let net = "\n  net: { role: internet, links: { lan: 10.0.0.3 } }";
    file(&story, &lab(&(run("two") + ", hostname: second"), net));
    let plan = story.says(&["plan", "lab.yaml"]);
    assert!(
        plan.contains("# restart program echo in a") && plan.contains("# host name of a becomes second"),
        "{plan}"
    );
    let output = story.netyard(&["up", "-q", "lab.yaml"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(
        sh(&story, "a", "hostname; cat /etc/resolv.conf | grep nameserver"),
        "second\nnameserver 10.0.0.3\n"
    );
    until("the program has its new value", || story.says(&["logs", "a"]).contains("V is two"));

    file(&story, &lab("", net));
    assert!(story.says(&["plan", "lab.yaml"]).contains("# stop program echo in a"));
    story.says(&["up", "-q", "lab.yaml"]);
    until("what the program has started is gone with it", || !lives(&seconds));
    assert_eq!(story.says(&["plan", "lab.yaml"]), "");
}

#[test]
fn a_sysctl_that_is_refused_is_named() {
    let lab = |sysctl: &str| {
        format!(
            "networks: {{ lan: 10.0.0.0/24 }}\nnodes: {{ a: {{ links: [lan], sysctls: {{ {sysctl} }} }} }}\n"
        )
    };
    for (sysctl, words) in [
        ("net.ipv4.nosuch: 1", "this kernel has no sysctl net.ipv4.nosuch"),
        ("net.ipv4.ip_forward: banana", "sysctl net.ipv4.ip_forward does not take the value banana"),
    ] {
        let story = Story::new(&lab(sysctl));
        let output = story.netyard(&["up", "lab.yaml"]).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("failed in `a`") && said.contains(words), "{said}");
    }
}

#[test]
fn rules_and_their_tables_follow_the_lab_file() {
    let lab = |rules: &str| {
        format!(
            "networks: {{ lan: {{ prefix: [10.0.0.0/24, fd00::/64], kind: cable }} }}\nnodes:\n  a:\n    links: [lan]\n    \
             routes: [{{ to: 10.9.0.0/16, via: b, table: 300 }}]\n    rules: [{rules}]\n  b: {{ links: [lan] }}\n"
        )
    };
    let first = "{ to: 10.9.0.0/16, table: 300 }, { from: lan, iif: eth0, fwmark: 0x2/0xf, kind: prohibit }";
    let story = Story::new(&lab(first));
    story.up();
    let rules = |story: &Story| sh(story, "a", "(ip rule; ip -6 rule) | grep -v -e '^0:' -e ^3276[67]:");
    assert_eq!(
        rules(&story),
        "1000:\tfrom all to 10.9.0.0/16 lookup 300\n\
         1001:\tfrom 10.0.0.0/24 fwmark 0x2/0xf iif eth0 prohibit\n\
         1001:\tfrom fd00::/64 fwmark 0x2/0xf iif eth0 prohibit\n"
    );
    assert!(sh(&story, "a", "ip route get 10.9.1.1").contains("via 10.0.0.2"));
    assert_eq!(story.says(&["plan", "lab.yaml"]), "");
    let shown = story.says(&["show"]);
    assert!(
        shown.contains("RULES\na") && shown.contains("priority 1000 from all to 10.9.0.0/16 table 300"),
        "{shown}"
    );

    // What was added by hand goes, as routes do; what was removed comes back.
    sh(&story, "a", "ip rule del priority 1000; ip rule add priority 7 from 10.0.0.9 blackhole");
    let plan = story.says(&["plan", "lab.yaml"]);
    assert_eq!(
        plan,
        "ip -n a rule delete priority 7 from 10.0.0.9/32 blackhole\nip -n a rule add priority 1000 from all to 10.9.0.0/16 \
         table 300\n"
    );
    file(&story, &lab("{ priority: 9, fwmark: 0/0x1, table: main }"));
    story.says(&["up", "-q", "lab.yaml"]);
    assert_eq!(
        rules(&story),
        "9:\tfrom all fwmark 0/0x1 lookup main\n9:\tfrom all fwmark 0/0x1 lookup main\n"
    );
    assert_eq!(story.says(&["plan", "lab.yaml"]), "");

    let yaml = story.says(&["look", "--yaml"]);
    assert!(yaml.contains("priority: 9, from: 0.0.0.0/0, fwmark: 0x0/0x1, table: 254"), "{yaml}");
    std::fs::write(story.file(), yaml).unwrap();
    assert_eq!(story.says(&["plan", "lab.yaml"]), "");
}

#[test]
fn a_lab_with_an_internet_is_built_again_from_a_look() {
    let story = Story::new(
        "networks: { lan: 10.0.0.0/24, isp: 203.0.113.0/24 }\nnodes:\n  pc: { links: [lan] }\n  \
         r: { links: [lan, isp], masquerade: { from: lan, out: isp } }\n  \
         internet: { role: internet, links: [isp] }\n",
    );
    story.up();
    let output = story.netyard(&["look", "--yaml"]).output().unwrap();
    assert_eq!(text(&output.stderr), "", "nothing is missing");
    let yaml = text(&output.stdout);
    story.says(&["down"]);
    std::fs::write(story.file(), &yaml).unwrap();
    story.up();
    assert!(story.says(&["ping", "pc", "1.1.1.1", "--count", "1"]).contains("1 answered"));
    let again = story.says(&["look", "--yaml"]);
    assert!(again.contains("role: internet") && yaml.contains("role: internet"), "{yaml}\n{again}");
}
