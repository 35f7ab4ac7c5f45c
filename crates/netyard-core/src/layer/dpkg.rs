//! The status of installed packages (`/var/lib/dpkg/status`, deb822(5)).

use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Whether a text can be the name of a package (Debian policy 5.6.1), perhaps with its architecture.
#[must_use]
pub fn is_package_name(text: &str) -> bool {
    let (name, architecture) = text.split_once(':').unwrap_or((text, "any"));
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() >= 2
        && name.starts_with(is_word)
        && name.chars().all(|c| is_word(c) || "+-.".contains(c))
        && !architecture.is_empty()
        && architecture.chars().all(|c| is_word(c) || c == '-')
}

/// What a paragraph of the file tells.
struct Paragraph<'a>(&'a str);

impl<'a> Paragraph<'a> {
    fn field(&self, name: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn is_installed(&self) -> bool {
        self.field("Status").is_some_and(|status| status.ends_with(" installed"))
    }

    /// Names of packages that it depends on, alternatives too (deb-control(5)).
    fn needs(&self) -> impl Iterator<Item = &'a str> {
        let fields = ["Depends", "Pre-Depends"].into_iter().filter_map(|name| self.field(name));
        fields.flat_map(|list| list.split([',', '|'])).map(bare_name)
    }

    /// Its own name, and those for which it stands.
    fn provides(&self) -> impl Iterator<Item = &'a str> {
        let others = self.field("Provides").into_iter().flat_map(|list| list.split(',')).map(bare_name);
        self.field("Package").into_iter().chain(others)
    }

    /// Whether the system does not work without it.
    fn is_vital(&self) -> bool {
        self.field("Essential") == Some("yes") || self.field("Priority") == Some("required")
    }
}

/// ` libc6:any (>= 2.36)` without what is around the name.
fn bare_name(entry: &str) -> &str {
    let entry = entry.trim();
    entry.split([' ', ':', '(']).next().unwrap_or(entry)
}

fn paragraphs(status: &str) -> impl Iterator<Item = Paragraph<'_>> {
    status.split("\n\n").map(|text| Paragraph(text.trim_matches('\n'))).filter(|p| !p.0.is_empty())
}

/// The installed packages, by name.
#[must_use]
pub fn installed(status: &str) -> Vec<Package> {
    let package = |paragraph: Paragraph<'_>| {
        let text = |field| paragraph.field(field).map(str::to_owned);
        paragraph.is_installed().then_some(Package { name: text("Package")?, version: text("Version")? })
    };
    let mut packages: Vec<Package> = paragraphs(status).filter_map(package).collect();
    packages.sort();
    packages.dedup();
    packages
}

/// The architecture of the system: that of dpkg(1) itself.
///
/// ```
/// let status = "Package: dpkg\nStatus: install ok installed\nArchitecture: amd64\n";
/// assert_eq!(netyard_core::layer::dpkg::architecture(status), Some("amd64"));
/// ```
#[must_use]
pub fn architecture(status: &str) -> Option<&str> {
    paragraphs(status).find(|paragraph| paragraph.field("Package") == Some("dpkg"))?.field("Architecture")
}

/// The packages of the second status that the first does not have in that version.
#[must_use]
pub fn added(before: &str, after: &str) -> Vec<Package> {
    let before = installed(before);
    installed(after).into_iter().filter(|package| before.binary_search(package).is_err()).collect()
}

/// The packages that a simulated run of apt-get(8) replaces by other versions.
///
/// ```
/// let said = "Inst perl [5.36.0-7] (5.36.0-8 Debian:12/stable [amd64])\nInst hello (2.10 Debian:12/stable [amd64])\n";
/// assert_eq!(netyard_core::layer::dpkg::upgraded(said), ["perl"]);
/// ```
#[must_use]
pub fn upgraded(said: &str) -> Vec<&str> {
    let replaced = |line| {
        let (name, rest) = str::strip_prefix(line, "Inst ")?.split_once(' ')?;
        rest.starts_with('[').then(|| bare_name(name))
    };
    said.lines().filter_map(replaced).collect()
}

