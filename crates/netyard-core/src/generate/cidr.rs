//! Prefixes for runs of numbered networks.

/// The prefixes that cover exactly the networks `10.SECOND.first.0/24` to `10.SECOND.last.0/24`; none for an empty
/// run. The way of RFC 4632, section 3.1: each time the largest block that begins here and ends in the run.
pub(super) fn prefixes(second: usize, first: usize, last: usize) -> Vec<String> {
    let mut prefixes = Vec::new();
    let mut next = first;
    while next <= last {
        let fits = |bits: &u32| next.is_multiple_of(1 << bits) && next + (1 << bits) - 1 <= last;
        let bits = (0..=8).rev().find(fits).unwrap_or(0);
        prefixes.push(format!("10.{second}.{next}.0/{}", 24 - bits));
        next += 1 << bits;
    }
    prefixes
}

#[cfg(test)]
mod tests {
    use super::prefixes;

    #[test]
    fn a_run_is_covered_by_its_largest_blocks() {
        assert_eq!(prefixes(0, 1, 7), ["10.0.1.0/24", "10.0.2.0/23", "10.0.4.0/22"]);
        assert_eq!(prefixes(7, 0, 255), ["10.7.0.0/16"]);
        assert!(prefixes(0, 2, 1).is_empty());
    }
}
