//! "Did you mean …?"

/// Below this two words are no longer the same word misspelt: `ca` and `trust` must not be offered
/// for each other.
const ALIKE: f64 = 0.82;

/// The known word that was probably meant.
pub fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // The comparison is quadratic, and the word may be anything at all.
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase().replace('-', "_");
    let alike = |known: &str| strsim::jaro_winkler(&lower, &known.replace('-', "_"));
    let scored = known.iter().map(|known| (alike(known), *known));
    let best = scored.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best.0 >= ALIKE).then_some(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_likely_word_is_offered() {
        let known = ["host", "trust", "ca", "ca_file", "client_cert_file", "mirror", "runtimes"];
        for (word, meant) in [
            ("cafile", Some("ca_file")),
            ("CA-File", Some("ca_file")),
            ("hosts", Some("host")),
            ("mirrors", Some("mirror")),
            ("runtime", Some("runtimes")),
            ("client_cert", Some("client_cert_file")),
            ("url", None),
            ("password", None),
            ("", None),
        ] {
            assert_eq!(closest(word, &known), meant, "{word}");
        }
        assert_eq!(closest(&"c".repeat(65), &known), None);
    }
}
