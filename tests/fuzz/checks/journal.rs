//! The transaction's journal: what is understood is printed again as the same bytes.

use regtrust::content::Sha256Hex;
use regtrust::txn::reprint_journal;

use super::assert_printable;

pub fn check(data: &[u8]) {
    match reprint_journal(data) {
        // Another layout of the same journal is one as well, so only the second print is the same.
        Ok(printed) => assert_eq!(reprint_journal(&printed).ok(), Some(printed)),
        Err(error) => assert_printable(&error),
    }
}

/// `body` behind its own checksum, which almost no damage to a whole journal gets past.
pub fn check_sealed(body: &[u8]) {
    let head = format!("{{\"format\":1,\"sha256\":\"{}\",\"body\":", Sha256Hex::of(body));
    let sealed = [head.as_bytes(), body, b"}"].concat();
    check(&sealed);
    if let Ok(printed) = reprint_journal(&sealed) {
        assert_eq!(printed, sealed, "the checksum is that of what we print");
    }
}
