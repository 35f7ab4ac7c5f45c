//! Programs that netyard stands in for say and do what the real ones do.

#![allow(clippy::unwrap_used)]

mod support;

use support::{PROGRAM, Yard, finished};

/// What a script prints in a sandbox, with the real programs and with the stand-ins, less what differs from run to run.
fn both(test: &str, script: &str) -> [String; 2] {
    ["last", "first"].map(|order| {
        let yard = Yard::new(&format!("stand-in-{test}-{}", &order[..1]));
        let mut command = yard.command(PROGRAM);
        command.args(["play", "--lab", &yard.lab, "sh", "-c"]).arg(format!("exec 2>&1\n{script}"));
        let ran = finished(command.env("NETYARD_STAND_INS", order).env("LC_ALL", "C"));
        let program = script.split_whitespace().next().unwrap();
        assert!(!ran.stdout.is_empty() && ran.code == Some(0), "{program}: {ran:?}");
        ran.stdout.replace(&yard.lab, "LAB")
    })
}

#[track_caller]
fn same(test: &str, script: &str) {
    let [real, ours] = both(test, script);
    assert_eq!(ours, real);
}

/// Takes times, identifiers and addresses out that are chosen anew each time.
const STILL: &str =
    r"sed -E 's/time[= ][0-9.]+ ?ms/time/; s/mdev = [0-9./]+ ms/mdev/; s/8000\.[0-9a-f]{12}/8000.ID/'";

#[test]
fn ping() {
    same(
        "ping",
        &format!(
            "(ping -c 2 -i 0.2 1.1.1.1; echo $?
            ping -c 1 -s 3000 1.1.1.1; echo $?
            ping -c 1 -t 1 10.9.9.9; echo $?
            ping -c 1 -M do -s 2000 1.1.1.1; echo $?
            ping -q -c 2 -i 0.2 127.0.0.1; echo $?
            ping -c 1 -W 0.3 -I 127.0.0.1 127.0.0.2; echo $?
            ping -c 1 no-such-name.invalid; echo $?
            ip netns add pc; ip netns exec pc ping 1.1.1.1; echo $?
            ip -n pc link set lo up; ip netns exec pc ping -c 1 ::1; ip netns exec pc ping -c 1 127.0.0.1
            ip link add left type veth peer name right netns pc; ip address add 10.5.0.1/24 dev left
            ip link set left up; ip -n pc link set right up
            ping -c 2 -W 5 -i 0.5 10.5.0.9; echo $?) | {STILL}"
        ),
    );
}

#[test]
fn brctl() {
    same(
        "brctl",
        &format!(
            "ip link add left type veth peer name right; ip link add other type veth peer name end
            (brctl addbr b; brctl addbr b; echo $?; brctl addif b left; brctl addif b left; echo $?
            brctl addif none left; echo $?; brctl addif b none; echo $?; brctl show; brctl stp b on; brctl show b
            brctl addif b right other; brctl show b; brctl delif b right
            ip link set dev b up; brctl delbr b; echo $?; ip link set dev b down; brctl delif b left; brctl delif b left
            brctl delbr b; brctl delbr b; echo $?; brctl show; brctl show none) | {STILL}"
        ),
    );
}

#[test]
fn brctl_tells_whom_a_bridge_has_learned() {
    let script =
        "ip netns add pc; ip link add left address 02:00:00:00:00:01 type veth peer name right netns pc
        brctl addbr b; brctl addif b left; ip link set dev b up; ip link set dev left up
        ip -n pc link set dev right address 02:00:00:00:00:09 up; ip -n pc address add 10.5.0.2/24 dev right
        ip address add 10.5.0.1/24 dev b; ping -c 1 10.5.0.2 >/dev/null
        brctl showmacs b | sed -E 's/ +[0-9]+\\.[0-9]{2}$/ AGE/'";
    same("showmacs", script);
}

