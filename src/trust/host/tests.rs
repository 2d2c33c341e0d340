use proptest::prelude::*;

use super::*;

fn understood(input: &str) -> (String, Option<Scheme>, String) {
    let address = Address::parse(input).unwrap_or_else(|error| panic!("{input:?}: {error}"));
    (address.host.to_string(), address.scheme, address.path)
}

#[test]
fn what_people_paste_is_understood() {
    use Scheme::{Http, Https};
    for (input, host, scheme, path) in [
        ("harbor.corp:8443", "harbor.corp:8443", None, ""),
        ("https://Harbor.corp:8443/lib/", "harbor.corp:8443", Some(Https), "/lib"),
        ("  HTTP://harbor.corp/\n", "harbor.corp", Some(Http), ""),
        ("\u{feff}harbor.corp", "harbor.corp", None, ""),
        ("oci://harbor.corp/charts", "harbor.corp", None, "/charts"),
        ("OCI://harbor.corp:443", "harbor.corp:443", None, ""),
        ("harbor.corp.", "harbor.corp", None, ""),
        ("harbor.corp.:5000", "harbor.corp:5000", None, ""),
        ("harbor.corp///", "harbor.corp", None, ""),
        ("https://harbor.corp:443/", "harbor.corp", Some(Https), ""),
        ("http://harbor.corp:80", "harbor.corp", Some(Http), ""),
        ("http://harbor.corp:443", "harbor.corp:443", Some(Http), ""),
        ("harbor.corp:443", "harbor.corp:443", None, ""),
        ("https://registry", "registry:443", Some(Https), ""),
        ("https://registry:443/", "registry:443", Some(Https), ""),
        ("registry:5000", "registry:5000", None, ""),
        ("localhost", "localhost", None, ""),
        ("https://localhost", "localhost", Some(Https), ""),
        ("10.0.0.1:5000", "10.0.0.1:5000", None, ""),
        ("[::1]:5000", "[::1]:5000", None, ""),
        ("[2001:DB8:0:0::1]", "[2001:db8::1]", None, ""),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", None, ""),
        ("https://harbor.corp/v1/", "harbor.corp", Some(Https), ""),
        ("https://harbor.corp/v2", "harbor.corp", Some(Https), ""),
        ("https://harbor.corp/v2/_catalog", "harbor.corp", Some(Https), ""),
        ("https://harbor.corp/v2/proxy/", "harbor.corp", Some(Https), "/v2/proxy"),
        ("https://harbor.corp/lib/v2", "harbor.corp", Some(Https), "/lib/v2"),
        ("https://index.docker.io/v1/", "docker.io", Some(Https), ""),
        ("index.docker.io", "docker.io", None, ""),
        ("Registry-1.docker.io", "docker.io", None, ""),
        ("https://registry-1.docker.io:443/v2/", "docker.io", Some(Https), ""),
        ("registry.hub.docker.com", "registry.hub.docker.com", None, ""),
        ("index.docker.io:443", "index.docker.io:443", None, ""),
    ] {
        assert_eq!(understood(input), (host.into(), scheme, path.into()), "{input:?}");
    }
}

#[test]
fn a_mirror_is_dialled_by_the_name_of_its_server() {
    let host = |input| Address::parse_mirror(input).unwrap().host.to_string();
    assert_eq!(host("https://registry-1.docker.io"), "registry-1.docker.io");
    assert_eq!(host("https://docker.io/"), "registry-1.docker.io");
    assert_eq!(host("https://mirror:443"), "mirror:443");
}

