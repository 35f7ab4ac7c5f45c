//! Ports that have a name in filters and in lines about packets.

/// Number and name (services(5)) of those that are met in lessons.
pub const SERVICES: [(u16, &str); 6] =
    [(22, "ssh"), (53, "domain"), (67, "bootps"), (68, "bootpc"), (80, "http"), (443, "https")];
