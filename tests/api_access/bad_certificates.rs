//! Client certificates that must open nothing. Each is tried next to its sound twin, which differs
//! in the fault alone and is let in, so that no case is refused for another reason.
//!
//! Not here, because the library that makes the certificates cannot: MD5 and SHA-1 signatures, and
//! RSA keys of 1,024 bits. The TLS library knows no algorithm for the first two, and none for an RSA
//! key below 2,048 bits.

use rcgen::{
    BasicConstraints, CustomExtension, DnType, ExtendedKeyUsagePurpose as Usage, GeneralSubtree,
    IsCa, KeyPair, KeyUsagePurpose, NameConstraints, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use crate::client::{Manner, ONLY_TLS_1_2, Outcome, over_tls};
use crate::daemon::Daemon;
use crate::pki::{ADMIN, Ca, ONCALL, Pki, Shown, dns, key, unknown_critical, uri};

const PEOPLE: &str = "[[access]]\nrole = \"admin\"\nsan = \"spiffe://corp.example/regtrust/admin\"\n\
                      [[access]]\nrole = \"admin\"\nsan = \"spiffe://corp.example/oncall/*\"\n";

use Outcome::{Denied, NoConnection};

struct Case {
    name: &'static str,
    bad: Option<Shown>,
    /// How it is refused: a name that is well-formed and unknown is told so; the rest gets no
    /// connection.
    outcome: Outcome,
    sound: Shown,
}

fn case(name: &'static str, bad: Shown, sound: Shown) -> Case {
    Case { name, bad: Some(bad), outcome: NoConnection, sound }
}

fn names(pki: &Pki) -> Vec<Case> {
    let long = format!("{ADMIN}/{}", "a".repeat(2_048));
    let spelt: [(&'static str, &str, Outcome); 27] = [
        ("unknown name", "spiffe://corp.example/regtrust/nobody", Denied),
        ("another trust domain", "spiffe://evil.example/regtrust/admin", Denied),
        ("trust domain as a prefix", "spiffe://corp.example.evil/regtrust/admin", Denied),
        ("trust domain as a suffix", "spiffe://evil.corp.example/regtrust/admin", Denied),
        ("name as a prefix", "spiffe://corp.example/regtrust/admin2", Denied),
        ("below the name", "spiffe://corp.example/regtrust/admin/x", Denied),
        ("above the name", "spiffe://corp.example/regtrust", Denied),
        ("upper case in the path", "spiffe://corp.example/regtrust/Admin", Denied),
        ("the prefix itself", "spiffe://corp.example/oncall", Denied),
        ("beside the prefix", "spiffe://corp.example/oncallx/anna", Denied),
        ("a literal star", "spiffe://corp.example/oncall/*", NoConnection),
        ("an empty name below the prefix", "spiffe://corp.example/oncall/", NoConnection),
        ("upper case in the scheme", "SPIFFE://corp.example/regtrust/admin", NoConnection),
        ("upper case in the domain", "spiffe://Corp.example/regtrust/admin", NoConnection),
        ("slash at the end", "spiffe://corp.example/regtrust/admin/", NoConnection),
        ("double slash", "spiffe://corp.example//regtrust/admin", NoConnection),
        ("dots", "spiffe://corp.example/oncall/../regtrust/admin", NoConnection),
        ("one dot", "spiffe://corp.example/./regtrust/admin", NoConnection),
        ("percent signs", "spiffe://corp.example/regtrust%2fadmin", NoConnection),
        ("NUL within", "spiffe://corp.example/regtrust/admin\0.evil", NoConnection),
        ("NUL at the end", "spiffe://corp.example/regtrust/admin\0", NoConnection),
        ("line feed", "spiffe://corp.example/regtrust/admin\n", NoConnection),
        ("space in front", " spiffe://corp.example/regtrust/admin", NoConnection),
        ("query", "spiffe://corp.example/regtrust/admin?x", NoConnection),
        ("fragment", "spiffe://corp.example/regtrust/admin#x", NoConnection),
        ("user", "spiffe://root@corp.example/regtrust/admin", NoConnection),
        ("https", "https://corp.example/regtrust/admin", NoConnection),
    ];
    let mut cases: Vec<Case> = spelt
        .into_iter()
        .map(|(name, san, outcome)| {
            let bad = Some(pki.named(san));
            let sound = if name.contains("prefix") { pki.named(ONCALL) } else { pki.admin() };
            Case { name, bad, outcome, sound }
        })
        .collect();
    cases.push(case("too long", pki.named(&long), pki.named(ADMIN)));
    cases.push(case("port", pki.named("spiffe://corp.example:1/regtrust/admin"), pki.admin()));
    cases.push(case("empty", pki.named(""), pki.admin()));
    cases
}

fn alternative_names(pki: &Pki) -> Vec<Case> {
    let sans = |sans: Vec<SanType>| pki.root.client(|leaf| leaf.subject_alt_names = sans);
    let with_dns = || sans(vec![dns("somebody.corp"), uri(ADMIN)]);
    let common = pki.root.client(|leaf| {
        leaf.subject_alt_names.clear();
        leaf.distinguished_name.push(DnType::CommonName, ADMIN);
        leaf.distinguished_name.push(DnType::OrganizationName, "admin");
    });
    let mail = SanType::Rfc822Name("admin@corp.example".try_into().unwrap());
    vec![
        case("only a common name and an organisation", common, pki.admin()),
        case("only a DNS name", sans(vec![dns("corp.example")]), with_dns()),
        case("the name as a DNS name", sans(vec![dns(ADMIN)]), with_dns()),
        case("only a mail address", sans(vec![mail.clone()]), sans(vec![mail, uri(ADMIN)])),
        case("only an address", sans(vec![SanType::IpAddress([127, 0, 0, 1].into())]), with_dns()),
        case("two names with roles", sans(vec![uri(ADMIN), uri(ONCALL)]), with_dns()),
        case("a name and an unknown one", sans(vec![uri(ADMIN), uri("spiffe://x/y")]), with_dns()),
        case("an unknown name and a name", sans(vec![uri("urn:x"), uri(ADMIN)]), with_dns()),
        case("one name twice", sans(vec![uri(ADMIN), uri(ADMIN)]), with_dns()),
    ]
}

fn purposes(pki: &Pki) -> Vec<Case> {
    let usage = |usage: Vec<Usage>| pki.root.client(|leaf| leaf.extended_key_usages = usage);
    let both = || usage(vec![Usage::ServerAuth, Usage::ClientAuth]);
    let key_usage = |usage| pki.root.client(|leaf| leaf.key_usages = usage);
    let extension = |extension: CustomExtension| {
        pki.root.client(|leaf| leaf.custom_extensions = vec![extension])
    };
    let mut harmless = unknown_critical();
    harmless.set_criticality(false);
    vec![
        case("no extended key usage", usage(vec![]), both()),
        case("server only", usage(vec![Usage::ServerAuth]), both()),
        case("code signing only", usage(vec![Usage::CodeSigning]), both()),
        case("any usage", usage(vec![Usage::Any]), usage(vec![Usage::Any, Usage::ClientAuth])),
        case(
            "no digital signature",
            key_usage(vec![KeyUsagePurpose::KeyEncipherment]),
            key_usage(vec![KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::DigitalSignature]),
        ),
        case("unknown critical extension", extension(unknown_critical()), extension(harmless)),
        case("the node's own certificate", pki.server(), pki.admin()),
    ]
}

fn times_and_issuers(pki: &Pki) -> Vec<Case> {
    let namesake = Ca::root("clients");
    let alone = {
        let key = key();
        let certificate = crate::pki::leaf().self_signed(&key).unwrap().der().clone();
        Shown { chain: vec![certificate], key }
    };
    let between = |from, to| {
        pki.root.client(|leaf| {
            leaf.not_before = date_time_ymd(from, 1, 1);
            leaf.not_after = date_time_ymd(to, 1, 1);
        })
    };
    let mut another_key = pki.admin();
    another_key.key = key();
    let altered = |at_end: usize| {
        let mut shown = pki.admin();
        let mut der = shown.chain[0].to_vec();
        let at = der.len() - at_end;
        der[at] ^= 1;
        shown.chain = vec![CertificateDer::from(der)];
        shown
    };
    let raw = |change: fn(&mut Vec<u8>)| {
        let mut shown = pki.admin();
        let mut der = shown.chain[0].to_vec();
        change(&mut der);
        shown.chain = vec![CertificateDer::from(der)];
        shown
    };
    vec![
        Case { name: "no certificate", bad: None, outcome: NoConnection, sound: pki.admin() },
        case("signed by itself", alone, pki.admin()),
        case("another CA of the same name", namesake.client(|_| ()), pki.admin()),
        case("expired", between(2020, 2021), between(2020, 4000)),
        case("not yet valid", between(3999, 4000), between(2020, 4000)),
        case("somebody else's key", another_key, pki.admin()),
        case("an altered signature", altered(1), pki.admin()),
        case("an altered body", altered(300), pki.admin()),
        case("bytes behind it", raw(|der| der.push(0)), pki.admin()),
        case("cut off", raw(|der| der.truncate(100)), pki.admin()),
        case("no certificate at all", raw(|der| *der = b"hello".to_vec()), pki.admin()),
        case("the CA itself", pki.root.itself(), pki.admin()),
        case(
            "a CA with the right name",
            pki.root.client(|leaf| leaf.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
            pki.root.client(|leaf| leaf.is_ca = IsCa::ExplicitNoCa),
        ),
    ]
}

/// A client below an intermediate, which it shows.
fn below(intermediate: &Ca) -> Shown {
    let mut shown = intermediate.client(|_| ());
    shown.chain.push(intermediate.certificate.clone());
    shown
}

fn constrained(permitted: Vec<GeneralSubtree>) -> NameConstraints {
    NameConstraints { permitted_subtrees: permitted, excluded_subtrees: Vec::new() }
}

fn intermediates(pki: &Pki) -> Vec<Case> {
    let sound = || below(&pki.root.below(|_| ()));
    let mut missing = sound();
    missing.chain.truncate(1);
    let not_an_issuer = below(&pki.root.below(|ca| ca.is_ca = IsCa::NoCa));
    let no_signing = below(&pki.root.below(|ca| ca.key_usages = vec![KeyUsagePurpose::CrlSign]));
    let expired = below(&pki.root.below(|ca| ca.not_after = date_time_ymd(2025, 2, 1)));
    let server = below(&pki.root.below(|ca| ca.extended_key_usages = vec![Usage::ServerAuth]));
    let client = below(&pki.root.below(|ca| ca.extended_key_usages = vec![Usage::ClientAuth]));
    let deep = |length: u8| {
        let upper = pki.root.below(|ca| ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(length)));
        let lower = upper.below(|_| ());
        let mut shown = below(&lower);
        shown.chain.push(upper.certificate.clone());
        shown
    };
    let dns_in = |domain: &str, name: &str| {
        let permitted = constrained(vec![GeneralSubtree::DnsName(domain.to_owned())]);
        let ca = pki.root.below(|ca| ca.name_constraints = Some(permitted));
        let mut shown = ca.client(|leaf| leaf.subject_alt_names = vec![dns(name), uri(ADMIN)]);
        shown.chain.push(ca.certificate.clone());
        shown
    };
    // What a CA may say about URIs the TLS library does not weigh, and so believes no URI below it.
    let uri_subtree: Vec<u8> =
        [&[0x30, 17, 0xa0, 15, 0x30, 13, 0x86, 11][..], b".other.corp"].concat();
    let mut uri_constraint = CustomExtension::from_oid_content(&[2, 5, 29, 30], uri_subtree);
    uri_constraint.set_criticality(true);
    let by_uri = below(&pki.root.below(|ca| ca.custom_extensions = vec![uri_constraint]));
    vec![
        case("intermediate missing", missing, sound()),
        case("intermediate is no CA", not_an_issuer, sound()),
        case("intermediate may not sign", no_signing, sound()),
        case("intermediate expired", expired, sound()),
        case("intermediate for servers only", server, client),
        case("intermediate too deep", deep(0), deep(1)),
        case(
            "DNS name outside",
            dns_in("corp.example", "evil.example"),
            dns_in("corp.example", "a.corp.example"),
        ),
        case("URI outside", by_uri, sound()),
        case(
            "issued by a client",
            {
                let client = pki.root.below(|ca| {
                    ca.is_ca = IsCa::ExplicitNoCa;
                    ca.key_usages = vec![KeyUsagePurpose::DigitalSignature];
                    ca.extended_key_usages = vec![Usage::ClientAuth];
                    ca.subject_alt_names = vec![uri(ADMIN)];
                });
                below(&client)
            },
            sound(),
        ),
    ]
}

async fn check(port: u16, root: &CertificateDer<'static>, case: &Case) {
    let sound = over_tls(&Manner::new(root, Some(&case.sound)), port).await;
    assert_eq!(sound, Outcome::Answered("admin".into()), "{}: its sound twin", case.name);
    let bad = over_tls(&Manner::new(root, case.bad.as_ref()), port).await;
    assert_eq!(bad, case.outcome, "{}", case.name);
}

#[tokio::test]
async fn no_bad_certificate_opens_anything() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let groups = [names, alternative_names, purposes, times_and_issuers, intermediates];
    let cases: Vec<Case> = groups.iter().flat_map(|group| group(&pki)).collect();
    for case in &cases {
        check(daemon.port, &pki.root.certificate, case).await;
    }
    assert_eq!(daemon.node.calls(), cases.len(), "only the sound ones reached the service");
    println!("{} bad client certificates refused", cases.len());
    assert!(cases.len() >= 60, "{}", cases.len());
}

#[tokio::test]
async fn what_is_revoked_or_whose_revocation_is_unknown_opens_nothing() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, true).await;
    let serial =
        |number: u64| pki.root.client(|leaf| leaf.serial_number = Some(SerialNumber::from(number)));
    // Each with a name of its own: a list is found by the name of its issuer.
    let numbered = |number: u64| {
        pki.root.below(|ca| {
            ca.serial_number = Some(SerialNumber::from(number));
            ca.distinguished_name.push(DnType::CommonName, format!("intermediate {number}"));
        })
    };
    let (revoked, known, unknown) = (numbered(70), numbered(71), numbered(72));
    let lists = pki.crl(&[66, 70]) + &revoked.crl(&[], 4000) + &known.crl(&[7777], 4000);
    daemon.write("crl.pem", &lists);
    daemon.tls.as_ref().unwrap().look().await;
    let mut below_revoked =
        known.client(|leaf| leaf.serial_number = Some(SerialNumber::from(7777)));
    below_revoked.chain.push(known.certificate.clone());
    for case in [
        case("revoked", serial(66), serial(67)),
        case("intermediate revoked", below(&revoked), below(&known)),
        case("revoked by the intermediate", below_revoked, below(&known)),
        case("intermediate without a list", below(&unknown), below(&known)),
    ] {
        check(daemon.port, &pki.root.certificate, &case).await;
    }
    // A list that has ended might hide what was revoked since.
    let good = Manner::new(&pki.root.certificate, Some(&serial(67)));
    daemon.write("crl.pem", &pki.root.crl(&[66], 2025 + 1));
    daemon.tls.as_ref().unwrap().look().await;
    assert_eq!(over_tls(&good, daemon.port).await, NoConnection, "an old list");
    // A list that somebody else signed is none of this CA's.
    daemon.write("crl.pem", &Ca::root("clients").crl(&[], 4000));
    daemon.tls.as_ref().unwrap().look().await;
    assert_eq!(over_tls(&good, daemon.port).await, NoConnection, "a foreign list");
    daemon.write("crl.pem", &pki.crl(&[]));
    daemon.tls.as_ref().unwrap().look().await;
    assert_eq!(over_tls(&good, daemon.port).await, Outcome::Answered("admin".into()));
}

