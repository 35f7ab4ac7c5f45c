//! Problems of a lab file, shown at their place.
