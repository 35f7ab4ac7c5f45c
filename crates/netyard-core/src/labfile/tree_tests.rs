use super::*;

fn tree(text: &str) -> Result<Tree, Vec<Diagnostic>> {
    let mut problems = Vec::new();
    let tree = read(&Source::new("t.yaml", text), &mut problems);
    if problems.is_empty() { Ok(tree.unwrap()) } else { Err(problems) }
}

fn codes(text: &str) -> Vec<&'static str> {
    tree(text).unwrap_err().iter().map(|d| d.code.as_str()).collect()
}

/// Every scalar and container with the text of its span.
fn spans(tree: &Tree, text: &str, out: &mut Vec<String>) {
    let part = &text[tree.span.start..tree.span.end];
    match &tree.value {
        Value::Null => out.push(format!("null {part:?}")),
        Value::Scalar { text, is_quoted } => {
            out.push(format!("{text:?}{} {part:?}", if *is_quoted { "q" } else { "" }))
        }
        Value::List(items) => {
            out.push(format!("list {part:?}"));
            items.iter().for_each(|item| spans(item, text, out));
        }
        Value::Map(entries) => {
            out.push(format!("map {part:?}"));
            for entry in entries {
                out.push(format!("key {:?}", &text[entry.key_span.start..entry.key_span.end]));
                spans(&entry.value, text, out);
            }
        }
    }
}

fn check_spans(text: &str, expected: &[&str]) {
    let mut out = Vec::new();
    spans(&tree(text).unwrap(), text, &mut out);
    assert_eq!(out, expected);
}

#[test]
fn scalars_stay_text_and_have_places() {
    check_spans(
        "a: 010\r\nb: [1.10, off, 'x y'] # c\r\n\"日本\": 本 \r\n# end\r\n",
        &[
            "map \"a: 010\\r\\nb: [1.10, off, 'x y'] # c\\r\\n\\\"日本\\\": 本\"",
            "key \"a\"",
            "\"010\" \"010\"",
            "key \"b\"",
            "list \"[1.10, off, 'x y']\"",
            "\"1.10\" \"1.10\"",
            "\"off\" \"off\"",
            "\"x y\"q \"'x y'\"",
            "key \"\\\"日本\\\"\"",
            "\"本\" \"本\"",
        ],
    );
}

#[test]
fn blocks_end_before_what_follows() {
    check_spans(
        "a:\n  b: 1\n\n# comment\nc:\nd: ~\n",
        &[
            "map \"a:\\n  b: 1\\n\\n# comment\\nc:\\nd: ~\"",
            "key \"a\"",
            "map \"b: 1\"",
            "key \"b\"",
            "\"1\" \"1\"",
            "key \"c\"",
            "null \"\"",
            "key \"d\"",
            "null \"~\"",
        ],
    );
}

#[test]
fn aliases_and_merge_keys_expand() {
    let text = "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n";
    let Value::Map(entries) = tree(text).unwrap().value else { panic!("a map") };
    let Value::Map(y) = &entries[1].value.value else { panic!("a map") };
    let keys: Vec<&str> = y.iter().map(|e| e.key.as_str()).collect();
    assert_eq!(keys, ["b", "a"]);
}

#[test]
fn bombs_are_refused() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for n in 1..10 {
        let prior = format!("*a{}", n - 1);
        bomb.push_str(&format!("a{n}: &a{n} [{}]\n", vec![prior; 10].join(", ")));
    }
    assert_eq!(codes(&bomb), ["Y004"]);
    let mut deep = String::from("a0: &a0 [x]\n");
    for n in 1..200 {
        deep.push_str(&format!("a{n}: &a{n} [*a{}]\n", n - 1));
    }
    assert_eq!(codes(&deep), ["Y003"]);
    assert_eq!(codes(&"[".repeat(100_000)), ["Y003"]);
    assert_eq!(codes("a: &a [*a]\n"), ["Y004"]);
    assert_eq!(codes(&"a".repeat(TEXT_LEN_MAX + 1)), ["Y002"]);
}