/// The status without these packages, as if they had never been installed, and the names of those that it had.
///
/// What the system does not work without stays, and so does what a package that stays depends on.
#[must_use]
pub fn without(status: &str, names: &[String]) -> (String, Vec<String>) {
    let all: Vec<Paragraph<'_>> = paragraphs(status).collect();
    let is_asked = |paragraph: &&Paragraph<'_>| {
        let name = paragraph.field("Package");
        !paragraph.is_vital() && names.iter().any(|other| Some(other.as_str()) == name)
    };
    let mut gone: HashSet<&str> = all.iter().filter(is_asked).map(|paragraph| paragraph.0).collect();
    loop {
        let stay = all.iter().filter(|paragraph| !gone.contains(paragraph.0) && paragraph.is_installed());
        let needed: HashSet<&str> = stay.flat_map(Paragraph::needs).collect();
        let needed = |paragraph: &&Paragraph<'_>| {
            gone.contains(paragraph.0) && paragraph.provides().any(|name| needed.contains(name))
        };
        let kept: Vec<&str> = all.iter().filter(needed).map(|paragraph| paragraph.0).collect();
        if kept.is_empty() {
            break;
        }
        gone.retain(|paragraph| !kept.contains(paragraph));
    }
    let stay = all.iter().filter(|paragraph| !gone.contains(paragraph.0));
    let rest = stay.map(|paragraph| format!("{}\n\n", paragraph.0)).collect();
    let removed = all.iter().filter(|paragraph| gone.contains(paragraph.0));
    let mut removed: Vec<String> = removed.filter_map(|p| p.field("Package")).map(str::to_owned).collect();
    removed.dedup();
    (rest, removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "Package: bash\nEssential: yes\nStatus: install ok installed\nVersion: 5.2\n\n\
                          Package: frr\nStatus: install ok installed\nVersion: 8.4\nDescription: x\n Package: y\n\n\
                          Package: old\nStatus: deinstall ok config-files\nVersion: 1\n";

    #[test]
    fn only_installed_packages_count() {
        let names: Vec<String> = installed(STATUS).into_iter().map(|package| package.name).collect();
        assert_eq!(names, ["bash", "frr"]);
    }

    #[test]
    fn a_package_is_taken_out_but_not_one_that_the_system_needs() {
        let names = ["frr".to_owned(), "bash".to_owned(), "none".to_owned()];
        let (rest, removed) = without(STATUS, &names);
        assert_eq!(removed, ["frr"]);
        assert!(rest.contains("Package: bash\n") && !rest.contains("frr"), "{rest}");
        assert_eq!(installed(&rest).len(), 1);
        assert_eq!(added(&rest, STATUS), [Package { name: "frr".into(), version: "8.4".into() }]);
    }

    #[test]
    fn a_package_on_which_another_depends_stays() {
        let status = "Package: a\nStatus: install ok installed\nDepends: x | y (>= 1), b:any\n\n\
                      Package: b\nStatus: install ok installed\nDepends: c\n\n\
                      Package: c\nStatus: install ok installed\n\n\
                      Package: d\nStatus: install ok installed\nDepends: c\n\n\
                      Package: e\nStatus: install ok installed\nProvides: y (= 1), z\n\n\
                      Package: f\nStatus: deinstall ok config-files\nDepends: d\n";
        let names = ["b", "c", "d", "e"].map(str::to_owned);
        assert_eq!(without(status, &names).1, ["d"]);
        assert_eq!(without(status, &["b", "c", "d", "a"].map(str::to_owned)).1, ["a", "b", "c", "d"]);
    }

    #[test]
    fn names_of_packages() {
        for good in ["frr", "libstdc++6", "g++", "libc6:amd64", "7zip"] {
            assert!(is_package_name(good), "{good}");
        }
        for bad in ["", "a", "-y", "Frr", "a b", "frr=1", "frr/sid", "./x.deb", "frr:"] {
            assert!(!is_package_name(bad), "{bad}");
        }
    }
}