#[test]
fn curl() {
    same(
        "curl",
        "curl -sI 1.1.1.1; curl -s http://www.example.com/a | grep asked; curl -s 10.9.9.9; echo $?
        curl -s no-such-name.invalid; echo $?; curl -s http://1.1.1.1:81/; echo $?
        cd /run; curl -s -o page http://1.1.1.1/x; wc -l < page; curl -sI -o head 1.1.1.1; head -n 1 head
        curl -sf http://1.1.1.1/ >/dev/null; echo $?
        ip link add left type veth peer name right; ip link set left up; ip link set right up
        ip address add 10.5.0.1/24 dev left; curl -s -m 0.3 10.5.0.9; echo $?",
    );
}

/// What is the same in all versions of iptables: `prot` is a number since 1.8.9.
#[test]
fn iptables() {
    same(
        "iptables",
        "for table in filter nat; do iptables -t $table -S; done
        iptables -t nat -A POSTROUTING -s 10.0.0.0/24 -o ens4 -j MASQUERADE
        iptables --table nat --append POSTROUTING --source 10.0.1.0/24 ! -o ens4 --jump SNAT --to-source 10.138.0.3
        iptables -t nat -A PREROUTING -i ens4 -p tcp --dport 8080 -j DNAT --to-destination 10.0.0.1:80
        iptables -t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination 10.0.0.2
        iptables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        iptables -A FORWARD -p tcp --sport 1000:2000 --dport 22 -j REJECT
        iptables -I FORWARD 2 -d 1.1.1.1 -j DROP; iptables -I FORWARD -p icmp -j RETURN
        iptables -N MINE; iptables -A MINE -p udp; iptables -A FORWARD -j MINE; iptables -P FORWARD DROP
        iptables -t nat -S; iptables -S; iptables -S FORWARD
        iptables -t nat -L -n -v | sed -E 's/ (0|6|17|all|tcp|udp) +(--|opt)/ PROT \\2/'
        iptables -L FORWARD -n --line-numbers | sed -E 's/ (0|1|6|all|icmp|tcp) +--/ PROT --/'
        iptables -D FORWARD 1; iptables -D FORWARD -d 1.1.1.1 -j DROP; iptables -D FORWARD -d 1.1.1.1 -j DROP; echo $?
        iptables -D FORWARD 99; echo $?; iptables -C FORWARD -j MINE; echo $?; iptables -C FORWARD -j DROP; echo $?
        iptables -F MINE; iptables -D FORWARD -j MINE; iptables -X MINE; iptables -X MINE; echo $?
        iptables -A NONE -j ACCEPT; echo $?; iptables -N FORWARD; echo $?; iptables -P FORWARD RETURN; echo $?
        iptables -t nat -F; iptables -F; iptables -P FORWARD ACCEPT; iptables -t nat -S; iptables -S
        nft list ruleset | grep -v '^#'",
    );
}

#[test]
fn ip6tables() {
    same(
        "ip6tables",
        "for table in filter nat; do ip6tables -t $table -S; done
        ip6tables -t nat -A POSTROUTING -s fd00::/64 -o ens4 -j MASQUERADE
        ip6tables -t nat -A POSTROUTING -s fd00::1 -j SNAT --to-source fd01::9
        ip6tables -t nat -A PREROUTING -i ens4 -p tcp --dport 8080 -j DNAT --to-destination [fd00::1]:80
        ip6tables -t nat -A PREROUTING -p udp --dport 53 -j DNAT --to-destination fd00::2
        ip6tables -A FORWARD -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT
        ip6tables -A FORWARD -s fd00::/64 -d fd01::1 ! -o lan -p tcp --dport 22 -j REJECT
        ip6tables -A FORWARD -p icmpv6 --icmpv6-type echo-request -j ACCEPT
        ip6tables -I FORWARD -p ipv6-icmp -m icmp6 --icmpv6-type 135 -j RETURN; ip6tables -P FORWARD DROP
        ip6tables -t nat -S; ip6tables -S
        ip6tables -t nat -L -n -v | sed -E 's/ (0|6|17|all|tcp|udp) +(--|opt)/ PROT \\2/'
        ip6tables -L FORWARD -n --line-numbers | sed -E 's/ (0|6|58|all|tcp|ipv6-icmp) +--/ PROT --/'
        ip6tables -A FORWARD -s 10.0.0.1 -j DROP 2>/dev/null; echo $?
        ip6tables -A FORWARD -p icmpv6 --icmp-type 8 -j DROP 2>/dev/null; echo $?
        ip6tables -t nat -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1 2>/dev/null; echo $?
        ip6tables -D FORWARD 99; echo $?; ip6tables -X MINE; echo $?
        ip6tables -t nat -F; ip6tables -F; ip6tables -P FORWARD ACCEPT; ip6tables -S; iptables -S
        nft list ruleset | grep -v '^#'",
    );
}

