//! The engine.

pub mod apply;
pub mod fault;
pub mod live;
pub mod namespaces;
pub mod ready;
mod request;
mod tables;
