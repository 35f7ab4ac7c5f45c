//! The commands that a person would type for a step.
