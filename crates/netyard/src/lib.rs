//! The engine.

pub mod apply;
pub mod fault;
pub mod live;
pub mod namespaces;
mod request;
mod tables;
