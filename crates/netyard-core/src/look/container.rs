//! Which container a process is in, by the name of its control group (cgroups(7)).

/// `docker 0123456789ab`, `pod ...`, `podman ...`, `lxc NAME`; none for a process that is in none.
///
/// ```
/// use netyard_core::look::container_of;
/// let id = "4f2a".repeat(16);
/// let of = |group: &str| container_of(&format!("0::{group}\n"));
/// assert_eq!(of(&format!("/system.slice/docker-{id}.scope")).unwrap(), "docker 4f2a4f2a4f2a");
/// assert_eq!(of(&format!("/docker/{id}")).unwrap(), "docker 4f2a4f2a4f2a");
/// assert_eq!(of("/lxc.payload.web/init.scope").unwrap(), "lxc web");
/// assert_eq!(of("/user.slice/user-1000.slice"), None);
/// ```
#[must_use]
pub fn container_of(cgroup: &str) -> Option<String> {
    cgroup.lines().find_map(|line| of_group(line.splitn(3, ':').nth(2)?))
}

fn of_group(group: &str) -> Option<String> {
    let parts: Vec<&str> = group.split('/').collect();
    let is_pod = parts.iter().any(|part| part.starts_with("kubepods"));
    for (at, part) in parts.iter().enumerate().rev() {
        let name = part.strip_suffix(".scope").unwrap_or(part);
        if let Some(rest) = name.strip_prefix("lxc.payload.") {
            return Some(format!("lxc {rest}"));
        }
        let (engine, id) = name.rsplit_once('-').unwrap_or(("", name));
        if id.len() != 64 || !id.bytes().all(|b| b.is_ascii_hexdigit()) {
            continue;
        }
        let above = at.checked_sub(1).and_then(|above| parts.get(above)).copied().unwrap_or_default();
        let kind = match (engine, above) {
            _ if is_pod => "pod",
            ("docker", _) | (_, "docker") => "docker",
            ("libpod", _) | (_, "libpod_parent") => "podman",
            _ => "container",
        };
        return Some(format!("{kind} {}", &id[..12]));
    }
    None
}
