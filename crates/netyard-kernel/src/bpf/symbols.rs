//! Names of the kernel's functions (`/proc/kallsyms`).

use std::io::{self, BufRead, BufReader};

/// All functions of the kernel, by the place where each begins.
#[derive(Debug, Default)]
pub struct Symbols {
    /// Where each begins, and where its name is in `names`; in order.
    starts: Vec<(u64, u32)>,
    /// One name after the other, a blank after each.
    names: String,
}

impl Symbols {
    /// Reads them. It takes some tens of milliseconds: there are a hundred thousand and more. None are there where the kernel
    /// does not tell whoever asks where its functions are (`kernel.kptr_restrict`).
    ///
    /// # Errors
    /// Those of reading the file.
    pub fn read() -> io::Result<Self> {
        let mut symbols = Self::default();
        let mut file = BufReader::with_capacity(1 << 16, std::fs::File::open("/proc/kallsyms")?);
        let mut line = Vec::new();
        while file.read_until(b'\n', &mut line)? > 0 {
            if let Some((start, name)) = function(&line) {
                symbols.add(start, name);
            }
            line.clear();
        }
        symbols.starts.sort_unstable();
        Ok(symbols)
    }

    fn add(&mut self, start: u64, name: &str) {
        let Ok(at) = u32::try_from(self.names.len()) else { return };
        self.starts.push((start, at));
        self.names.push_str(name);
        self.names.push(' ');
    }

    /// The function that a place is in.
    #[must_use]
    pub fn at(&self, place: u64) -> Option<&str> {
        let index = self.starts.partition_point(|(start, _)| *start <= place).checked_sub(1)?;
        let name = self.names[self.starts[index].1 as usize..].split(' ').next()?;
        // Parts that the compiler has put elsewhere belong to the function that they are named after.
        let ends = [".cold", ".isra", ".part", ".constprop"].iter().filter_map(|part| name.find(part));
        Some(&name[..ends.min().unwrap_or(name.len())])
    }
}

/// The start and the name in a line such as `ffffffff81000000 T _stext`; none of what is no function.
fn function(line: &[u8]) -> Option<(u64, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let start = u64::from_str_radix(words.next()?, 16).ok()?;
    let is_code = matches!(words.next()?, "t" | "T" | "w" | "W");
    (is_code && start != 0).then_some((start, words.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_in_the_function_that_begins_before_it() {
        let mut symbols = Symbols::default();
        for line in
            ["ffffffff81c0 T later", "ffffffff81a0 t ip_error.part.0.cold\t[mod]", "ffffffff81b0 D jiffies"]
        {
            if let Some((start, name)) = function(line.as_bytes()) {
                symbols.add(start, name);
            }
        }
        symbols.starts.sort_unstable();
        assert_eq!(symbols.at(0xffff_ffff_81bf), Some("ip_error"));
        assert_eq!(symbols.at(0xffff_ffff_81c0), Some("later"));
        assert_eq!(symbols.at(0xffff_ffff_819f), None);
        assert_eq!(function(b"0000000000000000 T hidden"), None);
    }
}
