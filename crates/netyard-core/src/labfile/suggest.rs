//! "Did you mean": the known word nearest to a wrong one.

/// The candidate with the fewest edits to `word`, if they are few for its length.
///
/// ```
/// use netyard_core::labfile::nearest;
/// assert_eq!(nearest("pritner", ["pc", "printer"]), Some("printer"));
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = normal(word);
    let edits_max = (wanted.chars().count() / 3).min(3);
    let near = candidates.into_iter().filter_map(|candidate| {
        let edits = if normal(candidate) == wanted { 0 } else { edits(&wanted, candidate, edits_max)? };
        Some((edits, candidate))
    });
    near.min_by_key(|(edits, _)| *edits).map(|(_, candidate)| candidate)
}

fn normal(word: &str) -> String {
    word.trim().to_lowercase().replace('_', "-")
}

/// Insertions, deletions, changes and swaps of neighbours from `a` to `b`; none when more than `max`.
fn edits(a: &str, b: &str, max: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Long texts are no misspelt words; this also bounds the work.
    if a.len() > 64 || b.len() > 64 || a.len().abs_diff(b.len()) > max {
        return None;
    }
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = change.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    Some(rows[a.len()][b.len()]).filter(|edits| *edits <= max)
}

/// Words as a list for a sentence: "a, b or c".
pub(crate) fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_not() {
        let known = ["masquerade", "forward", "firewall", "links", "seen-as"];
        assert_eq!(nearest("masqurade", known), Some("masquerade"));
        assert_eq!(nearest("fowrard", known), Some("forward"));
        assert_eq!(nearest("seen_as", known), Some("seen-as"));
        assert_eq!(nearest("Links", known), Some("links"));
        assert_eq!(nearest("quux", known), None);
        assert_eq!(nearest("ip", ["up", "in"]), None);
    }
}
