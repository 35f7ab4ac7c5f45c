//! Lab files: text to lab.
