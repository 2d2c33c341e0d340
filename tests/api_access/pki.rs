//! An authority for the clients of a node, and every wrong thing it could issue.

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

pub(crate) const ADMIN: &str = "spiffe://corp.example/regtrust/admin";
pub(crate) const ONCALL: &str = "spiffe://corp.example/oncall/anna";

/// What somebody shows: a chain and a key.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: KeyPair,
}

impl Shown {
    pub(crate) fn pem(&self) -> String {
        let block = |der: &CertificateDer<'_>| pem(der.as_ref(), "CERTIFICATE");
        self.chain.iter().map(block).collect()
    }
}

fn pem(der: &[u8], label: &str) -> String {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
}

pub(crate) struct Ca {
    pub(crate) certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    key: String,
}

impl Ca {
    /// Signed by itself.
    pub(crate) fn root(name: &str) -> Self {
        let key = key();
        let parameters = authority(name);
        let certificate = parameters.self_signed(&key).unwrap().der().clone();
        Self::assemble(certificate, parameters, key)
    }

    fn assemble(
        certificate: CertificateDer<'static>,
        parameters: CertificateParams,
        key: KeyPair,
    ) -> Self {
        let text = key.serialize_pem();
        let issuer = Issuer::new(parameters, key);
        Self { certificate, issuer, key: text }
    }

    /// An authority below this one.
    pub(crate) fn below(&self, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = key();
        let mut parameters = authority("intermediate");
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self::assemble(certificate, parameters, key)
    }

    /// A client certificate, with whatever `change` does to it.
    pub(crate) fn client(&self, change: impl FnOnce(&mut CertificateParams)) -> Shown {
        self.client_with(key(), change)
    }

    pub(crate) fn client_with(
        &self,
        key: KeyPair,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Shown {
        let mut parameters = leaf();
        change(&mut parameters);
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap().der().clone();
        Shown { chain: vec![certificate], key }
    }

    /// The authority itself, as if it were a client.
    pub(crate) fn itself(&self) -> Shown {
        let key = KeyPair::from_pem(&self.key).unwrap();
        Shown { chain: vec![self.certificate.clone()], key }
    }

    pub(crate) fn crl(&self, revoked: &[u64], ends: i32) -> String {
        let entry = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: date_time_ymd(2025, 1, 1),
            reason_code: None,
            invalidity_date: None,
        };
        let parameters = CertificateRevocationListParams {
            this_update: date_time_ymd(2025, 1, 1),
            next_update: date_time_ymd(ends, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.iter().map(entry).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        parameters.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

pub(crate) struct Pki {
    pub(crate) root: Ca,
}

impl Pki {
    pub(crate) fn new() -> Self {
        Self { root: Ca::root("clients") }
    }

    pub(crate) fn root_pem(&self) -> String {
        pem(&self.root.certificate, "CERTIFICATE")
    }

    pub(crate) fn crl(&self, revoked: &[u64]) -> String {
        self.root.crl(revoked, 4000)
    }

    /// The node's own certificate.
    pub(crate) fn server(&self) -> Shown {
        self.root.client(|parameters| {
            parameters.subject_alt_names = vec![dns("node.corp")];
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        })
    }

    pub(crate) fn admin(&self) -> Shown {
        self.root.client(|_| ())
    }

    pub(crate) fn named(&self, san: &str) -> Shown {
        self.root.client(|parameters| parameters.subject_alt_names = vec![uri(san)])
    }
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate().unwrap()
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

pub(crate) fn dns(text: &str) -> SanType {
    SanType::DnsName(text.try_into().unwrap())
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.not_before = date_time_ymd(2025, 1, 1);
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

pub(crate) fn authority(name: &str) -> CertificateParams {
    let mut parameters = named(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

pub(crate) fn leaf() -> CertificateParams {
    let mut parameters = named("somebody");
    parameters.serial_number = Some(SerialNumber::from(7));
    parameters.subject_alt_names = vec![uri(ADMIN)];
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    parameters
}

/// An extension that nobody understands and everybody has to.
pub(crate) fn unknown_critical() -> CustomExtension {
    let mut extension =
        CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 99999, 1], vec![5, 0]);
    extension.set_criticality(true);
    extension
}