#[tokio::test]
async fn only_tls_1_3_and_http_2_are_spoken() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let good = Manner::new(&pki.root.certificate, Some(&pki.admin()));
    let old = Manner { versions: ONLY_TLS_1_2, ..good.clone() };
    let http1 = Manner { alpn: vec![b"http/1.1".to_vec()], ..good.clone() };
    let silent = Manner { alpn: Vec::new(), ..good.clone() };
    let both = Manner { versions: rustls::ALL_VERSIONS, ..good.clone() };
    for (manner, expected) in [
        (&good, Outcome::Answered("admin".into())),
        (&old, NoConnection),
        (&http1, NoConnection),
        (&silent, NoConnection),
        (&both, Outcome::Answered("admin".into())),
    ] {
        assert_eq!(over_tls(manner, daemon.port).await, expected, "{:?}", manner.versions);
    }
}

#[tokio::test]
async fn an_rsa_key_is_as_good_as_another() {
    let pki = Pki::new();
    let daemon = Daemon::remote(PEOPLE, &pki, false).await;
    let pem = include_str!("../fixtures/certs/client.key");
    let shown = pki.root.client_with(KeyPair::from_pem(pem).unwrap(), |_| ());
    let manner = Manner::new(&pki.root.certificate, Some(&shown));
    assert_eq!(over_tls(&manner, daemon.port).await, Outcome::Answered("admin".into()));
}
