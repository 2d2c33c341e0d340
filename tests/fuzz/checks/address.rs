//! Addresses: whatever is accepted is safe as one component of a path, and is read back as itself.

use regtrust::path::NodePath;
use regtrust::trust::host::{Address, HostError, RegistryHost};

use super::assert_printable;

pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_parsed(text, Address::parse);
    check_parsed(text, Address::parse_mirror);
    if let Err(error) = RegistryHost::try_from(text.to_owned()) {
        assert_printable(&error);
    }
}

fn check_parsed(text: &str, parse: fn(&str) -> Result<Address, HostError>) {
    let address = match parse(text) {
        Ok(address) => address,
        Err(error) => return assert_printable(&error),
    };
    let host = address.host.as_str();
    assert!(NodePath::new(host).is_ok_and(|path| path.parent().is_none()), "{host:?}");
    assert!(host.len() <= 255 && host.is_ascii() && !host.starts_with(['-', '.']), "{host:?}");
    let mut parts = address.path.split('/');
    assert_eq!(parts.next(), Some(""), "it begins with a slash, or is nothing");
    assert!(parts.all(|part| !["", ".", ".."].contains(&part)), "{:?}", address.path);
    assert_eq!(RegistryHost::try_from(host.to_owned()).as_ref(), Ok(&address.host));
    let again = parse(&format!("{host}{}", address.path));
    assert_eq!(again, Ok(Address { scheme: None, ..address }));
}
