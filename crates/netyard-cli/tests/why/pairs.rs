//! Two faults at once: both are found, or the second is once the first is mended.

use crate::net::{Net, Said};
use crate::support::until;

/// Something that can be wrong in the lab of the talk: where, how, and the cause that must be found.
type Wrong = (&'static str, &'static str, &'static str);

const ALL: [Wrong; 14] = [
    ("pc", "ip route del default", "no-route pc"),
    ("pc", "ip link set eth0 down", "interface-down pc:eth0"),
    ("pc", "ip route replace default via 10.0.0.77", "no-such-gateway pc"),
    ("pc", "ip route add prohibit 1.1.1.0/24", "prohibit pc"),
    (
        "pc",
        "ip neigh replace 10.0.0.254 lladdr 02:00:00:00:00:99 dev eth0 nud permanent",
        "wrong-neighbour pc:eth0",
    ),
    (
        "pc",
        "nft 'add table ip f; add chain ip f out { type filter hook output priority 0; policy drop; }'",
        "policy pc",
    ),
    ("fabric", "ip link set pc down", "no-carrier fabric:pc"),
    ("fabric", "ip link set lan down", "bridge-down fabric:lan"),
    ("fabric", "bridge link set dev internet state 0", "port-not-forwarding fabric:internet"),
    ("router", "sysctl -w net.ipv4.ip_forward=0", "not-forwarding router"),
    ("router", "nft delete table inet netyard", "not-translated router:eth1"),
    ("router", "ip route add blackhole 1.1.1.0/24", "blackhole router"),
    (
        "router",
        "nft 'add table ip g; add chain ip g forward { type filter hook forward priority 10; } 
         add rule ip g forward ip protocol icmp drop'",
        "rule router",
    ),
    ("internet", "sysctl -w net.ipv4.icmp_echo_ignore_all=1", "echo-ignored internet"),
];

/// xorshift64*: numbers that are the same again for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % n
    }
}

const ASKED: [&str; 2] = ["pc", "1.1.1.1"];

/// Mends one thing after the other; what was named on the way.
fn found_while_mending(net: &Net) -> (Vec<String>, Said) {
    let mut found = Vec::new();
    for _ in 0..10 {
        let said = net.why(&ASKED);
        found.extend(said.stopping());
        let Some(fault) = said.faults().iter().find(|fault| fault["effect"] == "stops") else {
            return (found, said);
        };
        let fix = &fault["fixes"][0];
        assert!(fix.is_object(), "nothing is told to mend {fault}");
        net.does(fix["node"].as_str().unwrap(), fix["command"].as_str().unwrap());
    }
    panic!("never mended: {}", net.why(&ASKED).sentences());
}

/// Pairs of [`ALL`], the same ones in each run; `NETYARD_SEED=NUMBER` tries others.
fn random_pairs(share: u64) {
    const ROUNDS: usize = 13;
    let seed = std::env::var("NETYARD_SEED").map_or(2026, |seed| seed.parse().unwrap());
    let mut dice = Dice((4 * seed + share + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut at_once = 0;
    for round in 0..ROUNDS {
        let first = ALL[dice.below(ALL.len())];
        let second = loop {
            let other = ALL[dice.below(ALL.len())];
            if other.2 != first.2 {
                break other;
            }
        };
        let net = Net::lab(&format!("why-pair-{share}-{round}"));
        println!("{first:?} and {second:?}");
        // With the interface down some of the others cannot even be typed: it goes down last.
        let mut both = [first, second];
        both.sort_by_key(|(_, script, _)| script.ends_with("down"));
        for (node, script, _) in both {
            // `ip route del default` after the route was lost with an interface has nothing to delete.
            net.does(node, script);
        }
        let before = net.why(&ASKED);
        assert!(!before.is_reachable(), "NETYARD_SEED={seed} {both:?}");
        assert!(!net.passes(&ASKED, &before), "NETYARD_SEED={seed} {both:?}");
        let (found, after) = found_while_mending(&net);
        for (_, _, cause) in both {
            // A default route that is replaced or lost is one thing to mend, whatever made it so.
            let is_found = found.iter().any(|found| found == cause) || is_mended_with_the_other(cause, &both);
            assert!(is_found, "NETYARD_SEED={seed} {both:?}: {cause} not among {found:?}");
        }
        at_once += usize::from(
            both.iter().all(|(_, _, cause)| before.stopping().iter().any(|found| found == cause)),
        );
        until("packets pass", || net.passes(&ASKED, &after));
    }
    println!("{at_once} of {ROUNDS} pairs were told at once, the others one after the other");
}

#[test]
fn thirteen_random_pairs_of_faults() {
    random_pairs(0);
}

#[test]
fn thirteen_more() {
    random_pairs(1);
}

#[test]
fn and_thirteen_more() {
    random_pairs(2);
}

#[test]
fn and_another_thirteen() {
    random_pairs(3);
}

/// Whether mending one of two mends the other too: both are about pc's way out.
fn is_mended_with_the_other(cause: &str, both: &[Wrong; 2]) -> bool {
    const OF_THE_WAY_OUT: [&str; 3] = ["no-route pc", "interface-down pc:eth0", "no-such-gateway pc"];
    // Setting an interface down also removes neighbour entries of its own.
    let with_down = both.iter().any(|(_, _, other)| *other == "interface-down pc:eth0");
    let all_out = both.iter().all(|(_, _, other)| OF_THE_WAY_OUT.contains(other));
    all_out && OF_THE_WAY_OUT.contains(&cause) || with_down && cause == "wrong-neighbour pc:eth0"
}
