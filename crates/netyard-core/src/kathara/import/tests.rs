use super::super::yaml;
use super::*;
use crate::lab::{FileContent, NodeKind};

fn folder(files: &[(&str, &str)], folders: &[&str]) -> Folder {
    let texts = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let folders = folders.iter().map(|name| (*name).to_owned()).collect();
    Folder { name: "Some Lab".to_owned(), texts, folders }
}

fn imported(files: &[(&str, &str)], folders: &[&str]) -> Imported {
    import(&folder(files, folders), &Wishes::default()).unwrap()
}

fn fidelity(imported: &Imported, what: &str) -> Vec<Fidelity> {
    imported.remarks.iter().filter(|remark| remark.what == what).map(|remark| remark.fidelity).collect()
}

#[test]
fn devices_become_full_nodes_on_hubs() {
    let conf = "r1[1]=b\nr1[0]=B/02:00:00:00:00:09\nfabric[0]=B\n";
    let imported = imported(&[("lab.conf", conf), ("r1.startup", "true")], &["r1", "shared"]);
    let node = &imported.lab.nodes[0];
    assert_eq!((node.kind, node.forwards_ipv4, node.forwards_ipv6), (NodeKind::Full, true, false));
    let interfaces: Vec<String> =
        node.interfaces.iter().map(|i| format!("{} {} {}", i.name, i.network, i.mac)).collect();
    assert_eq!(interfaces[0], "eth0 b 02:00:00:00:00:09");
    assert!(interfaces[1].starts_with("eth1 b-2 02:"));
    assert_eq!(imported.lab.nodes[1].name, "fabric-1");
    assert_eq!(imported.lab.nodes[1].hostname(), "fabric");
    assert_eq!(imported.nodes["fabric"], "fabric-1");
    assert!(imported.lab.networks.iter().all(|network| network.kind == NetworkKind::Hub));
    assert_eq!(node.root.binds[0].path, "/shared");
    let paths: Vec<&str> = node.root.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths, ["/etc/hosts", "/etc/resolv.conf", "/", "/hostlab/r1.startup", "/hostlab/startup.sh"]);
    assert_eq!(node.programs[0].argv, ["/bin/bash", "/hostlab/startup.sh", "/bin/bash", "r1"]);
}

#[test]
fn values_are_those_of_kathara_and_the_file_goes_before_them() {
    let conf = "a[0]=A\na[sysctl]=\"net.ipv4.ip_forward=0\"\nb[0]=A\nb[ipv6]=\"true\"\n";
    let imported = imported(&[("lab.conf", conf)], &[]);
    let value = |at: usize, key: &str| imported.lab.nodes[at].sysctls.get(key).map(String::as_str);
    assert_eq!(value(0, "net.ipv4.ip_forward"), Some("0"));
    assert_eq!(value(0, "net.ipv6.conf.all.disable_ipv6"), Some("1"));
    assert_eq!(value(0, "net.ipv4.icmp_ratelimit"), Some("0"));
    assert_eq!(value(1, "net.ipv6.conf.all.disable_ipv6"), Some("0"));
    assert_eq!(value(1, "net.ipv6.conf.all.forwarding"), Some("1"));
    let state = crate::desired::state(&imported.lab);
    let of = |name: &str| &state.namespaces[&crate::state::Ns::Node(name.parse().unwrap())].sysctls;
    assert_eq!(of("a")["net.ipv6.conf.all.disable_ipv6"], "1");
    assert_eq!(of("b")["net.ipv6.conf.all.disable_ipv6"], "0");
}

#[test]
fn each_option_is_told_with_what_became_of_it() {
    let conf = "a[0]=A\na[mem]=1g\na[bridged]=true\na[exec]=\"echo hi\"\na[volume]=\"x|/y|rw\"\na[env]=\"B=c\"\na[shell]=/bin/sh\n";
    let imported = imported(&[("lab.conf", conf), ("lab.dep", "a: b\n"), ("a.shutdown", "echo bye")], &[]);
    assert_eq!(fidelity(&imported, "a[mem]"), [Fidelity::Ignored]);
    assert_eq!(fidelity(&imported, "a[bridged]"), [Fidelity::Approximated]);
    assert_eq!(fidelity(&imported, "a[volume]"), [Fidelity::Approximated]);
    assert_eq!(fidelity(&imported, "a[exec]"), [Fidelity::Used]);
    let mem = imported.remarks.iter().find(|remark| remark.what == "a[mem]").unwrap();
    assert_eq!(mem.to_string(), "ignored: lab.conf:2: a[mem]: devices share the memory of the machine");
    let node = &imported.lab.nodes[0];
    assert_eq!(node.programs[0].argv, ["/bin/sh", "/hostlab/startup.sh", "/bin/sh", "a", "echo hi"]);
    assert_eq!(node.on_down[0].argv, ["/bin/sh", "/hostlab/a.shutdown"]);
    assert_eq!(node.env["B"], "c");
}

