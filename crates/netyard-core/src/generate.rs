//! Lab files of regular shapes, for experiments and measurements: star, line, ring, tree.

mod cidr;
mod line;
mod ring;
mod sheet;
mod star;
mod tree;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// A regular shape of a lab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Shape {
    /// Hosts on one network behind a router that masquerades, and the internet.
    Star,
    /// Routers in a line with a host at each end.
    Line,
    /// Routers in a ring, each with a host.
    Ring,
    /// A binary tree of routers with a host at each leaf.
    Tree,
}

/// Why there is no lab of a shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShapeError {
    /// The word names no shape.
    Unknown(String),
    /// The shape does not exist in this size.
    Size {
        /// The shape.
        shape: Shape,
        /// The size that was asked for.
        size: usize,
    },
}

impl Shape {
    /// All shapes.
    pub const ALL: [Self; 4] = [Self::Star, Self::Line, Self::Ring, Self::Tree];

    /// The word for it, which is also the name of the lab.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Star => "star",
            Self::Line => "line",
            Self::Ring => "ring",
            Self::Tree => "tree",
        }
    }

    /// What its size counts.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Star => "hosts",
            Self::Line | Self::Ring | Self::Tree => "routers",
        }
    }

    /// The sizes that it exists in.
    ///
    /// A line is as long as a packet can travel: a TTL is at most 255. Rings and trees number their networks by one
    /// octet, and trees give each level two bits of the address.
    #[must_use]
    pub fn sizes(self) -> RangeInclusive<usize> {
        match self {
            Self::Star => 1..=5000,
            Self::Line => 1..=254,
            Self::Tree => 1..=255,
            Self::Ring => 3..=255,
        }
    }
}

/// The lab file of a shape.
///
/// The same shape and size give the same text. Its `expect:` entries state the shape: who reaches whom over how many
/// routers, and by which path.
///
/// ```
/// use netyard_core::generate::{Shape, generate};
/// let text = generate(Shape::Star, 100).unwrap();
/// assert!(text.contains("h[1-100]: { links: [lan] }"));
/// ```
///
/// # Errors
/// [`ShapeError::Size`] when the size is not one of [`Shape::sizes`].
pub fn generate(shape: Shape, size: usize) -> Result<String, ShapeError> {
    if !shape.sizes().contains(&size) {
        return Err(ShapeError::Size { shape, size });
    }
    let sheet = match shape {
        Shape::Star => star::sheet(size),
        Shape::Line => line::sheet(size),
        Shape::Ring => ring::sheet(size),
        Shape::Tree => tree::sheet(size),
    };
    Ok(sheet.text(shape, size))
}

impl FromStr for Shape {
    type Err = ShapeError;
    fn from_str(text: &str) -> Result<Self, ShapeError> {
        let shape = Self::ALL.into_iter().find(|shape| shape.as_str() == text);
        shape.ok_or_else(|| ShapeError::Unknown(text.to_owned()))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => {
                let known = Shape::ALL.map(Shape::as_str).join(", ");
                write!(f, "no shape is called `{text}`; there are {known}")
            }
            Self::Size { shape, size } => {
                let (first, last) = shape.sizes().into_inner();
                write!(f, "a {shape} of {size} {} is not made; {first} to {last} are", shape.unit())
            }
        }
    }
}

impl std::error::Error for ShapeError {}

#[cfg(test)]
mod tests;
