//! Lab files of regular shapes.
