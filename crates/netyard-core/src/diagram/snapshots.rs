//! Pictures as they are seen.

use super::examples::*;
use super::*;

#[test]
#[allow(clippy::disallowed_methods)]
fn look() {
    let mut home = Picture::of_lab(&home());
    home.blocks[0].caption = Some("パソコン".to_owned());
    home.mark_down("printer", "eth0");
    let _ = std::fs::create_dir_all("/tmp/dia");
    let star = Picture::of_lab(&star(8));
    for (name, picture) in [("home", &home), ("ring", &ring(6)), ("star", &star)] {
        std::fs::write(format!("/tmp/dia/{name}.svg"), svg(picture)).unwrap();
        std::fs::write(format!("/tmp/dia/{name}.dot"), dot(picture)).unwrap();
        std::fs::write(format!("/tmp/dia/{name}.mmd"), mermaid(picture)).unwrap();
        println!("{}", unicode(picture, 139, Style::Plain));
    }
}
