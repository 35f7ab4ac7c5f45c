use super::*;

fn parsed(text: &str) -> Result<(Conf, Vec<Diagnostic>), Vec<Diagnostic>> {
    parse(&Source::new("lab.conf", text))
}

#[test]
fn lines_are_taken_as_kathara_takes_them() {
    for line in [
        "pc1[0]=A",
        "pc1[0]=\"A\"",
        "pc1[0]='A'",
        "  pc1[0]=A",
        "pc1[0]=\"A\"   # comment",
        "pc1[0]='A' # it's \"one\"",
        "pc1[0]=A\r",
        "# comment [ = \"",
        "\n",
        "   ",
        "LAB_NAME=x",
        "LAB_DESCRIPTION=\"it's\"",
        "LAB_WEB=http://a.b/",
        "pc1[00]=A",
        "_x[0]=A",
        "1[0]=A",
        "pc1[image]=kathara/base",
        "pc1[exec]=\"ip a # b\"",
        "pc1[mem]=12 # b\npc1[mem]=1",
        "pc1[anything]=x",
        "pc1[0]=日本",
        "pc1[0]=A/02:00:00:00:00:0a",
        "pc1[0]=A//02:00:00:00:00:0A",
        "pc1[1]=B\npc1[0]=A",
        "pc1[image]=a\npc1[image]=b",
        "pc1[0]=A",
        "pc1[port]=80\npc1[port]=81:81",
    ] {
        let result = parsed(line);
        assert!(result.is_ok(), "{line:?}: {result:?}");
    }
}

#[test]
fn lines_are_refused_as_kathara_refuses_them() {
    for (line, code) in [
        ("PC1[0]=A", Code::BadDeviceName),
        ("pc-1[0]=A", Code::BadDeviceName),
        ("shared[0]=A", Code::BadDeviceName),
        ("_test[image]=A", Code::BadDeviceName),
        ("a234567890123456789012345678901[0]=A", Code::BadDeviceName),
        ("pc1[0] = A", Code::LabConfSyntax),
        ("pc1[0]= \"A\"", Code::LabConfSyntax),
        (" # comment", Code::LabConfSyntax),
        ("pc1[exec]=\"echo 'x'\"", Code::LabConfSyntax),
        ("pc1[0]=\"A'", Code::LabConfSyntax),
        ("pc1[0]=", Code::LabConfSyntax),
        ("pc1[0]=\"\"", Code::LabConfSyntax),
        ("pc1=A", Code::LabConfSyntax),
        ("pc1[a b]=A", Code::LabConfSyntax),
        ("LAB_WEB=http://a/?b=c", Code::LabConfSyntax),
        ("LAB_OTHER=x", Code::LabConfSyntax),
        (" LAB_NAME=x", Code::LabConfSyntax),
        ("\u{feff}pc1[0]=A", Code::LabConfSyntax),
        ("pc1[0]=A # comment", Code::BadCollisionDomain),
        ("pc1[0]=a-b", Code::BadCollisionDomain),
        ("pc1[0]=A/", Code::BadCollisionDomain),
        ("pc1[0]=A/b/c", Code::BadCollisionDomain),
        ("pc1[0]=A/02:00", Code::BadMac),
        ("pc1[1]=A", Code::BadDeviceInterfaces),
        ("pc1[0]=A\npc1[2]=B", Code::BadDeviceInterfaces),
        ("pc1[0]=A\npc1[0]=B", Code::BadDeviceInterfaces),
        ("pc1[0]=A\npc1[1]=A", Code::BadDeviceInterfaces),
        ("pc1[mem]=much", Code::BadDeviceOption),
        ("pc1[sysctl]=kernel.panic=1", Code::BadDeviceOption),
        ("", Code::EmptyFile),
        ("pc1[bridged]=maybe\npc1[bridged]=true", Code::BadDeviceOption),
        ("just words", Code::LabConfSyntax),
    ] {
        let problems = parsed(line).expect_err(line);
        let errors: Vec<Code> =
            problems.iter().filter(|p| p.severity == Severity::Error).map(|problem| problem.code).collect();
        assert_eq!(errors, [code], "{line:?}: {problems:?}");
        assert!(problems.iter().all(|problem| problem.help.is_some()), "{line:?}");
    }
}

#[test]
fn all_problems_are_told_at_once_in_order() {
    let problems = parsed("PC[0]=A\nok[0]=B\nok[1]=B\nok[mem]=x\n").unwrap_err();
    let codes: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::BadDeviceName, Code::BadDeviceInterfaces, Code::BadDeviceOption]);
}

#[test]
fn what_is_overwritten_is_told_and_gone() {
    let (conf, warnings) = parsed("r[image]=a\nr[image]=b\nr[exec]=x\nr[exec]=x\nr[odd]=1\n").unwrap();
    let codes: Vec<Code> = warnings.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::OptionTwice, Code::UnknownDeviceOption]);
    assert_eq!(conf.devices[0].image().unwrap().value, "b");
    assert_eq!(conf.devices[0].settings.len(), 4);
}

#[test]
fn a_value_may_hold_what_looks_like_a_comment() {
    let (conf, _) = parsed("r[exec]=\"echo a # b\" # c").unwrap();
    assert_eq!(conf.devices[0].settings[0].value, Setting::Exec("echo a # b".to_owned()));
    let (conf, _) = parsed("r[exec]=echo a # it's b").unwrap();
    assert_eq!(conf.devices[0].settings[0].value, Setting::Exec("echo a".to_owned()));
}

#[test]
fn a_problem_is_shown_at_its_place() {
    let source = Source::new("lab.conf", "pc1[0]=A\npc1[mem]=\"12q\"\n");
    let problems = parse(&source).unwrap_err();
    let text = problems[0].render(&source, crate::diagnostic::Style::Plain);
    assert!(text.contains("lab.conf:2:11"), "{text}");
    assert!(text.contains("^^^ not an amount of memory"), "{text}");
}
