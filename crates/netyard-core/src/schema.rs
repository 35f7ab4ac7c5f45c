//! The JSON Schema of lab files.