/// Each input is refused for its own reason, and the message says which.
#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn hostile_hosts_are_refused_each_for_its_reason() {
    let long_label = format!("{}.corp", "a".repeat(64));
    let long_name = format!("{}corp", "abcdefg.".repeat(32));
    let long_path = format!("harbor.corp/{}", "a".repeat(255));
    let table = [
        ("", "the registry host is empty"),
        (" \n\t", "the registry host is empty"),
        ("/", "names no host"),
        ("///", "names no host"),
        ("https://", "names no host"),
        (":5000", "names no host"),
        (".", "is a relative path"),
        ("..", "is a relative path"),
        ("../../etc", "is a relative path"),
        ("_default", "catch-all for every registry"),
        ("host_5000_", "contains `_`"),
        ("my_harbor.corp", "contains `_`"),
        ("harbor.corp\0", "contains a NUL"),
        ("har\u{1b}[31mbor.corp", "terminal escape"),
        ("har\u{9b}31mbor.corp", "terminal escape"),
        ("harbor\r\n.corp", "control character U+000D"),
        ("harbor\u{85}.corp", "control character U+0085"),
        ("har bor.corp", "contains a space"),
        ("har\u{a0}bor.corp", "contains a space"),
        ("har\u{200b}bor.corp", "invisible character U+200B"),
        ("harbor\u{feff}.corp", "invisible character U+FEFF"),
        ("proc\u{202e}corp", "invisible character U+202E"),
        ("\"harbor.corp\"", "quotation marks"),
        ("“harbor.corp”", "quotation marks"),
        ("bücher.example", "`ü`, which is not ASCII (write an international name"),
        ("harbоr.corp", "`о`, which is not ASCII"),
        ("https://user:hunter2@harbor.corp", "`https://***@harbor.corp` contains `@`"),
        ("user:hun/ter2@harbor.corp", "`***@harbor.corp` contains `@`"),
        ("harbor.corp/app@sha256:abc", "contains `@`"),
        ("harbor.corp?token=hunter2", "`harbor.corp?***` contains a query"),
        ("harbor.corp#x", "contains a fragment"),
        ("harbor.corp\\lib", "contains a backslash"),
        ("harbor%2ecorp", "percent-encoding"),
        ("harbor.corp/%2e%2e", "percent-encoding"),
        ("docker://harbor.corp", "scheme other than"),
        ("file:///etc/passwd", "scheme other than"),
        ("a.corp,b.corp", "several registries"),
        ("*.corp", "is a pattern"),
        ("{a,b}.corp", "is a pattern"),
        ("harbor..corp", "empty label"),
        (".harbor.corp", "empty label"),
        ("harbor.corp..", "empty label"),
        ("-harbor.corp", "label `-harbor`"),
        ("harbor-.corp", "label `harbor-`"),
        ("xn--.corp", "label `xn--`"),
        (&long_label, "label of 64 characters"),
        (&long_name, "name of 260 characters"),
        ("harbor.corp!", "contains `!`"),
        ("$HOST.corp", "contains `$`"),
        ("registry", "single word"),
        ("REGISTRY/", "(write the port, as `registry:443`"),
        ("256.1.1.1", "not an IPv4 address"),
        ("1.2.3", "not an IPv4 address"),
        ("127.1", "not an IPv4 address"),
        ("017.0.0.1", "not an IPv4 address"),
        ("0x7f000001:5000", "not an IPv4 address"),
        ("0x7f.0.0.1", "not an IPv4 address"),
        ("1.2.3.4.5", "not an IPv4 address"),
        ("2130706433:80", "not an IPv4 address"),
        ("2001:db8:0::1", "(write `[2001:db8::1]`, or `[2001:db8::1]:PORT`)"),
        ("harbor.corp:80:80", "more than one `:`"),
        ("fe80::1%eth0", "has a zone id"),
        ("[fe80::1%25eth0]:5000", "has a zone id"),
        ("[::ffff:10.0.0.1]:5000", "(write `10.0.0.1`)"),
        ("[::1", "do not hold an IPv6"),
        ("[[::1]]", "do not hold an IPv6"),
        ("[::1]5000", "do not hold an IPv6"),
        ("[harbor.corp]", "do not hold an IPv6"),
        ("[]", "do not hold an IPv6"),
        ("harbor.corp:", "has a `:` and no port"),
        ("harbor.corp:/lib", "has a `:` and no port"),
        ("harbor.corp:0", "port 0, which is not between"),
        ("harbor.corp:65536", "port 65536, which is not between"),
        ("harbor.corp:99999999999999999999999", "which is not between"),
        ("harbor.corp:+443", "port `+443`, which is not a plain decimal"),
        ("harbor.corp:0443", "port `0443`, which is not a plain decimal"),
        ("harbor.corp:https", "port `https`, which is not a plain decimal"),
        ("https:/harbor.corp", "has a `:` and no port"),
        ("harbor.corp/a/../b", "path with `.` or `..`"),
        ("harbor.corp/a//b", "two slashes"),
        ("harbor.corp/app:1.0", "`:` in its path"),
        ("harbor.corp/http://x", "`:` in its path"),
        (&long_path, "path of 256 characters"),
    ];
    for (input, expected) in table {
        let error = Address::parse(input).expect_err(input);
        let message = error.to_string();
        assert!(message.contains(expected), "{input:?} gave: {message}");
        assert!(!message.contains("hunter2") && !message.contains("ter2"), "{message}");
        assert!(!message.chars().any(char::is_control), "{message:?}");
        assert_eq!(message, format!("{} ({})", error.message(), error.cure()));
    }
}

