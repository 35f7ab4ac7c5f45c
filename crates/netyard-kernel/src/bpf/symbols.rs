//! Names of the kernel's functions (`/proc/kallsyms`).

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};

/// The function that each of these places in the kernel is in. Nothing where the kernel does not tell whoever asks where
/// its functions are (`kernel.kptr_restrict`).
#[must_use]
pub fn functions(places: &BTreeSet<u64>) -> BTreeMap<u64, String> {
    let Ok(file) = std::fs::File::open("/proc/kallsyms") else { return BTreeMap::new() };
    let mut nearest: BTreeMap<u64, (u64, String)> = BTreeMap::new();
    // The text is long, and only a few lines of it are wanted.
    for line in BufReader::with_capacity(1 << 16, file).split(b'\n').map_while(Result::ok) {
        let Some((start, name)) = function(&line) else { continue };
        // Places behind the start of this function, but not behind that of a later one.
        for place in places.range(start..) {
            match nearest.get(place) {
                Some((known, _)) if *known >= start => {}
                _ => drop(nearest.insert(*place, (start, name.to_owned()))),
            }
        }
    }
    nearest.into_iter().map(|(place, (_, name))| (place, name)).collect()
}

/// The start and the name in a line such as `ffffffff81000000 T _stext`; none of what is no function.
fn function(line: &[u8]) -> Option<(u64, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let start = u64::from_str_radix(words.next()?, 16).ok()?;
    let is_code = matches!(words.next()?, "t" | "T" | "w" | "W");
    let name = words.next()?;
    // Parts that the compiler has put elsewhere belong to the function that they are named after.
    let name = name.split(".cold").next().unwrap_or(name);
    let name = name.split(".isra").next().unwrap_or(name).split(".part").next().unwrap_or(name);
    (is_code && start != 0).then_some((start, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_have_places() {
        assert_eq!(function(b"ffffffff81a0 t ip_error.cold\t[mod]"), Some((0xffff_ffff_81a0, "ip_error")));
        assert_eq!(function(b"ffffffff81a0 D jiffies"), None);
        assert_eq!(function(b"0000000000000000 T hidden"), None);
    }
}
