//! What a lab wants from the kernel.
