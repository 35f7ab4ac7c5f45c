//! Which pairs are asked at the same time.
//!
//! The hosts are cut into blocks, and a wave is all that two blocks have to ask each other, both ways: of all ways to
//! choose as many pairs it touches the fewest hosts, so that few neighbour tables have to be cleaned afterwards, and
//! routed pairs, which share the entries of their gateways, make hardly any.

use super::Pair;
use std::ops::Range;

/// Pairs that are asked together, in three steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wave {
    /// One request from each host, to a receiver that it has not heard of: it asks by ARP, and all hear it.
    pub(super) introductions: Vec<Pair>,
    /// All other pairs one way.
    pub(super) there: Vec<Pair>,
    /// And the other way: two hosts that ask each other at the same moment would both ask by ARP.
    pub(super) back: Vec<Pair>,
}

impl Wave {
    /// All pairs that two blocks of hosts, or one block, have to ask each other.
    fn between(first: Range<usize>, second: Range<usize>) -> Self {
        let introductions = if first == second { ring(&first) } else { introductions(&first, &second) };
        let ways = |from: Range<usize>, to: Range<usize>| {
            from.flat_map(move |from| to.clone().map(move |to| (from, to))).collect::<Vec<Pair>>()
        };
        let (mut there, mut back) = (ways(first.clone(), second.clone()), Vec::new());
        if first == second {
            (there, back) =
                there.into_iter().filter(|(from, to)| from != to).partition(|(from, to)| from < to);
        } else {
            back.extend(ways(second, first));
        }
        let introduced: std::collections::BTreeSet<Pair> = introductions.iter().copied().collect();
        there.retain(|pair| !introduced.contains(pair));
        back.retain(|pair| !introduced.contains(pair));
        Self { introductions, there, back }
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = Pair> + '_ {
        [&self.introductions, &self.there, &self.back].into_iter().flatten().copied()
    }
}

/// Each host of a block to the next one.
fn ring(block: &Range<usize>) -> Vec<Pair> {
    let next = |host: usize| if host + 1 == block.end { block.start } else { host + 1 };
    block.clone().map(|host| (host, next(host))).filter(|(from, to)| from != to).collect()
}

/// Each host of one block to one of the other, none to the one that asks it.
fn introductions(first: &Range<usize>, second: &Range<usize>) -> Vec<Pair> {
    let there = first.clone().enumerate().map(|(at, from)| (from, second.start + at % second.len()));
    let back = second.clone().enumerate().map(|(at, from)| (from, first.start + (at + 1) % first.len()));
    there.chain(back).collect()
}

/// All ordered pairs of `count` hosts, in waves that make at most `neighbours_max` neighbour entries when all hosts
/// are on one link.
pub(super) fn of_everybody(count: usize, neighbours_max: usize) -> Vec<Wave> {
    // Each host learns each other one.
    if count * count.saturating_sub(1) <= neighbours_max {
        return if count > 1 { vec![Wave::between(0..count, 0..count)] } else { Vec::new() };
    }
    let block = block_len(neighbours_max);
    let blocks: Vec<Range<usize>> =
        (0..count).step_by(block).map(|start| start..(start + block).min(count)).collect();
    let mut waves = Vec::new();
    for (index, first) in blocks.iter().enumerate() {
        waves.extend(blocks[index..].iter().map(|second| Wave::between(first.clone(), second.clone())));
    }
    waves.retain(|wave| wave.pairs().next().is_some());
    waves
}

/// The largest block length of which two blocks stay within the limit: each host of one learns each of the other, and
/// the other way round.
fn block_len(neighbours_max: usize) -> usize {
    (neighbours_max / 2).isqrt().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn check(count: usize, neighbours_max: usize, expected_waves: usize) {
        let waves = of_everybody(count, neighbours_max);
        assert_eq!(waves.len(), expected_waves);
        let mut all = BTreeSet::new();
        let mut asked = 0;
        for wave in &waves {
            // Each asks, and whoever is asked learns the asker: an entry for each end of each unordered pair.
            let entries: BTreeSet<Pair> = wave.pairs().flat_map(|(a, b)| [(a, b), (b, a)]).collect();
            assert!(entries.len() <= neighbours_max, "{} entries", entries.len());
            let hosts: BTreeSet<usize> = wave.pairs().map(|(from, _)| from).collect();
            let introduced: Vec<usize> = wave.introductions.iter().map(|(from, _)| *from).collect();
            assert_eq!(introduced.iter().copied().collect::<BTreeSet<_>>(), hosts, "each introduces itself");
            assert_eq!(introduced.len(), hosts.len(), "once");
            all.extend(wave.pairs());
            asked += wave.pairs().count();
        }
        assert_eq!(all.len(), count * count.saturating_sub(1));
        assert_eq!(asked, all.len(), "no pair twice");
    }

    #[test]
    fn every_pair_is_asked_once_within_the_limit() {
        check(0, 450, 0);
        check(1, 450, 0);
        check(2, 450, 1);
        check(21, 450, 1);
        check(22, 450, 3);
        check(100, 450, 28);
        check(300, 450, 210);
        check(37, 8, 189);
        check(5, 2, 10);
    }
}
