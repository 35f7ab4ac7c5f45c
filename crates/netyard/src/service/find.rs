//! Where units are, and which one a name means.

use super::init::init_script;
use super::quagga;
use netyard_core::unit::{Unit, UnitName, unit_of_init_script};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders of unit files, earlier ones win (systemd.unit(5)). Not `/run/systemd/system`: init scripts take that for a
/// running systemd.
const FOLDERS: [&str; 4] =
    ["etc/systemd/system", "usr/local/lib/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"];
/// Names that other systems have for services of Debian: those of Kathara's images.
const OTHER_NAMES: [(&str, &str); 4] = [
    ("bind.service", "named"),
    ("bind9.service", "named"),
    ("quagga.service", "frr"),
    ("zebra.service", "frr"),
];

/// What units do otherwise in a node, as a drop-in below all others. keepalived tells only a pid 1 that has started it
/// itself that it is ready; the clock is the machine's, so that chronyd may only tell the time.
const IN_NODES: [(&str, &str); 2] = [
    ("keepalived.service", "[Service]\nType=exec\n"),
    ("chrony.service", "[Service]\nExecStart=\nExecStart=!/usr/sbin/chronyd -x $DAEMON_OPTS\n"),
];

/// The units of a node.
#[derive(Debug, Clone)]
pub struct Units {
    root: PathBuf,
}

/// A unit that was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// What it says.
    pub unit: Unit,
    /// Its file: that of a unit, or an init script.
    pub path: PathBuf,
    /// That file and the drop-ins that change it.
    pub files: Vec<PathBuf>,
    /// Whether it may not be started: its file is a link to `/dev/null`.
    pub is_masked: bool,
    /// Whether it is an init script.
    pub is_script: bool,
    /// Whether it was asked for as Quagga, and is FRR.
    pub is_quagga: bool,
}

impl Default for Units {
    fn default() -> Self {
        Self::below("/")
    }
}

impl Units {
    /// Those below a root folder.
    #[must_use]
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The unit of a name: its file, the one that it is an alias of, its template, or an init script.
    #[must_use]
    pub fn find(&self, name: &UnitName) -> Option<Found> {
        self.by_file(name, 0)
            .or_else(|| self.by_alias(name))
            .or_else(|| self.by_script(name))
            .or_else(|| self.by_other_name(name))
    }

    /// The file of that name, in the first folder that has it.
    fn locate(&self, name: &str) -> Option<PathBuf> {
        let paths = FOLDERS.iter().map(|folder| self.root.join(folder).join(name));
        paths.into_iter().find(|path| path.symlink_metadata().is_ok())
    }

    fn by_file(&self, name: &UnitName, depth: usize) -> Option<Found> {
        let path = self.locate(name.as_str()).or_else(|| self.locate(&name.template()?))?;
        let target = fs::read_link(&path).ok();
        let alias = target.as_deref().and_then(Path::file_name).and_then(|file| file.to_str());
        let alias = alias.and_then(UnitName::new).filter(|alias| alias != name && !alias.is_template());
        if let Some(alias) = alias.filter(|alias| alias.as_str().ends_with(kind(name)) && depth < 4)
            && let Some(found) = self.by_file(&alias, depth + 1)
        {
            return Some(found);
        }
        let is_null = target.is_some_and(|target| target == Path::new("/dev/null"));
        let text = if is_null { String::new() } else { read(&path)? };
        let mut files = vec![path.clone()];
        let mut texts = vec![text];
        let own = IN_NODES.iter().filter(|(unit, _)| *unit == name.as_str());
        texts.extend(own.map(|(_, text)| (*text).to_owned()));
        for drop_in in self.drop_ins(name) {
            texts.extend(read(&drop_in));
            files.push(drop_in);
        }
        Some(Found {
            is_masked: texts[0].trim().is_empty(),
            unit: Unit::parse(name.clone(), texts.iter().map(String::as_str)),
            path,
            files,
            is_script: false,
            is_quagga: false,
        })
    }

