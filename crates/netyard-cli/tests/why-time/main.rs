//! How long `netyard why` takes: the whole process. A test program of its own, so that no other test runs beside it.

#![allow(clippy::unwrap_used)]

#[path = "../why/net.rs"]
mod net;
#[path = "../support/mod.rs"]
mod support;
#[path = "../world/mod.rs"]
mod world;

use net::Net;
use std::time::{Duration, Instant};

/// The median of some runs.
fn median(net: &Net, words: &[&str]) -> Duration {
    let mut times: Vec<Duration> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            let ran = net.run(words);
            assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
            begun.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

#[test]
fn an_answer_comes_soon() {
    let home = Net::lab("why-time-home");
    let of_home = median(&home, &["why", "pc", "1.1.1.1"]);
    let made = home.run(&["new", "star", "300"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    drop(home);
    let star = Net::of("why-time-star", &made.stdout);
    let of_star = median(&star, &["why", "h1", "h300"]);
    let out = median(&star, &["why", "h1", "1.1.1.1"]);
    println!("why: home {of_home:?}, star of 300 {of_star:?}, from it outside {out:?}");
    // Three times what an optimised build takes on two cores that do nothing else; one for debugging takes four times
    // as long.
    let factor = if cfg!(debug_assertions) { 3 * 4 } else { 3 };
    assert!(of_home < Duration::from_millis(factor * 20), "{of_home:?}");
    assert!(of_star.max(out) < Duration::from_millis(factor * 200), "{of_star:?}, {out:?}");
}