#[test]
fn iptables_filters_and_counts() {
    let yard = Yard::new("stand-in-filter");
    let script = "iptables -A OUTPUT -d 1.1.1.1 -p icmp -j DROP; iptables -A OUTPUT -d 1.0.0.1 -p icmp -j REJECT
        ping -c 1 -W 0.3 1.1.1.1 >/dev/null; echo $?; ping -c 1 8.8.8.8 >/dev/null; echo $?
        iptables -nvL OUTPUT | tail -n 2 | head -n 1 | cut -c -40; ip netns add pc; ip netns exec pc iptables -S | head -n 1";
    let mut command = yard.command(PROGRAM);
    command.args(["play", "--lab", &yard.lab, "sh", "-c", script]).env("NETYARD_STAND_INS", "first");
    let ran = finished(&mut command);
    assert_eq!(
        ran.stdout, "1\n0\n    1    84 DROP       1    --  *      *\n-P INPUT ACCEPT\n",
        "{}",
        ran.stderr
    );
}

/// Both watch the same packets.
#[test]
fn tcpdump() {
    let yard = Yard::new("stand-in-tcpdump");
    let script = "cd /run; ip netns add pc; ip link add left type veth peer name right netns pc
        ip address add 10.5.0.1/24 dev left; ip link set left up; ip -n pc link set right up
        ip -n pc address add 10.5.0.2/24 dev right; ip netns exec pc ip route add default via 10.5.0.1
        for watched in 'left -nn not ip6' 'left -nn -e arp or icmp' 'left -nn -v udp or arp' 'ens4 -nn tcp port 80'; do
            rm -f said.* heard.*
            for watcher in \"$STAND_INS\" \"$REAL\"; do
                $watcher/tcpdump -l -t -i $watched >said.$(basename $watcher) 2>heard.$(basename $watcher) &
            done
            for watcher in \"$STAND_INS\" \"$REAL\"; do
                until grep -qs listening heard.$(basename $watcher); do sleep 0.02; done
            done
            ip neighbour flush dev left; ping -c 1 10.5.0.2 >/dev/null; ping -c 1 -s 2000 10.5.0.2 >/dev/null
            ip netns exec pc sh -c 'ping -c 1 -t 1 10.5.0.1 >/dev/null'
            getent ahostsv4 www.example.com >/dev/null; curl -sI 1.1.1.1 >/dev/null
            bash -c 'echo hi > /dev/udp/10.5.0.2/99'
            sleep 0.3; kill -INT $(jobs -p); wait
            diff said.* && wc -l < said.$(basename $REAL)
        done";
    let mut command = yard.command(PROGRAM);
    let real = finished(
        std::process::Command::new("bash")
            .args(["-c", "dirname $(PATH=$PATH:/usr/sbin:/usr/bin command -v tcpdump)"]),
    );
    command.args(["play", "--lab", &yard.lab, "bash", "-c", script]).env("REAL", real.stdout.trim());
    let ran = finished(command.env("STAND_INS", "/run/netyard-programs"));
    let lines: Vec<u32> =
        ran.stdout.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("{ran:?}"))).collect();
    assert!(lines.len() == 4 && lines.iter().all(|lines| *lines > 2), "{ran:?}");
}
