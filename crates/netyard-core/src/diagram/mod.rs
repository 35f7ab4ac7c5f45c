//! Pictures of a lab.
