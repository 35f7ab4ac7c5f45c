//! The order of boxes in their columns: few crossings, by barycentres.

/// Rounds of sorting; more changed no picture of the examples.
const ROUNDS: usize = 6;

/// Sorts each column so that few wires cross; `columns` are sorted well already where the graph is a tree.
pub(super) fn untangle(columns: &mut Vec<Vec<usize>>, neighbours: &[Vec<usize>]) {
    let mut position = vec![0; neighbours.len()];
    place(columns, &mut position);
    let mut fewest = crossings(columns, neighbours, &position);
    let mut current = columns.clone();
    for round in 0..ROUNDS {
        if fewest == 0 {
            return;
        }
        sweep(&mut current, neighbours, &mut position, round % 2 == 0);
        let found = crossings(&current, neighbours, &position);
        if found < fewest {
            fewest = found;
            columns.clone_from(&current);
        }
    }
}

/// Writes down where each block stands in its column.
pub(super) fn place(columns: &[Vec<usize>], position: &mut [usize]) {
    for column in columns {
        for (place, block) in column.iter().enumerate() {
            position[*block] = place;
        }
    }
}

/// Sorts column after column by the mean position of the neighbours in the column sorted before.
fn sweep(columns: &mut [Vec<usize>], neighbours: &[Vec<usize>], position: &mut [usize], goes_left: bool) {
    let count = columns.len();
    for step in 1..count {
        let (fixed, free) = if goes_left { (count - step, count - step - 1) } else { (step - 1, step) };
        let is_fixed = membership(&columns[fixed], neighbours.len());
        let key = |block: &usize| {
            let places =
                neighbours[*block].iter().filter(|other| is_fixed[**other]).map(|other| position[*other]);
            let (sum, len) = places.fold((0, 0), |(sum, len), place| (sum + place, len + 1));
            // Thousandths keep the key an integer, which sorts without surprises.
            (sum * 1000usize).checked_div(len).unwrap_or(position[*block] * 1000)
        };
        let mut column = std::mem::take(&mut columns[free]);
        column.sort_by_cached_key(key);
        for (place, block) in column.iter().enumerate() {
            position[*block] = place;
        }
        columns[free] = column;
    }
}

fn membership(column: &[usize], len: usize) -> Vec<bool> {
    let mut is_member = vec![false; len];
    for block in column {
        is_member[*block] = true;
    }
    is_member
}

/// Crossings between adjacent columns: inversions of the right ends when the wires are sorted by their left ends.
fn crossings(columns: &[Vec<usize>], neighbours: &[Vec<usize>], position: &[usize]) -> usize {
    let between = |pair: &[Vec<usize>]| {
        let is_right = membership(&pair[1], neighbours.len());
        let mut ends = Vec::new();
        for block in &pair[0] {
            let mut places: Vec<usize> =
                neighbours[*block].iter().filter(|b| is_right[**b]).map(|b| position[*b]).collect();
            places.sort_unstable();
            ends.extend(places);
        }
        inversions(&ends, pair[1].len())
    };
    columns.windows(2).map(between).sum()
}

/// Pairs that stand in falling order, counted with a Fenwick tree.
fn inversions(places: &[usize], len: usize) -> usize {
    let mut tree = vec![0; len + 1];
    let mut total = 0;
    for (seen, place) in places.iter().enumerate() {
        let mut not_above = 0;
        let mut index = place + 1;
        while index > 0 {
            not_above += tree[index];
            index &= index - 1;
        }
        total += seen - not_above;
        let mut index = place + 1;
        while index <= len {
            tree[index] += 1;
            index += index & index.wrapping_neg();
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inversions_are_pairs_in_falling_order() {
        assert_eq!(inversions(&[0, 1, 2], 3), 0);
        assert_eq!(inversions(&[2, 1, 0], 3), 3);
        assert_eq!(inversions(&[1, 1, 0], 2), 2);
    }

    #[test]
    fn two_crossed_wires_are_untangled() {
        let neighbours = vec![vec![3], vec![2], vec![1], vec![0]];
        let mut columns = vec![vec![0, 1], vec![2, 3]];
        untangle(&mut columns, &neighbours);
        assert_eq!(columns[0].iter().map(|b| neighbours[*b][0]).collect::<Vec<_>>(), columns[1]);
    }
}
