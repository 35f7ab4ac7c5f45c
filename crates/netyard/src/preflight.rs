//! Before a lab is built: does this kernel have what it needs?
//!
//! Only what kernels leave out is tried beforehand ([`Kind::is_rare`]), so that an ordinary lab waits for nothing. What
//! every kernel should have is tried when it was refused, to say what is missing.

use crate::error::{Error, Result};
use netyard_core::feature::{Kind, Need};
use netyard_kernel::feature::{Availability, Features, Reason, probe_of};

/// Refuses a lab that needs a rare part of the kernel which this one lacks.
///
/// # Errors
/// What is missing, what of the lab needs it, and what helps.
pub(crate) fn check(needs: &[Need]) -> Result<()> {
    let rare: Vec<Need> = needs.iter().filter(|need| need.kind.is_rare()).cloned().collect();
    lacking(&rare).map_or(Ok(()), Err)
}

/// Says of a refusal by the kernel that a part of it is missing, where that is so.
pub(crate) fn explained(error: Error, needs: &[Need]) -> Error {
    if error.code != "K001" {
        return error;
    }
    match lacking(needs) {
        Some(lacking) => error.notes.iter().fold(lacking, Error::note),
        None => error,
    }
}

fn lacking(needs: &[Need]) -> Option<Error> {
    if needs.is_empty() {
        return None;
    }
    let kinds: Vec<Kind> = needs.iter().map(|need| need.kind).collect();
    // Where no namespace is to be had nothing can be tried; the lab itself will meet that refusal, and tell it.
    refusal(needs, &probe_of(&kinds))
}

/// What to say of the needs that were tried in vain.
fn refusal(needs: &[Need], found: &Features) -> Option<Error> {
    let mut missing = found.list.iter().filter_map(|feature| match &feature.availability {
        Availability::Missing(reason) => Some((feature.kind, reason)),
        Availability::Available | Availability::Untried => None,
    });
    let (kind, reason) = missing.next()?;
    let Reason { why, remedy } = reason;
    let mut error = Error::kernel("K002", format!("this kernel has no {}", words(kind)))
        .note(needed_by(needs, kind))
        .note(format!("kernel: {why}"));
    error.help.clone_from(remedy);
    for (kind, _) in missing {
        error = error.note(format!("it has no {} either: {}", words(kind), needed_by(needs, kind)));
    }
    Some(error)
}

/// Its name, and what it is built from.
fn words(kind: Kind) -> String {
    let noun = kind.noun();
    match kind.module() {
        ("", _) => noun.to_owned(),
        (module, option) => format!("{noun} ({option}; module {module})"),
    }
}

fn needed_by(needs: &[Need], kind: Kind) -> String {
    let mut of_kind = needs.iter().filter(|need| need.kind == kind);
    let first = of_kind.next().map(ToString::to_string).unwrap_or_default();
    match of_kind.count() {
        0 => format!("needed by {first}"),
        1 => format!("needed by {first}, and by 1 other"),
        others => format!("needed by {first}, and by {others} others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netyard_core::feature::Place;
    use netyard_kernel::feature::Feature;

    fn missing(kind: Kind, remedy: &str) -> Feature {
        let why = "No such file or directory (os error 2): Specified qdisc kind is unknown".to_owned();
        Feature { kind, availability: Availability::Missing(Reason { why, remedy: Some(remedy.to_owned()) }) }
    }

    fn need(kind: Kind, node: &str, keys: &[&'static str]) -> Need {
        let place = Place::Interface(node.parse().unwrap(), "eth0".parse().unwrap());
        Need { kind, place, keys: keys.to_vec() }
    }

    #[test]
    fn what_is_missing_is_told_with_what_needs_it_and_what_helps() {
        let needs = [
            need(Kind::Tbf, "slow", &["rate"]),
            need(Kind::Netem, "far", &["delay", "jitter"]),
            need(Kind::Netem, "near", &["loss"]),
        ];
        let tbf = Feature { kind: Kind::Tbf, availability: Availability::Available };
        let list = vec![tbf, missing(Kind::Netem, "`sudo modprobe sch_netem`")];
        let error = refusal(&needs, &Features { no_namespaces: None, list }).unwrap();
        assert_eq!(
            error.to_string(),
            "error[K002]: this kernel has no netem qdisc (CONFIG_NET_SCH_NETEM; module sch_netem)\n  \
             = needed by `delay` and `jitter` of node `far`, interface `eth0`, and by 1 other\n  \
             = kernel: No such file or directory (os error 2): Specified qdisc kind is unknown\n  \
             = help: `sudo modprobe sch_netem`"
        );
    }

    #[test]
    fn all_that_is_missing_is_told() {
        let needs = [need(Kind::Tbf, "slow", &["rate"]), need(Kind::Netem, "far", &["delay"])];
        let list = vec![missing(Kind::Tbf, "`sudo modprobe sch_tbf`"), missing(Kind::Netem, "")];
        let error = refusal(&needs, &Features { no_namespaces: None, list }).unwrap();
        assert!(error.title.contains("tbf qdisc"), "{error}");
        let other = "it has no netem qdisc (CONFIG_NET_SCH_NETEM; module sch_netem) either: \
                     needed by `delay` of node `far`, interface `eth0`";
        assert!(error.notes.iter().any(|note| note == other), "{error}");
    }

    #[test]
    fn what_is_there_or_could_not_be_tried_is_no_refusal() {
        let needs = [need(Kind::Netem, "far", &["delay"])];
        for availability in [Availability::Available, Availability::Untried] {
            let list = vec![Feature { kind: Kind::Netem, availability }];
            assert_eq!(refusal(&needs, &Features { no_namespaces: None, list }), None);
        }
    }
}
