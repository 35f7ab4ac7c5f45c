//! What this kernel can do for us, found by trying it in a namespace that is thrown away.
//!
//! Nothing is looked up in a version number or a configuration file: a module may be missing, forbidden or built in.

mod attempt;
mod facts;
mod throwaway;

pub use facts::{BridgeNetfilter, Facts, ForwardPolicy, IdRange, facts, own_subordinates};
pub use netyard_core::feature::Kind;
pub use throwaway::{Refused, Stage, in_throwaway_namespace};

use crate::netlink::Refusal;
use std::fs;
use std::io;

/// What was found of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feature {
    /// What was tried.
    pub kind: Kind,
    /// How it went.
    pub availability: Availability,
}

/// How an attempt went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Availability {
    /// It worked.
    Available,
    /// The kernel refused.
    Missing(Reason),
    /// There was no namespace to try it in.
    Untried,
}

/// Why something does not work, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// What was refused, in the kernel's words.
    pub why: String,
    /// What helps; none where nothing is known to.
    pub remedy: Option<String>,
}

/// What the kernel can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// Why user and network namespaces are refused; none where they are to be had.
    pub no_namespaces: Option<Reason>,
    /// One entry for each kind that was asked for, in the order of [`Kind::ALL`].
    pub list: Vec<Feature>,
}

impl Features {
    /// Whether this kind works.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.list.iter().any(|f| f.kind == kind && f.availability == Availability::Available)
    }
}

/// Tries everything, in a child process with a user and a network namespace of its own.
///
/// Takes some milliseconds and leaves nothing behind. Works for an ordinary user and for root; see
/// [`in_throwaway_namespace`] for what the calling process must heed. Same as `unshare -Urn` and then
/// `ip link add type veth`, `tc qdisc add ...` and so on.
///
/// ```no_run
/// use netyard_kernel::feature::{Kind, probe};
/// if !probe().has(Kind::Netem) {
///     eprintln!("no delay on links");
/// }
/// ```
#[must_use]
pub fn probe() -> Features {
    probe_of(&Kind::ALL)
}

/// As [`probe`], of these kinds only.
#[must_use]
pub fn probe_of(wanted: &[Kind]) -> Features {
    // Others are tried on the veth pair and the bridge.
    let is_tried = |kind: &Kind| wanted.contains(kind) || matches!(kind, Kind::Veth | Kind::Bridge);
    let tried: Vec<Kind> = Kind::ALL.into_iter().filter(is_tried).collect();
    let try_all = || tried.iter().flat_map(|kind| answer(attempt_harmless(*kind))).collect();
    let (no_namespaces, mut list) = match in_throwaway_namespace(try_all) {
        Ok(answers) => (None, read_answers(&tried, &answers)),
        Err(refused) => (Some(no_namespaces(refused, &Surroundings::read())), read_answers(&tried, &[])),
    };
    list.retain(|feature| wanted.contains(&feature.kind));
    Features { no_namespaces, list }
}

/// The first attempt at a kind makes the kernel load its module, for the whole machine. All are silent there but
/// one: `dummy` adds a link `dummy0` to the host when it is loaded (`numdummies`, drivers/net/dummy.c).
fn attempt_harmless(kind: Kind) -> Result<(), Refusal> {
    if kind == Kind::Dummy && !std::path::Path::new("/sys/module/dummy").exists() {
        let words = "the module is not loaded, and loading it would add a link `dummy0` to the host";
        return Err(Refusal { index: 0, errno: libc::EOPNOTSUPP, message: Some(words.to_owned()) });
    }
    attempt::attempt(kind)
}

/// An outcome as the child tells it: error number (4 bytes, 0 for success), length of the kernel's words (1), words.
fn answer(outcome: Result<(), Refusal>) -> Vec<u8> {
    let (errno, words) = match outcome {
        Ok(()) => (0, String::new()),
        Err(refusal) => (refusal.errno, refusal.message.unwrap_or_default()),
    };
    let words = &words.as_bytes()[..words.len().min(usize::from(u8::MAX))];
    let len = u8::try_from(words.len()).expect("cut to 255 bytes");
    [&errno.to_ne_bytes()[..], &[len], words].concat()
}

