use super::*;

fn read(text: &str, check: impl FnOnce(Fields<'_>, &mut Findings)) -> Vec<String> {
    let mut findings = Findings::new("f");
    if let Some(source) = Source::parse(text, &mut findings) {
        check(source.fields(), &mut findings);
    }
    findings.into_problems(None).iter().map(ToString::to_string).collect()
}

#[test]
fn every_problem_of_a_table_is_found() {
    let problems = read("hots = 1\nflag = \"x\"\nname = 3\n\nzzz = 1\n", |fields, findings| {
        fields.refuse_unknown(&["host", "flag", "name"], findings);
        assert_eq!(fields.boolean("flag", findings), Field::Bad);
        assert_eq!(fields.string("name", findings), Field::Bad);
        assert_eq!(fields.string("host", findings), Field::Absent);
    });
    assert_eq!(
        problems,
        [
            "f:1:1: unknown key `hots` (did you mean `host`?)",
            "f:2:8: flag: expected `true` or `false`, found a string",
            "f:3:8: name: expected a string, found an integer",
            "f:5:1: unknown key `zzz` (known keys: `host`, `flag`, `name`)",
        ]
    );
}

#[test]
fn what_is_not_toml_is_located_and_not_quoted() {
    for (text, place, leak) in [
        ("a = 1\na = 2\n", "f:2:1", "zzz"),
        ("key = \"\"\"\nhunter2\n", "f:", "hunter2"),
        ("hunter2\n", "f:1:", "hunter2"),
        ("a = [1, hunter2]", "f:1:", "hunter2"),
        ("\u{e9} = 1", "f:1:1", "zzz"),
    ] {
        let problems = read(text, |_, _| panic!("{text} is no TOML"));
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert!(problem.starts_with(place), "{problem}");
        assert!(problem.contains("not TOML: "), "{problem}");
        assert!(!problem.contains(leak) && !problem.contains('\n'), "{problem}");
    }
}

#[test]
fn a_date_needs_a_zone() {
    for (text, problem) in [
        ("2027-01-31", "f:1:5: u: `2027-01-31` needs a time zone (such as 2027-01-31T00:00:00Z)"),
        (
            "2027-01-31T00:00:00",
            "f:1:5: u: `2027-01-31T00:00:00` needs a time zone (such as 2027-01-31T00:00:00Z)",
        ),
        ("\"2027-01-31T00:00:00Z\"", "f:1:5: u: expected a date with a time zone, found a string"),
    ] {
        let problems = read(&format!("u = {text}"), |fields, findings| {
            assert_eq!(fields.timestamp("u", findings), Field::Bad);
        });
        assert_eq!(problems, [problem]);
    }
    for text in ["2027-01-31T00:00:00Z", "2027-01-31 01:00:00+01:00", "2027-01-31T00:00Z"] {
        let problems = read(&format!("u = {text}"), |fields, findings| {
            let read = fields.timestamp("u", findings);
            assert_eq!(read.value(), Some(&"2027-01-31T00:00:00Z".parse().unwrap()), "{text}");
        });
        assert_eq!(problems, [""; 0]);
    }
}

#[test]
fn tables_are_understood_in_both_spellings() {
    for (text, lines) in [("[[t]]\na=1\n[[t]]\n", [1, 3]), ("t = [\n{a=1},\n{}]", [2, 3])] {
        let problems = read(text, |fields, findings| {
            let tables = fields.tables("t", "t", "t.", findings);
            let found: Vec<usize> =
                tables.value().unwrap().iter().map(|table| table.place().line).collect();
            assert_eq!(found, lines, "{text}");
        });
        assert_eq!(problems, [""; 0]);
    }
    let problems = read("[t]\na = 1", |fields, findings| {
        assert!(matches!(fields.tables("t", "t", "t.", findings), Field::Bad));
    });
    assert_eq!(problems, ["f:1:1: t: expected tables, found a table (begin each with `[[t]]`)"]);
}

#[test]
fn nesting_is_bounded() {
    for text in ["a.".repeat(100_000) + "a = 1", "x = ".to_owned() + &"[".repeat(100_000)] {
        assert_eq!(read(&text, |_, _| {}).len(), 1);
    }
}
