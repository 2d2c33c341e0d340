//! Authorities and certificates, made anew for every case that wants them.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// A certificate and its private key, as PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    /// With the intermediate after it, as a server sends it.
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// A private root with an intermediate below it, which issues everything: servers send the
/// intermediate along, and only the root is ever declared.
pub(crate) struct Authority {
    /// The root's certificate: what `ca` in a declaration wants.
    pub(crate) root: String,
    intermediate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let root_key = key();
        let root = authority(&format!("{name} root"));
        let root_pem = root.self_signed(&root_key).expect("a root").pem();
        let root = Issuer::new(root, root_key);

        let intermediate_key = key();
        let intermediate = authority(&format!("{name} intermediate"));
        let certificate =
            intermediate.signed_by(&intermediate_key, &root).expect("an intermediate");
        Self {
            root: root_pem,
            intermediate: certificate.pem(),
            issuer: Issuer::new(intermediate, intermediate_key),
        }
    }

    /// A server certificate for these names and addresses.
    pub(crate) fn server(&self, names: &[&str]) -> Identity {
        self.sign(&server(names))
    }

    /// One that ended years ago.
    pub(crate) fn expired_server(&self, names: &[&str]) -> Identity {
        let mut parameters = server(names);
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
        self.sign(&parameters)
    }

    /// A client certificate.
    pub(crate) fn client(&self, name: &str) -> Identity {
        let mut parameters = named(name);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(&parameters)
    }

    fn sign(&self, parameters: &CertificateParams) -> Identity {
        let key = key();
        let certificate = parameters.signed_by(&key, &self.issuer).expect("a certificate");
        Identity { chain: certificate.pem() + &self.intermediate, key: key.serialize_pem() }
    }
}

/// A server certificate that nobody but itself signed. `is_ca` is what the basic constraints say:
/// appliances make both kinds.
pub(crate) fn self_signed_server(names: &[&str], is_ca: bool) -> Identity {
    let mut parameters = server(names);
    parameters.is_ca =
        if is_ca { IsCa::Ca(BasicConstraints::Unconstrained) } else { IsCa::ExplicitNoCa };
    let key = key();
    let certificate = parameters.self_signed(&key).expect("a certificate");
    Identity { chain: certificate.pem(), key: key.serialize_pem() }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(2060, 1, 1);
    parameters
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = named(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn server(names: &[&str]) -> CertificateParams {
    let mut parameters = named(names.first().expect("a server has a name"));
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    parameters.subject_alt_names =
        CertificateParams::new(names).expect("host names or addresses").subject_alt_names;
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    parameters
}