#[test]
fn options_of_the_command_line_go_first() {
    let files = [("lab.conf", "a[0]=A\na[ipv6]=false\na[image]=kathara/p4\n")];
    let overrides = vec![("ipv6".into(), "true".into()), ("image".into(), "kathara/base".into())];
    let wishes = Wishes { overrides, ..Wishes::default() };
    let imported = import(&folder(&files, &[]), &wishes).unwrap();
    assert!(imported.lab.nodes[0].forwards_ipv6);
    let bad = Wishes { overrides: vec![("mem".into(), "x".into())], ..Wishes::default() };
    assert_eq!(
        import(&folder(&files[..1], &[]), &bad).unwrap_err()[0].diagnostic.code,
        Code::BadDeviceOption
    );
}

#[test]
fn what_cannot_run_here_is_refused_with_its_place() {
    let check = |files: &[(&str, &str)], code: Code, file: &str, words: &str| {
        let problems = import(&folder(files, &[]), &Wishes::default()).unwrap_err();
        let problem = problems.iter().find(|problem| problem.diagnostic.code == code).unwrap();
        assert_eq!(problem.source.name, file);
        let text = problem.diagnostic.render(&problem.source, crate::diagnostic::Style::Plain);
        assert!(text.contains(words), "{text}");
    };
    check(&[("lab.conf", "s[0]=A\ns[image]=kathara/p4\n")], Code::ImageNotHere, "lab.conf", "lab.conf:2:1");
    check(
        &[("lab.conf", "s[0]=A\n"), ("lab.ext", "A eth0\n")],
        Code::ExternalDomain,
        "lab.ext",
        "lab.ext:1:1",
    );
    check(
        &[("lab.conf", "s[0]=A\n"), ("lab.dep", "a: b\nb: a\n")],
        Code::DevicesWaitForEachOther,
        "lab.dep",
        "waits for",
    );
    check(&[("x", "")], Code::FileUnreadable, "lab.conf", "no lab.conf");
}

#[test]
fn only_wanted_devices_are_there() {
    let files = [("lab.conf", "a[0]=A\nb[0]=A\nc[0]=A\n")];
    let only = |names: &[&str], except: &[&str]| {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let wishes = Wishes { only: set(names), except: set(except), ..Wishes::default() };
        import(&folder(&files, &[]), &wishes)
    };
    assert_eq!(only(&["a"], &[]).unwrap().lab.nodes.len(), 1);
    assert_eq!(only(&[], &["a"]).unwrap().lab.nodes.len(), 2);
    assert_eq!(only(&["z"], &[]).unwrap_err()[0].diagnostic.code, Code::NoSuchNode);
}

#[test]
fn options_that_bind_has_lost_are_left_out() {
    let files = [
        ("lab.conf", "d[0]=A\nd[image]=kathara/bind:9.11\n"),
        ("d/etc/bind/named.conf.options", "options {\n  dnssec-enable no;\n};\n"),
        ("d.startup", "systemctl start bind9\n"),
    ];
    let imported = imported(&files, &["d"]);
    let file = imported.lab.nodes[0].root.files.last().unwrap();
    assert_eq!(file.path, "/etc/bind/named.conf.options");
    assert_eq!(file.content, FileContent::Text("options {\n  /* dnssec-enable no; */\n};\n".to_owned()));
    let remark = imported.remarks.iter().find(|remark| remark.what == "option `dnssec-enable`").unwrap();
    assert_eq!((remark.line, remark.fidelity), (2, Fidelity::Approximated));
    assert!(matches!(imported.needs[0].what, What::Program("BIND", ..)));
}

#[test]
fn the_lab_file_of_a_lab_is_the_same_lab() {
    let conf = "r1[0]=A\nr1[1]=b\nr1[image]=kathara/frr\nr1[exec]=\"echo \\x\"\nnone[0]=A\nnone[ipv6]=on\nnone[env]=\"A=b: c\"\n";
    let files = [("lab.conf", conf), ("r1.startup", "true"), ("none.shutdown", "a\nb: 'c' \"d\"\n")];
    let imported = imported(&files, &["r1", "shared"]);
    let text = yaml(&imported.lab);
    let source = Source::new("lab.yaml", text.as_str());
    let parsed = crate::labfile::parse(&source).unwrap_or_else(|problems| {
        panic!("{}\n{text}", problems[0].render(&source, crate::diagnostic::Style::Plain))
    });
    let mut lab = parsed.lab;
    // A lab file cannot say that texts of a tree are mended.
    for file in lab.nodes.iter_mut().flat_map(|node| &mut node.root.files) {
        if let FileContent::From { fixes_text, .. } = &mut file.content {
            *fixes_text = true;
        }
    }
    let mut wanted = imported.lab;
    // Ports of the fabric are called as it pleases.
    for lab in [&mut lab, &mut wanted] {
        let interfaces = lab.nodes.iter_mut().flat_map(|node| &mut node.interfaces);
        interfaces.for_each(|interface| interface.port = IfName::new("port").unwrap());
    }
    assert_eq!(lab, wanted);
}