    /// `NAME.d/*.conf`; a file of a name hides those of the same name in later folders.
    fn drop_ins(&self, name: &UnitName) -> Vec<PathBuf> {
        let mut found = BTreeMap::new();
        for of in [Some(name.as_str().to_owned()), name.template()].into_iter().flatten() {
            for folder in FOLDERS {
                let folder = self.root.join(folder).join(format!("{of}.d"));
                for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                    if entry.path().extension().is_some_and(|end| end == "conf") {
                        found.entry(entry.file_name()).or_insert(entry.path());
                    }
                }
            }
        }
        found.into_values().collect()
    }

    /// Units whose files say that they have that name too, though no link tells.
    fn by_alias(&self, name: &UnitName) -> Option<Found> {
        let mention = format!("Alias={name}");
        let has_it = |path: &PathBuf| read(path).is_some_and(|text| text.contains(&mention));
        let path = self.files().into_values().find(has_it)?;
        let found = self.by_file(&UnitName::new(path.file_name()?.to_str()?)?, 1)?;
        found.unit.aliases.contains(name).then_some(found)
    }

    fn by_script(&self, name: &UnitName) -> Option<Found> {
        let path = init_script(&self.root, name.stem()).filter(|_| name.is_service())?;
        Some(Found {
            unit: unit_of_init_script(name, path.to_str()?, &read(&path)?),
            files: vec![path.clone()],
            path,
            is_masked: false,
            is_script: true,
            is_quagga: false,
        })
    }

    fn by_other_name(&self, name: &UnitName) -> Option<Found> {
        let (other, own) = OTHER_NAMES.iter().find(|(other, _)| *other == name.as_str())?;
        let is_quagga = *own == "frr";
        if is_quagga && !quagga::FOLDERS.iter().any(|folder| self.root.join(folder).is_dir()) {
            return None;
        }
        let found = self.find(&UnitName::new(own)?).filter(|found| found.unit.name.as_str() != *other)?;
        Some(Found { is_quagga, ..found })
    }

    /// All unit files by name.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, PathBuf> {
        let mut found = BTreeMap::new();
        for folder in FOLDERS {
            for entry in fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_unit = UnitName::new(&name).is_some_and(|unit| unit.as_str() == name);
                if is_unit && !entry.path().is_dir() {
                    found.entry(name).or_insert(entry.path());
                }
            }
        }
        found
    }

    /// The folder of the machine's own units.
    pub(super) fn own_folder(&self) -> PathBuf {
        self.root.join(FOLDERS[0])
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }
}

fn kind(name: &UnitName) -> &str {
    name.as_str().rsplit('.').next().unwrap_or_default()
}

fn read(path: &Path) -> Option<String> {
    fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Root(PathBuf);

    impl Root {
        fn new(test: &str) -> Self {
            let root =
                Self(std::env::temp_dir().join(format!("netyard-units-{test}-{}", std::process::id())));
            fs::create_dir_all(root.0.join("etc/systemd/system")).unwrap();
            root
        }

        fn write(&self, path: &str, text: &str) {
            let path = self.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }

        fn find(&self, name: &str) -> Option<Found> {
            Units::below(&self.0).find(&UnitName::new(name).unwrap())
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    #[test]
    fn links_drop_ins_templates_and_masks() {
        let root = Root::new("find");
        root.write(
            "lib/systemd/system/named.service",
            "[Service]\nExecStart=/a\n[Install]\nAlias=dns.service\n",
        );
        root.write("lib/systemd/system/named.service.d/x.conf", "[Service]\nExecStart=/no\n");
        root.write("etc/systemd/system/named.service.d/x.conf", "[Service]\nExecStart=\nExecStart=/b\n");
        root.write("lib/systemd/system/web@.service", "[Service]\nExecStart=/web %i\n");
        symlink("/lib/systemd/system/named.service", root.0.join("etc/systemd/system/bind9.service"))
            .unwrap();
        symlink("/dev/null", root.0.join("etc/systemd/system/off.service")).unwrap();
        for name in ["named", "bind9", "dns", "bind"] {
            let found = root.find(name).unwrap();
            assert_eq!(
                (found.unit.name.as_str(), found.unit.start[0].text()),
                ("named.service", "/b".into())
            );
            assert_eq!(found.files.len(), 2);
        }
        root.write(
            "lib/systemd/system/chrony.service",
            "[Service]\nType=forking\nExecStart=/usr/sbin/chronyd\n",
        );
        let clock = root.find("chrony").unwrap().unit.start;
        assert_eq!((clock.len(), clock[0].text()), (1, "/usr/sbin/chronyd -x $DAEMON_OPTS".into()));
        assert_eq!(root.find("web@x").unwrap().unit.start[0].text(), "/web x");
        assert!(root.find("off").unwrap().is_masked);
        assert!(root.find("none").is_none() && root.find("quagga").is_none());
    }

    #[test]
    fn quagga_is_frr_where_it_is_configured_and_scripts_are_units() {
        let root = Root::new("quagga");
        root.write("lib/systemd/system/frr.service", "[Service]\nExecStart=/frr\n");
        root.write("etc/init.d/old", "#!/bin/sh\n# Short-Description: x\n");
        assert!(root.find("zebra").is_none());
        root.write("etc/zebra/daemons", "zebra=yes\n");
        assert!(root.find("quagga").unwrap().is_quagga);
        root.write("etc/quagga/daemons", "zebra=yes\n");
        let found = root.find("zebra").unwrap();
        assert!(found.is_quagga && found.unit.name.as_str() == "frr.service");
        assert!(root.find("old").unwrap().is_script);
    }
}
