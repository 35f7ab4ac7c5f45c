//! Pictures as they are seen.

use super::examples::*;
use super::*;

#[test]
fn look() {
    for w in [139, 100, 80, 60, 40, 20] {
        println!("== {w}\n{}", unicode(&Picture::of_lab(&home()), w, Style::Plain));
    }
    println!("{}", ascii(&Picture::of_lab(&home()), 139, Style::Plain));
    println!("{}", unicode(&Picture::of_lab(&star(8)), 139, Style::Plain));
    println!("{}", unicode(&Picture::of_lab(&star(100)), 139, Style::Plain));
    println!("{}", unicode(&ring(6), 139, Style::Plain));
    println!("{}", unicode(&ring(5), 60, Style::Plain));
}
