use super::label::Labels;

#[test]
fn every_namespace_gets_a_name_of_its_own() {
    let mut labels = Labels::default();
    let names: Vec<String> =
        ["pc", "PC", "pc", "/run/netns/x y"].iter().map(|t| labels.give(t).to_string()).collect();
    assert_eq!(names, ["pc", "pc-2", "pc-3", "run-netns-x-y"]);
}