fn read_answers(tried: &[Kind], mut bytes: &[u8]) -> Vec<Feature> {
    let mut next = || {
        let (head, rest) = bytes.split_at_checked(5)?;
        let errno = i32::from_ne_bytes(head[..4].try_into().ok()?);
        let (words, rest) = rest.split_at_checked(usize::from(head[4]))?;
        bytes = rest;
        Some((errno, String::from_utf8_lossy(words).into_owned()))
    };
    let availability = |kind: Kind, answer: Option<(i32, String)>| match answer {
        Some((0, _)) => Availability::Available,
        Some((errno, words)) => Availability::Missing(missing(kind, errno, &words)),
        None => Availability::Untried,
    };
    tried.iter().map(|kind| Feature { kind: *kind, availability: availability(*kind, next()) }).collect()
}

/// Why a kind does not work, and what helps.
fn missing(kind: Kind, errno: i32, words: &str) -> Reason {
    let error = os_words(errno);
    let why = if words.is_empty() { error } else { format!("{error}: {words}") };
    let remedy = match (kind, errno) {
        (Kind::FreshProc, libc::EPERM) => Some(
            "in a container whose /proc is masked: start it with `--security-opt systempaths=unconfined` \
             (Docker, Podman: `--security-opt unmask=ALL`)"
                .to_owned(),
        ),
        (Kind::FreshProc, _) => None,
        (Kind::Ipv6, _) => Some("boot without `ipv6.disable=1`, or use a kernel with CONFIG_IPV6".to_owned()),
        _ => {
            let (module, option) = kind.module();
            Some(if is_installed(module) {
                let options = if kind == Kind::Dummy { " numdummies=0" } else { "" };
                format!("`sudo modprobe {module}{options}`")
            } else {
                format!(
                    "use a kernel with {option} (module `{module}`); those of Debian, Ubuntu and Fedora have it"
                )
            })
        }
    };
    Reason { why, remedy }
}

/// Whether a module's file lies ready for the running kernel (`modules.dep` of depmod(8)).
fn is_installed(module: &str) -> bool {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    let list = fs::read_to_string(format!("/lib/modules/{release}/modules.dep")).unwrap_or_default();
    let file = format!("/{module}.ko");
    list.lines().filter_map(|line| line.split(':').next()).any(|path| {
        path.rsplit_once(&file)
            .is_some_and(|(_, compression)| compression.is_empty() || compression.starts_with('.'))
    })
}

/// What of the machine decides why namespaces are refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Surroundings {
    user_namespaces_max: Option<u64>,
    net_namespaces_max: Option<u64>,
    apparmor_restricts: bool,
    debian_forbids: bool,
    seccomp_filters: bool,
    program: String,
}

impl Surroundings {
    fn read() -> Self {
        let number = |path: &str| facts::number(path);
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let program = std::env::current_exe().unwrap_or_default();
        Self {
            user_namespaces_max: number("/proc/sys/user/max_user_namespaces"),
            net_namespaces_max: number("/proc/sys/user/max_net_namespaces"),
            apparmor_restricts: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1),
            debian_forbids: number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0),
            // Mode 2 is a filter of system calls, which is what container engines install.
            seccomp_filters: status.lines().any(|l| l.split_whitespace().eq(["Seccomp:", "2"])),
            program: program.to_string_lossy().into_owned(),
        }
    }
}

/// Why there is no namespace of our own, and what helps.
fn no_namespaces(refused: Refused, around: &Surroundings) -> Reason {
    let step = match refused.stage {
        Stage::Fork => "cannot start a process",
        Stage::UserNamespace => "cannot make a user namespace",
        Stage::IdMap => "cannot map users in a new user namespace",
        Stage::NetworkNamespace => "cannot make a network namespace in a new user namespace",
        Stage::Child => "the process that tried namespaces ended without an answer",
    };
    let why = match refused.errno {
        0 => step.to_owned(),
        errno => format!("{step}: {}", os_words(errno)),
    };
    Reason { why, remedy: remedy(refused, around) }
}

