//! Columns.

use super::theme::{Cell, Label, Theme};
use unicode_width::UnicodeWidthStr;

/// Rows with their columns aligned to the left, two blanks apart.
pub fn aligned<const N: usize>(rows: &[[Cell; N]], theme: Theme) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.text.width());
        }
    }
    rows.iter().map(|row| line(row, &widths, theme)).collect()
}

/// The first row of a table.
pub fn heading<const N: usize>(words: [&str; N]) -> [Cell; N] {
    words.map(|word| Cell::new(Label::Heading, word))
}

fn line<const N: usize>(row: &[Cell; N], widths: &[usize; N], theme: Theme) -> String {
    let filled = row.iter().rposition(|cell| !cell.text.is_empty()).map_or(0, |last| last + 1);
    let mut line = String::new();
    for (index, (cell, width)) in row.iter().zip(widths).take(filled).enumerate() {
        line.push_str(&theme.paint(cell.label, &cell.text));
        if index + 1 < filled {
            line.push_str(&" ".repeat(width - cell.text.width() + 2));
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_straight_under_wide_characters() {
        let row = |a: &str, b: &str, c: &str| [a, b, c].map(Cell::plain);
        let rows = [row("a", "印刷機", "c"), row("bb", "pc", ""), row("c", "", "x")];
        assert_eq!(aligned(&rows, Theme::Plain), "a   印刷機  c\nbb  pc\nc           x\n");
    }

    #[test]
    fn colours_take_no_room() {
        let rows = [[Cell::new(Label::Bad, "down"), Cell::plain("x")]];
        assert_eq!(aligned(&rows, Theme::Colour), "\x1b[1;31mdown\x1b[0m  x\n");
    }
}
