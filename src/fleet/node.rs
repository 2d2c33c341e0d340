//! Under which name the fleet knows this node. Pure.

use std::fmt::Write as _;

use ring::hmac;

use crate::settings::NodeId;

/// A node, as others see it in the list of those who hold a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Nobody else's.
    pub id: String,
    /// Its name, which people know it by and which may change.
    pub host: String,
}

/// Why there is no name for this node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NodeError {
    #[error("`/etc/machine-id` {0}")]
    MachineId(&'static str),
}

/// What makes our name of a node differ from what others make of the same machine id. With Zincati's
/// own, a Zincati on the same machine would free our slot whenever it starts.
const OURS: [u8; 16] = [
    0x9c, 0x1e, 0x5a, 0x33, 0x0d, 0x64, 0x4f, 0x0b, 0xa2, 0x77, 0x6e, 0x1c, 0x58, 0xd3, 0xf4, 0x21,
];
/// Zincati's, as systemd-id128 would have it for Zincati.
const ZINCATI: [u8; 16] = [
    0xde, 0x35, 0x10, 0x6b, 0x6e, 0xc2, 0x46, 0x88, 0xb6, 0x3a, 0xfd, 0xda, 0xa1, 0x56, 0x67, 0x9b,
];

/// The id of a machine for one program, as systemd's `sd_id128_get_machine_app_specific` makes it:
/// it tells nobody the machine id itself, which is as good as a password in some places.
///
/// # Errors
/// When `machine_id` is none. An image that was never booted has an empty one or `uninitialized`, and
/// all nodes made of it would be one to the lock, each freeing the others' slots.
pub fn node_id(machine_id: &str, kind: NodeId) -> Result<String, NodeError> {
    let text = machine_id.trim_end_matches('\n');
    if text.is_empty() || text == "uninitialized" {
        return Err(NodeError::MachineId("is not set yet; `systemd-machine-id-setup` sets it"));
    }
    let machine = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32);
    let machine = machine.filter(|id| *id != 0 && !text.starts_with('+'));
    let machine = machine.ok_or(NodeError::MachineId("does not hold 32 hexadecimal digits"))?;
    let program = match kind {
        NodeId::Regtrust => OURS,
        NodeId::Zincati => ZINCATI,
    };
    // Keyed by its 16 bytes, not by the digits.
    let key = hmac::Key::new(hmac::HMAC_SHA256, &machine.to_be_bytes());
    let mut bytes = [0; 16];
    for (byte, of_tag) in bytes.iter_mut().zip(hmac::sign(&key, &program).as_ref()) {
        *byte = *of_tag;
    }
    // The two places where a random UUID has its version and variant.
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut id = String::with_capacity(32);
    for byte in bytes {
        // Writing to a string cannot fail.
        _ = write!(id, "{byte:02x}");
    }
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_what_systemd_and_zincati_make_of_them() {
        for (machine, id) in [
            ("1c09ca98649c4c7abc779cd04c96812e", "978a225b3d7b40e9acd7ce9b62f68444"),
            ("3d4b4011908c44a780a9033a7336d354\n", "9765cc552db7472b930408a8cff50c19"),
        ] {
            assert_eq!(node_id(machine, NodeId::Zincati).as_deref(), Ok(id));
            let ours = node_id(machine, NodeId::Regtrust).unwrap();
            assert_eq!(ours.len(), 32);
            assert_ne!(ours, id, "Zincati on the same machine would free our slot");
            assert!(!ours.contains(machine.trim()));
        }
    }

    #[test]
    fn a_machine_without_an_id_takes_no_part() {
        let long = "1".repeat(33);
        for text in [
            "",
            "\n",
            "uninitialized\n",
            "00000000000000000000000000000000",
            "1c09ca98649c4c7abc779cd04c96812",
            "1c09ca98-649c-4c7a-bc77-9cd04c96",
            "+c09ca98649c4c7abc779cd04c96812e",
            "zc09ca98649c4c7abc779cd04c96812e",
            &long,
        ] {
            assert!(node_id(text, NodeId::Regtrust).is_err(), "{text:?}");
        }
    }
}
