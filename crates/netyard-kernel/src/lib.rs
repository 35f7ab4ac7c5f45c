//! The kernel door.
