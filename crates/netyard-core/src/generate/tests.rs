use super::*;

#[test]
#[allow(clippy::disallowed_methods)]
fn look() {
    let _ = std::fs::create_dir_all("/tmp/gen");
    for (shape, size) in [
        (Shape::Star, 1),
        (Shape::Star, 5),
        (Shape::Star, 100),
        (Shape::Star, 253),
        (Shape::Star, 254),
        (Shape::Star, 1000),
        (Shape::Star, 1001),
        (Shape::Star, 5000),
        (Shape::Line, 1),
        (Shape::Line, 2),
        (Shape::Line, 5),
        (Shape::Line, 200),
        (Shape::Ring, 3),
        (Shape::Ring, 6),
        (Shape::Ring, 7),
        (Shape::Ring, 200),
        (Shape::Tree, 1),
        (Shape::Tree, 2),
        (Shape::Tree, 7),
        (Shape::Tree, 12),
        (Shape::Tree, 200),
    ] {
        std::fs::write(format!("/tmp/gen/{shape}{size}.yaml"), generate(shape, size).unwrap()).unwrap();
    }
}
