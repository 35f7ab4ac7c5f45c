//! Pictures as they are seen, kept as files in `snapshots/`.

use super::examples::*;
use super::*;

/// Compares a text with a file; where they differ, the message shows the text as it is to be put there.
macro_rules! check {
    ($name:literal, $text:expr) => {{
        let (text, expected) = ($text, include_str!(concat!("snapshots/", $name)));
        assert!(text == expected, "snapshots/{} was\n{expected}\nand is now\n{text}", $name);
    }};
}

fn plain(lab: &crate::lab::Lab, width: usize) -> String {
    unicode(&Picture::of_lab(lab), width, Style::Plain)
}

#[test]
fn the_home_network_fits_every_width() {
    check!("home-139.txt", plain(&home(), 139));
    check!("home-100.txt", plain(&home(), 100));
    check!("home-80.txt", plain(&home(), 80));
    check!("home-60.txt", plain(&home(), 60));
    check!("home-40.txt", plain(&home(), 40));
    check!("home-20.txt", plain(&home(), 20));
}

#[test]
fn ascii_has_the_same_picture() {
    let picture = Picture::of_lab(&home());
    let text = ascii(&picture, 139, Style::Plain);
    assert!(text.is_ascii());
    check!("home-139-ascii.txt", text);
}

#[test]
fn one_cable_is_one_wire() {
    check!("cable.txt", plain(&cable(), 80));
}

#[test]
fn two_routers_stand_between_their_networks() {
    check!("two-routers.txt", plain(&two_routers(), 200));
    check!("two-routers-80.txt", plain(&two_routers(), 80));
}

#[test]
fn a_ring_is_round() {
    check!("ring.txt", unicode(&ring(6), 139, Style::Plain));
    check!("ring-60.txt", unicode(&ring(6), 60, Style::Plain));
}

#[test]
fn a_hundred_hosts_are_one_box() {
    check!("star.txt", plain(&star(100), 139));
    check!("star-8.txt", plain(&star(8), 139));
}

#[test]
fn japanese_keeps_the_boxes_straight() {
    check!("japanese.txt", plain(&japanese(), 160));
    check!("japanese-60.txt", plain(&japanese(), 60));
    check!("japanese-24.txt", plain(&japanese(), 24));
}

#[test]
fn a_link_that_is_down_has_a_cross_and_a_broken_wire() {
    let mut picture = Picture::of_lab(&home());
    assert!(picture.mark_down("printer", "eth0"));
    assert!(!picture.mark_down("printer", "eth7"));
    check!("down.txt", unicode(&picture, 139, Style::Plain));
}

#[test]
fn lone_nodes_and_no_nodes() {
    let mut picture = Picture::new("lone");
    assert_eq!(unicode(&picture, 80, Style::Plain), "");
    picture.add(Block::node("a", Role::Host).port(Port::new("eth0")));
    picture.add(Block::node("b", Role::Host));
    check!("lone.txt", unicode(&picture, 80, Style::Plain));
}

#[test]
fn paint_comes_from_the_caller() {
    let mut picture = Picture::new("paint");
    picture.add(Block::node("a", Role::Host).port(Port::new("eth0")));
    let paint = |paint: Paint, text: &str| match paint {
        Paint::Title(Role::Host) => format!("[{text}]"),
        _ => text.to_owned(),
    };
    assert!(unicode(&picture, 80, Style::Painted(&paint)).starts_with("╭─[ a ]── host ─╮\n"));
}

#[test]
fn documents_for_other_programs() {
    let mut picture = Picture::of_lab(&japanese());
    picture.mark_down("printer", "eth0");
    picture.blocks[0].caption = Some("<&\"'>".to_owned());
    check!("home.svg", svg(&picture));
    check!("home.mmd", mermaid(&picture));
    check!("home.dot", dot(&picture));
}