#[test]
fn no_part_of_a_password_is_repeated() {
    for input in ["a:s3cret@b", "s3://s3cret@b", "u:ä\u{1b}s3cret＠h", "u:s3cret@h/?p=s3cret"] {
        let error = Address::parse(input).unwrap_err();
        assert_eq!(error.fault(), &HostFault::Userinfo, "{input}");
        assert!(!format!("{error} {error:?}").contains("s3"), "{error:?}");
    }
}

#[test]
fn a_long_value_is_cut_in_messages() {
    let message = RegistryHost::from_str(&"x y".repeat(10_000)).unwrap_err().message();
    assert!(message.chars().count() < 130, "{message}");
    assert!(message.contains('…'), "{message}");
}

#[test]
fn the_parts_of_a_host_are_read_back() {
    for (text, name, port, ip, alias) in [
        ("harbor.corp", "harbor.corp", None, None, None),
        ("harbor.corp:5000", "harbor.corp", Some(5000), None, Some("harbor.corp_5000_")),
        ("10.0.0.1:80", "10.0.0.1", Some(80), Some("10.0.0.1"), Some("10.0.0.1_80_")),
        ("[::1]:5000", "[::1]", Some(5000), Some("::1"), Some("[::1]_5000_")),
        // containerd cuts at the last colon, though here it divides no port.
        ("[::1]", "[::1]", None, Some("::1"), Some("[:_1]_")),
    ] {
        let host: RegistryHost = text.parse().unwrap();
        assert_eq!((host.as_str(), host.name(), host.port()), (text, name, port));
        assert_eq!(host.ip(), ip.map(|ip| ip.parse().unwrap()), "{text}");
        assert_eq!(host.containerd_alias().as_deref(), alias, "{text}");
    }
    assert!("index.docker.io".parse::<RegistryHost>().unwrap().is_docker_hub());
}

#[test]
fn a_stored_host_comes_back_as_it_was() {
    let hub = Address::parse_mirror("https://registry-1.docker.io").unwrap().host;
    let stored = serde_json::to_string(&hub).unwrap();
    assert_eq!(serde_json::from_str::<RegistryHost>(&stored).unwrap(), hub);
    for text in ["\"https://harbor.corp\"", "\"../x\"", "\"\"", "\"a\\u001b.corp\"", "\"registry\""]
    {
        let error = serde_json::from_str::<RegistryHost>(text).unwrap_err().to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }
}

/// Whatever was accepted is one harmless path component, is its own canonical form, and reads back.
fn check(input: &str) -> Result<(), TestCaseError> {
    let error_or_host = Address::parse(input);
    let host = match error_or_host {
        Err(error) => {
            prop_assert!(!error.to_string().chars().any(char::is_control), "{error:?}");
            return Ok(());
        }
        Ok(address) => address.host,
    };
    let text = host.as_str();
    prop_assert!(crate::path::NodePath::new(text).is_ok_and(|path| path.file_name() == text));
    prop_assert!(!text.starts_with(['.', '-']) && !text.contains(['_', '/', '%', '@', '*']));
    prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()));
    prop_assert!(text.contains(['.', ':']) || text == "localhost");
    prop_assert_eq!(&text.parse::<RegistryHost>().unwrap(), &host, "canonical");
    let stored = serde_json::to_string(&host).unwrap();
    prop_assert_eq!(serde_json::from_str::<RegistryHost>(&stored).unwrap(), host, "stored");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_refused_or_becomes_one_safe_component(input: String) {
        check(&input)?;
    }

    #[test]
    fn text_that_looks_like_a_host_does_too(
        input in r"(https?://|OCI://)?[a-zA-Z0-9_.:\[\]%@*-]{0,20}(\.[a-z0-9]{1,3}){0,2}(:[0-9]{1,6})?(/[a-z0-9_.:/]{0,9})?"
    ) {
        check(&input)?;
    }

    #[test]
    fn plain_hosts_are_accepted(name in r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]([a-z0-9]{0,5})){1,3}", port in 1_u16..) {
        let host = format!("{name}:{port}");
        let parsed: RegistryHost = host.parse().unwrap();
        prop_assert_eq!(parsed.as_str(), host.as_str());
        check(&host)?;
    }
}
