//! Labs of Kathara as they are: its files read as Kathara 3.8.3 reads them, and what they become here.
//!
//! [`conf`], [`dep`] and [`setting`] take and refuse what Kathara does, with better messages. [`import()`] makes a lab of
//! full nodes of it and says how true it is ([`report`]); [`yaml()`] writes that as a lab file.

pub mod bind;
mod bridged;
pub mod checker;
pub mod conf;
pub mod connect;
pub mod dep;
mod device;
pub mod image;
mod import;
pub mod quagga;
pub mod report;
pub mod scan;
pub mod setting;
mod yaml;

pub use device::{IMAGE_LABEL, STARTUP_NAME, STARTUP_PATH, surroundings};
pub use import::{DeviceNeed, Folder, Imported, What, Wishes, import, lab_name};
pub use yaml::yaml;

/// Reads anything as files of a lab, for tests that no text makes a reader fail.
#[doc(hidden)]
pub fn fuzz(text: &str) {
    let source = crate::diagnostic::Source::new("fuzz", text);
    let render =
        |problem: &crate::diagnostic::Diagnostic| problem.render(&source, crate::diagnostic::Style::Plain);
    if let Err(problems) = dep::order(&source) {
        problems.iter().for_each(|problem| drop(render(problem)));
    }
    drop(bind::without_old_options(text));
    let files =
        [("bgpd.conf", text), ("daemons", text)].map(|(name, text)| (name.to_owned(), text.to_owned()));
    drop(quagga::translate(files.into()));
    let names =
        ["lab.conf", "lab.dep", "lab.ext", "a.startup", "a/etc/bind/named.conf", "a/etc/frr/frr.conf"];
    for count in [1, 2, names.len()] {
        let mut folder = Folder { name: text.to_owned(), ..Folder::default() };
        folder.texts = names[..count].iter().map(|name| ((*name).to_owned(), text.to_owned())).collect();
        folder.folders.insert("a".to_owned());
        match import(&folder, &Wishes::default()) {
            Ok(imported) => drop(yaml(&imported.lab)),
            Err(problems) => problems.iter().for_each(|problem| {
                drop(problem.diagnostic.render(&problem.source, crate::diagnostic::Style::Plain))
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const PIECES: [&str; 40] = [
        "r1",
        "[",
        "]",
        "=",
        "\"",
        "'",
        "\n",
        " ",
        "#",
        "0",
        "1",
        "A",
        "a",
        "image",
        "mem",
        "port",
        "sysctl",
        "volume",
        "ulimit",
        "net.",
        ".",
        ":",
        "/",
        "|",
        "\\",
        "-",
        "_",
        "LAB_NAME=",
        "kathara/",
        "frr",
        "\u{feff}",
        "日",
        "\r",
        "\t",
        ";",
        "{",
        "/*",
        "*/",
        "router bgp",
        "dnssec-enable",
    ];

    proptest! {
        #[test]
        fn no_text_makes_a_reader_fail(text in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)) {
            super::fuzz(&text.concat());
        }

        #[test]
        fn nor_do_any_letters(text in "\\PC{0,200}") {
            super::fuzz(&text);
        }

        #[test]
        fn what_is_taken_is_a_lab_file_too(numbers in prop::collection::vec((0..6_usize, 0..5_usize), 1..12)) {
            let mut next = [0; 6];
            let mut conf = String::from("# lab\n");
            for (device, domain) in numbers {
                conf.push_str(&format!("d{device}[{}]=\"{domain}x{}\"\n", next[device], next[device]));
                next[device] += 1;
            }
            let mut folder = super::Folder { name: "lab".into(), ..super::Folder::default() };
            folder.texts.insert("lab.conf".into(), conf);
            let imported = super::import(&folder, &super::Wishes::default()).unwrap();
            let source = crate::diagnostic::Source::new("lab.yaml", super::yaml(&imported.lab));
            prop_assert!(crate::labfile::parse(&source).is_ok(), "{}", source.text);
        }
    }
}
