//! Why an address is refused, in words that say what to write instead.

use super::super::printable::printable;

/// Longer values are cut: a message is read in one line of a terminal or a status.
const SHOWN: usize = 80;

/// Characters that people and keyboards take for the one before a host in `user:password@host`.
pub(super) const AT_SIGNS: [char; 3] = ['@', '＠', '﹫'];

/// A refused address: what was written, as far as it may be shown, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    shown: String,
    fault: HostFault,
}

impl HostError {
    pub(super) fn new(input: &str, fault: HostFault) -> Self {
        Self { shown: shown(input), fault }
    }

    pub fn fault(&self) -> &HostFault {
        &self.fault
    }

    /// What is wrong, naming the value. One line; credentials in the value are masked.
    pub fn message(&self) -> String {
        match self.fault {
            HostFault::Empty => "the registry host is empty".to_owned(),
            _ => format!("registry host `{}` {}", self.shown, self.fault),
        }
    }

    /// What to write instead.
    pub fn cure(&self) -> String {
        self.fault.cure()
    }
}

impl std::error::Error for HostError {}

impl std::fmt::Display for HostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message(), self.cure())
    }
}

/// The input without what may be a password: all before the last `@`, all after the first `?`.
///
/// The whole input is searched, not the part where credentials belong, because a password may hold
/// a slash and would then be taken for a path.
fn shown(input: &str) -> String {
    let text = input.trim();
    let Some(at) = text.rfind(AT_SIGNS) else {
        return printable(&without_query(text), SHOWN);
    };
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme).to_ascii_lowercase();
    let scheme = match scheme.as_str() {
        known @ ("http" | "https" | "oci") => format!("{known}://"),
        // What stands before a later `://` may be half of a password.
        _ => String::new(),
    };
    let rest = text.get(at..).unwrap_or_default();
    printable(&format!("{scheme}***{}", without_query(rest)), SHOWN)
}

fn without_query(text: &str) -> String {
    match text.split_once('?') {
        Some((before, _)) => format!("{before}?***"),
        None => text.to_owned(),
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostFault {
    #[error("is empty")]
    Empty,
    #[error("names no host")]
    NoHost,
    #[error("contains a NUL character")]
    Nul,
    #[error("contains a terminal escape sequence")]
    Escape,
    #[error("contains the control character U+{0:04X}")]
    Control(u32),
    #[error("contains the invisible character U+{0:04X}")]
    Invisible(u32),
    #[error("contains a space")]
    Space,
    #[error("contains quotation marks")]
    Quotes,
    #[error("contains `{0}`, which is not ASCII")]
    NotAscii(char),
    #[error("contains `@`: a registry address carries neither credentials nor a digest")]
    Userinfo,
    #[error("contains a query")]
    Query,
    #[error("contains a fragment (`#`)")]
    Fragment,
    #[error("contains a backslash")]
    Backslash,
    #[error("contains percent-encoding")]
    Percent,
    #[error("has a scheme other than `https`, `http` and `oci`")]
    Scheme,
    #[error("seems to name several registries")]
    Several,
    #[error("is a pattern")]
    Pattern,
    #[error("is containerd's catch-all for every registry")]
    CatchAll,
    #[error(
        "contains `_`, which no host name has, and containerd would take `name_port_` for another \
         spelling of `name:port`"
    )]
    Underscore,
    #[error("is a relative path, not a host")]
    Relative,
    #[error("has an empty label: two dots in a row, or one at the start")]
    EmptyLabel,
    #[error("has the label `{0}`, which begins or ends with a hyphen")]
    Hyphen(String),
    #[error("has a label of {0} characters, and DNS allows 63")]
    LongLabel(usize),
    #[error("has a name of {0} characters, and DNS allows 253")]
    LongName(usize),
    #[error("contains `{0}`, which no host name has")]
    Character(char),
    #[error("is a single word, which docker and containerd read as a name on Docker Hub")]
    SingleLabel(String),
    #[error("ends in a number, but is not an IPv4 address of four plain decimal numbers")]
    Ipv4,
    #[error("is an IPv6 address without brackets")]
    BareIpv6(std::net::Ipv6Addr),
    #[error("has more than one `:`")]
    Colons,
    #[error("has brackets that do not hold an IPv6 address")]
    Ipv6,
    #[error("has a zone id, which image references cannot carry")]
    Zone,
    #[error("is an IPv4 address written as IPv6, which image references cannot carry")]
    MappedIpv4(std::net::Ipv4Addr),
    #[error("has a `:` and no port")]
    NoPort,
    #[error("has the port `{0}`, which is not a plain decimal number")]
    PortDigits(String),
    #[error("has the port {0}, which is not between 1 and 65535")]
    PortRange(String),
    #[error("has a path with `.` or `..` in it")]
    PathDots,
    #[error("has two slashes in a row")]
    PathSlashes,
    #[error("has `{0}` in its path")]
    PathCharacter(char),
    #[error("has a path of {0} characters, and at most 255 are understood")]
    LongPath(usize),
}

impl HostFault {
    fn cure(&self) -> String {
        let cure = match self {
            Self::SingleLabel(name) => {
                return format!("write the port, as `{name}:443`, or the name with its domain");
            }
            Self::BareIpv6(ip) => return format!("write `[{ip}]`, or `[{ip}]:PORT`"),
            Self::MappedIpv4(ip) => return format!("write `{ip}`"),
            Self::NotAscii(_) => "write an international name in its ASCII form, `xn--…`",
            Self::Nul | Self::Escape | Self::Control(_) | Self::Invisible(_) => {
                "type it anew instead of pasting it"
            }
            Self::Quotes => "remove them",
            Self::Userinfo => {
                "write the host alone; credentials belong to docker login or a pull secret"
            }
            Self::Several => "write one entry for each registry",
            Self::Pattern | Self::CatchAll => {
                "name each registry; trust is never given to a whole group of names"
            }
            Self::Scheme => "leave the scheme out",
            Self::Zone => "use an address that is valid without one, or a name",
            Self::Underscore => "write `name:port`, with the name as DNS knows it",
            Self::PortDigits(_) | Self::PortRange(_) | Self::NoPort => {
                "write a port from 1 to 65535 without zeros before it, or none"
            }
            Self::Ipv4 => "write four numbers from 0 to 255, as in `10.0.0.1`, or a name",
            Self::Ipv6 | Self::Colons => {
                "write `[2001:db8::1]:5000`, `10.0.0.1:5000` or `name:5000`"
            }
            Self::PathCharacter(_) => {
                "write the registry's address, not that of an image or a web page"
            }
            _ => "write the host as image references do, such as `harbor.corp:8443`",
        };
        cure.to_owned()
    }
}
