//! Texts in lines of some columns: English between words, Japanese between characters.

use unicode_width::UnicodeWidthChar;

/// Characters that begin no line.
const NOT_FIRST: &str = "、。，．・？！）」』】〉》ーっゃゅょァィゥェォッャュョ…:;,.!?)]}";
/// Characters that end no line.
const NOT_LAST: &str = "（「『【〈《([{";

/// Lines of at most `width` columns. The lines of a paragraph are filled anew; an empty line ends it, and a line that
/// begins with a blank is not touched.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    paragraphs(text).into_iter().flat_map(|line| one(&line, width.max(10))).collect()
}

/// The paragraphs of a text, one line each.
fn paragraphs(text: &str) -> Vec<String> {
    let mut paragraphs: Vec<String> = Vec::new();
    let mut is_open = false;
    for line in text.trim_end().lines() {
        let is_text = !line.is_empty() && !line.starts_with(' ');
        match paragraphs.last_mut() {
            Some(last) if is_open && is_text => {
                // Japanese has no blanks between words, and so none between lines; beside Latin letters it has.
                let joint = match (last.chars().last(), line.chars().next()) {
                    (Some(before), Some(after)) if is_wide(before) && is_wide(after) => "",
                    (Some(before), _) if NOT_FIRST.contains(before) && is_wide(before) => "",
                    (_, Some(after)) if NOT_LAST.contains(after) && is_wide(after) => "",
                    _ => " ",
                };
                last.push_str(joint);
                last.push_str(line.trim_end());
            }
            _ => paragraphs.push(line.trim_end().to_owned()),
        }
        is_open = is_text;
    }
    paragraphs.iter().map(|line| without_folds(line)).collect()
}

/// The text without the blanks that YAML puts where it folds lines, after a stop of Japanese.
fn without_folds(line: &str) -> String {
    ["。", "、"].into_iter().fold(line.to_owned(), |line, stop| line.replace(&format!("{stop} "), stop))
}

fn one(line: &str, width: usize) -> Vec<String> {
    if line.starts_with(' ') || columns(line) <= width {
        return vec![line.to_owned()];
    }
    let mut lines = Vec::new();
    let mut current = String::new();
    for piece in pieces(line) {
        if columns(&current) + columns(piece.trim_end()) > width && !current.is_empty() {
            lines.push(current.trim_end().to_owned());
            current.clear();
        }
        current.push_str(piece);
    }
    lines.push(current.trim_end().to_owned());
    lines
}

fn is_wide(c: char) -> bool {
    c.width() == Some(2)
}

fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// What may not be divided, each piece with the blanks behind it.
fn pieces(line: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut start = 0;
    let chars: Vec<(usize, char)> = line.char_indices().collect();
    for pair in chars.windows(2) {
        let ((_, before), (at, after)) = (pair[0], pair[1]);
        let may_divide = before == ' ' && after != ' '
            || (is_wide(before) || is_wide(after))
                && after != ' '
                && !NOT_FIRST.contains(after)
                && !NOT_LAST.contains(before);
        // A word in backquotes stays whole.
        let is_quoted = line[..at].matches('`').count() % 2 == 1;
        if may_divide && !(is_quoted && before != ' ') {
            pieces.push(&line[start..at]);
            start = at;
        }
    }
    pieces.push(&line[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn english_breaks_between_words() {
        assert_eq!(wrap("one two three four", 10), ["one two", "three four"]);
        assert_eq!(wrap("  indented lines stay as they are", 10), ["  indented lines stay as they are"]);
    }

    #[test]
    fn japanese_breaks_between_characters_but_not_before_a_stop() {
        assert_eq!(wrap("ルーターがパケットを転送します。", 20), ["ルーターがパケットを", "転送します。"]);
        assert_eq!(wrap("あいうえおかきくけこ。さ", 20), ["あいうえおかきくけ", "こ。さ"]);
    }

    #[test]
    fn lines_of_a_paragraph_are_filled_anew() {
        assert_eq!(wrap("one\ntwo\n\nthree", 20), ["one two", "", "three"]);
        assert_eq!(wrap("帰りは\nsrc です。\n次\nへ", 40), ["帰りは src です。次へ"]);
    }
}