fn remedy(refused: Refused, around: &Surroundings) -> Option<String> {
    let Surroundings { program, .. } = around;
    let limit = |name: &str, max: Option<u64>| {
        let now = max.map_or_else(String::new, |max| format!("; now {max}, all in use or none allowed"));
        Some(format!("`sudo sysctl user.{name}=10000`{now}"))
    };
    let apparmor = format!(
        "AppArmor refuses: write to /etc/apparmor.d/netyard `abi <abi/4.0>, include <tunables/global> profile netyard \
         {program} flags=(unconfined) {{ userns, }}` and run `sudo apparmor_parser -r /etc/apparmor.d/netyard`, or until \
         the next boot `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
    );
    let container = "in a container: start it with `--security-opt seccomp=unconfined`";
    match (refused.stage, refused.errno) {
        (Stage::UserNamespace, libc::ENOSPC | libc::EUSERS) => {
            limit("max_user_namespaces", around.user_namespaces_max)
        }
        (Stage::NetworkNamespace, libc::ENOSPC) => limit("max_net_namespaces", around.net_namespaces_max),
        (_, libc::EPERM | libc::EACCES) if around.apparmor_restricts => Some(apparmor),
        (Stage::UserNamespace, libc::EPERM) if around.debian_forbids => {
            Some("`sudo sysctl kernel.unprivileged_userns_clone=1`".to_owned())
        }
        (_, libc::EPERM) if around.seccomp_filters => Some(container.to_owned()),
        (Stage::UserNamespace, libc::EPERM) => {
            Some("a process in a chroot may not make user namespaces; start it outside".to_owned())
        }
        (Stage::UserNamespace, libc::EINVAL | libc::ENOSYS) => {
            Some("use a kernel with CONFIG_USER_NS".to_owned())
        }
        (Stage::NetworkNamespace, libc::EINVAL) => Some("use a kernel with CONFIG_NET_NS".to_owned()),
        _ => None,
    }
}

/// An error number in the system's words and by its name where it decides something here.
fn os_words(errno: i32) -> String {
    io::Error::from_raw_os_error(errno).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remedy_of(stage: Stage, errno: i32, around: Surroundings) -> String {
        no_namespaces(Refused { stage, errno }, &around).remedy.expect("there is one")
    }

    #[test]
    fn each_refusal_of_namespaces_has_its_remedy() {
        let around = || Surroundings { program: "/usr/bin/netyard".into(), ..Surroundings::default() };
        let full = Surroundings { user_namespaces_max: Some(0), ..around() };
        let words = remedy_of(Stage::UserNamespace, libc::ENOSPC, full);
        assert!(words.contains("sysctl user.max_user_namespaces") && words.contains("now 0"), "{words}");
        let words = remedy_of(Stage::NetworkNamespace, libc::ENOSPC, around());
        assert!(words.contains("user.max_net_namespaces"), "{words}");
        let ubuntu = || Surroundings { apparmor_restricts: true, ..around() };
        for stage in [Stage::UserNamespace, Stage::IdMap, Stage::NetworkNamespace] {
            let words = remedy_of(stage, libc::EPERM, ubuntu());
            assert!(words.contains("profile netyard /usr/bin/netyard"), "{words}");
        }
        let docker = Surroundings { seccomp_filters: true, ..around() };
        let words = remedy_of(Stage::UserNamespace, libc::EPERM, docker);
        assert!(words.contains("seccomp=unconfined"), "{words}");
        let debian = Surroundings { debian_forbids: true, ..around() };
        let words = remedy_of(Stage::UserNamespace, libc::EPERM, debian);
        assert!(words.contains("unprivileged_userns_clone=1"), "{words}");
    }

    #[test]
    fn a_missing_kind_has_the_kernels_words_and_a_remedy() {
        let reason = missing(Kind::Netem, libc::ENOENT, "Specified qdisc kind is unknown.");
        assert!(reason.why.ends_with("Specified qdisc kind is unknown."), "{}", reason.why);
        assert!(reason.remedy.is_some_and(|r| r.contains("sch_netem")));
        let masked = missing(Kind::FreshProc, libc::EPERM, "").remedy;
        assert!(masked.is_some_and(|r| r.contains("systempaths=unconfined")));
    }

    #[test]
    fn answers_read_back_and_missing_ones_count_as_untried() {
        let refusal = Refusal { index: 0, errno: libc::ENOENT, message: Some("no".repeat(200)) };
        let bytes = [answer(Ok(())), answer(Err(refusal)), vec![1, 2]].concat();
        let list = read_answers(&Kind::ALL, &bytes);
        assert_eq!(list.len(), Kind::ALL.len());
        assert_eq!(list[0].availability, Availability::Available);
        assert!(matches!(&list[1].availability, Availability::Missing(r) if r.why.contains("nono")));
        assert!(list[2..].iter().all(|f| f.availability == Availability::Untried));
    }
}
