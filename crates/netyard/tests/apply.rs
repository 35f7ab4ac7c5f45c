//! Steps against the real kernel: what was asked for is what is read back.
//!
//! Every test works in namespaces of its own, which go with it. They need the right to make some: root, or a user
//! namespace.

mod lab;

use lab::{built, home, host_links, live};

#[test]
fn the_home_lab_reads_back_as_it_was_asked_for() {
    let before = host_links();
    let wanted = home();
    let mut namespaces = built(&wanted);
    assert_eq!(live(&mut namespaces, &wanted), wanted);
    assert_eq!(host_links(), before);
}
