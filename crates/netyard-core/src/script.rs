//! A plan as a bash script.
