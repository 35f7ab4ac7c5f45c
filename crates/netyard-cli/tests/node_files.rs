//! Files of full nodes: from the lab file, copied in and out, what differs, and what is saved.

mod support;

use support::Yard;
use support::terminal::Terminal;

#[test]
fn files_of_the_lab_file_are_there_with_owner_and_mode() {
    let yard = Yard::new("files");
    std::fs::create_dir_all(yard.folder.join("tree/srv/deep")).unwrap();
    yard.write("tree/srv/deep/a", "from the tree\n");
    yard.write("zone", "@ SOA\n");
    let text = format!(
        "lab: {}
nodes:
  a: {{ files: [tree, {{ /etc/motd: hello, /etc/zones/z: {{ from: zone, mode: 0640, owner: 'daemon:bin' }} }}] }}
  b: {{ files: {{ /etc/motd: other }} }}
",
        yard.lab
    );
    let file = yard.write("lab.yaml", &text);
    assert_eq!(yard.run(&["up", "-q", file.to_str().unwrap()]).code, Some(0));
    let on = |node: &str, command: &str| yard.prints(&["exec", node, "--", "sh", "-c", command]);
    assert_eq!(on("a", "cat /etc/motd /srv/deep/a"), "hellofrom the tree\n");
    assert_eq!(on("b", "cat /etc/motd; test -e /srv/deep || echo none"), "othernone\n");
    assert_eq!(on("a", "stat -c '%U %G %a' /etc/zones/z /etc/motd"), "daemon bin 640\nroot root 644\n");
    // What is in the folder stays what it is.
    on("a", "echo more >>/srv/deep/a");
    assert_eq!(std::fs::read_to_string(yard.folder.join("tree/srv/deep/a")).unwrap(), "from the tree\n");
}

#[test]
fn files_are_copied_in_and_out_and_what_differs_is_told_and_saved() {
    let yard = Yard::with_lab("cp", "nodes: { a: { files: { /etc/motd: hello } }, plain: ~ }\n");
    let here = |name: &str| yard.folder.join(name).to_str().unwrap().to_owned();
    let on_a = |command: &str| yard.prints(&["exec", "a", "--", "sh", "-c", command]);
    assert_eq!(yard.prints(&["diff", "a"]), "", "what the lab file has is no difference");

    std::fs::create_dir_all(yard.folder.join("site/css")).unwrap();
    yard.write("site/index.html", "home");
    yard.write("site/css/x", "x");
    std::os::unix::fs::symlink("index.html", yard.folder.join("site/link")).unwrap();
    yard.prints(&["cp", &here("site"), "a:/srv"]);
    assert_eq!(on_a("cd /srv/site; cat index.html css/x link; stat -c %U ."), "homexhomeroot\n");
    yard.prints(&["cp", &here("site/index.html"), "a:/srv/other"]);
    on_a("rm /etc/issue; echo changed >>/etc/motd; mkdir -p /var/new; touch /run/passing /tmp/passing");

    let diff = yard.prints(&["diff", "a"]);
    for line in
        ["A /srv/other", "A /srv/site/css/x", "A /srv/site/link", "A /var/new", "C /etc/motd", "D /etc/issue"]
    {
        assert!(diff.lines().any(|found| found == line), "{line} in\n{diff}");
    }
    assert!(!diff.contains("passing") && !diff.contains("C /etc\n"), "{diff}");
    let json = yard.json(&["diff", "a", "--json"]);
    assert_eq!((&json["schema"], &json["node"]), (&"netyard/diff/1".into(), &"a".into()));

    yard.prints(&["cp", "a:/srv/site", &here("out")]);
    assert_eq!(std::fs::read_to_string(here("out/css/x")).unwrap(), "x");
    assert_eq!(std::fs::read_link(here("out/link")).unwrap(), std::path::Path::new("index.html"));
    std::fs::create_dir(here("into")).unwrap();
    yard.prints(&["cp", "a:/srv/site", "a:/etc/motd", &here("into")]);
    assert_eq!(std::fs::read_to_string(here("into/motd")).unwrap(), "hellochanged\n");
    assert_eq!(std::fs::read_to_string(here("into/site/index.html")).unwrap(), "home");

    yard.prints(&["save", "a", &here("saved")]);
    assert_eq!(std::fs::read_to_string(here("saved/etc/motd")).unwrap(), "hellochanged\n");
    assert_eq!(std::fs::read_to_string(here("saved/srv/site/css/x")).unwrap(), "x");
    yard.prints(&["save", "a", &here("saved.tar")]);
    assert!(std::fs::metadata(here("saved.tar")).unwrap().len() > 1024);
    assert_eq!(yard.run(&["save", "a", &here("saved")]).code, Some(2), "nothing is overwritten");
}