#[test]
fn settings_of_the_lab_hold_where_a_device_says_nothing() {
    let conf = "a[0]=A\nb[0]=A\nb[ipv6]=false\n";
    let settings = r#"{"enable_ipv6": true, "device_shell": "/bin/sh", "shared_mount": false, "terminal": "/usr/bin/xterm"}"#;
    let imported = imported(&[("lab.conf", conf), ("kathara.conf", settings)], &["shared"]);
    let nodes = &imported.lab.nodes;
    assert_eq!((nodes[0].forwards_ipv6, nodes[1].forwards_ipv6), (true, false));
    assert_eq!(nodes[0].programs[0].argv[0], "/bin/sh");
    assert!(nodes[0].root.binds.is_empty());
    let files = [("lab.conf", conf), ("kathara.conf", "{")];
    assert!(import(&folder(&files, &[]), &Wishes::default()).is_err());
}

#[test]
fn bridged_devices_have_one_more_interface_and_a_way_out() {
    let conf = "internet[0]=A\ninternet[bridged]=true\npc[0]=bridged\nsolo[bridged]=yes\n";
    let files = [("lab.conf", conf)];
    let imported = imported(&files, &[]);
    let shown: Vec<String> = imported
        .lab
        .nodes
        .iter()
        .flat_map(|node| node.interfaces.iter().map(move |i| (node, i)))
        .map(|(node, i)| format!("{} {} {} {:?}", node.name, i.name, i.network, i.addresses))
        .collect();
    let wanted = [
        "internet eth0 a []",
        "internet eth1 bridged-2 [172.17.0.2/16]",
        "pc eth0 bridged []",
        "solo eth0 bridged-2 [172.17.0.4/16]",
        "internet-2 eth0 bridged-2 [172.17.0.1/16]",
    ];
    assert_eq!(shown, wanted);
    assert_eq!(imported.nodes.len(), 3, "the world is no device");
    let text_of = |lab: &Lab, at: usize| match &lab.nodes[at].root.files[1].content {
        FileContent::Text(text) => text.clone(),
        FileContent::From { .. } => panic!("no text"),
    };
    assert_eq!(text_of(&imported.lab, 0), "nameserver 172.17.0.1\n");
    assert_eq!(text_of(&imported.lab, 1), "");
    let wishes = Wishes { uplink: Some(vec!["9.9.9.9".parse().unwrap()]), ..Wishes::default() };
    let real = import(&folder(&files, &[]), &wishes).unwrap().lab;
    assert_eq!((real.nodes[3].role, real.nodes[3].uplink), (crate::lab::Role::Router, Some(Uplink::Pasta)));
    assert_eq!(text_of(&real, 2), "nameserver 9.9.9.9\n");
    for lab in [imported.lab, real] {
        let source = Source::new("lab.yaml", yaml(&lab));
        let parsed = crate::labfile::parse(&source).unwrap_or_else(|problems| {
            panic!("{}\n{}", problems[0].render(&source, crate::diagnostic::Style::Plain), source.text)
        });
        assert_eq!(parsed.lab.nodes[0].routes, lab.nodes[0].routes);
        assert_eq!(parsed.lab.nodes[3].uplink, lab.nodes[3].uplink);
        assert_eq!(parsed.lab.nodes[3].role, lab.nodes[3].role);
        assert_eq!(parsed.lab.networks, lab.networks);
    }
}

#[test]
fn limits_are_set_before_anything_runs_in_a_device() {
    let conf = "a[0]=A\na[ulimit]=nofile=9:5\na[ulimit]=core=-1\na[ulimit]=nofile=7\nb[0]=A\n";
    let imported = imported(&[("lab.conf", conf)], &[]);
    let (limits, shell) = super::super::surroundings(&imported.lab.nodes[0]);
    let set =
        "prlimit --pid $$ --core=-1:-1 2> /dev/null; prlimit --pid $$ --nofile=7:7 2> /dev/null; exec \"$@\"";
    assert_eq!((limits, shell), (&["/bin/sh", "-c", set, "sh"].map(str::to_owned)[..], "/bin/bash"));
    assert_eq!(imported.lab.nodes[1].programs[0].argv[..2], ["/bin/bash", "/hostlab/startup.sh"]);
}

#[test]
fn folders_are_devices_where_there_is_no_lab_conf_and_a_lab_has_some() {
    let wishes = Wishes { takes_folders: true, ..Wishes::default() };
    let names = |files: &[(&str, &str)], wishes: &Wishes| {
        let lab = import(&folder(files, &["pc1", "Images", "shared"]), wishes).map(|imported| imported.lab);
        lab.map(|lab| lab.nodes.iter().map(|node| node.name.to_string()).collect::<Vec<_>>())
    };
    assert_eq!(names(&[], &wishes).unwrap(), ["pc1"]);
    assert_eq!(names(&[("lab.conf", "")], &wishes).unwrap(), ["pc1"]);
    assert_eq!(names(&[("lab.conf", "a[0]=A\n")], &wishes).unwrap(), ["a"]);
    let problems = names(&[("lab.conf", "# nothing\n")], &Wishes::default()).unwrap_err();
    assert_eq!(problems[0].diagnostic.code, Code::NoSuchNode);
}