#[test]
fn a_root_archive_of_the_same_name_that_has_changed_is_noticed() {
    let yard = Yard::new("archive");
    std::fs::create_dir_all(yard.folder.join("root/etc")).unwrap();
    let pack = |text: &str| {
        yard.write("root/etc/mark", text);
        let mut tar = std::process::Command::new("tar");
        let packed =
            tar.current_dir(&yard.folder).args(["-C", "root", "-cf", "root.tar", "."]).status().unwrap();
        assert!(packed.success());
    };
    let text = "nodes: { a: { rootfs: root.tar }, b: { kind: full } }";
    let file = yard.write("lab.yaml", &format!("lab: {}\n{text}\n", yard.lab));
    let file = file.to_str().unwrap();
    let mark = |name: &str| {
        let copy = yard.folder.join(name);
        yard.prints(&["cp", "a:/etc/mark", copy.to_str().unwrap()]);
        std::fs::read_to_string(copy).unwrap()
    };
    pack("one");
    assert_eq!(yard.run(&["up", "-q", file]).code, Some(0));
    assert_eq!(mark("first"), "one");
    yard.prints(&["exec", "b", "--", "touch", "/etc/kept"]);
    let plan = || yard.prints(&["plan", file]);
    assert!(!plan().contains("make a anew"), "{}", plan());
    pack("two");
    assert!(plan().contains("make a anew") && !plan().contains("make b anew"), "{}", plan());
    assert_eq!(yard.run(&["up", "-q", file]).code, Some(0));
    assert_eq!(mark("second"), "two");
    assert_eq!(yard.prints(&["exec", "b", "--", "ls", "/etc/kept"]), "/etc/kept\n");
}

#[test]
fn what_cannot_be_copied_is_refused_in_clear_words() {
    let yard = Yard::with_lab("nocp", "nodes: { a: { kind: full }, plain: ~ }\n");
    let refused = |words: &[&str], says: &str| {
        let ran = yard.run(words);
        assert!(ran.code != Some(0) && ran.stderr.contains(says), "{words:?}: {} {}", ran.stderr, ran.stdout);
    };
    let file = yard.write("x", "x");
    let file = file.to_str().unwrap();
    refused(&["cp", file, "plain:/x"], "`kind: full` in the lab file");
    refused(&["diff", "plain"], "node `plain` has no files of its own");
    refused(&["diff", "nobody"], "has no node `nobody`");
    refused(&["cp", "a:/x", "a:/y"], "the other end is a node too");
    refused(&["cp", file, "/tmp/nowhere"], "no end is a node");
    refused(&["cp", "a:/missing", "/tmp/nowhere"], "cannot copy /missing");
    refused(&["cp", "a:/proc/1/environ", "/tmp/nowhere"], "cannot copy /proc/1/environ");
    refused(&["cp", file, "a:/proc/sys/kernel/panic"], "cannot write");
    refused(&["cp", file, "a:/sys/x"], "cannot write");
    // A link of the node's leads nowhere but into the node.
    yard.prints(&["exec", "a", "--", "ln", "-s", yard.folder.to_str().unwrap(), "/srv/out"]);
    let _ = yard.run(&["cp", file, "a:/srv/out/written"]);
    assert!(!yard.folder.join("written").exists());
}

/// Programs that look for their terminal by name find it, and Ctrl-C ends what runs in it.
#[test]
fn a_shell_in_a_full_node_has_a_terminal_of_the_node() {
    let yard = Yard::with_lab("tty", "nodes: { a: { kind: full } }\n");
    let mut shell = Terminal::of(&yard, "shell", &["a"], "");
    assert_eq!(shell.says("tty").trim(), "/dev/pts/0");
    assert_eq!(shell.says("echo to the terminal >/dev/tty").trim(), "to the terminal");
    // In a shell that does not catch Ctrl-C while it starts the next program, as the one that is typed into does.
    shell.begins("sh -c 'echo begun; exec sleep 1000'");
    shell.shows("\nbegun");
    shell.interrupt();
    assert!(shell.ends().contains("^C"));
    shell.leave();
}
