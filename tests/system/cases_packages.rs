//! The packages on real nodes: installed, used, upgraded in the middle of a change, removed and purged.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::case::{Case, case};
use crate::lab::etc::{difference, etc};
use crate::lab::wait::eventually;
use crate::lab::{Authority, Declaration, Host, Node, Puller, Setup, Suite, Witness};

pub(crate) const CASES: &[Case] = &[
    case!(Fresh the_first_five_minutes_and_the_last),
    case!(Fresh an_upgrade_may_come_in_the_middle_of_a_change).on(&[Suite::Trixie]),
    case!(Fresh who_wants_to_keep_what_is_trusted_keeps_it).on(&[Suite::Bookworm]),
    case!(Fresh the_rpms_scriptlets_do_the_same).on(&[Suite::Forky]),
];

const DECLARATIONS: &str = "/etc/regtrust/registries.d";

/// Packages of the programs that are tested, made once for all cases, by the script that makes the
/// released ones. The second version is the same programs under a higher number.
fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let project = Path::new(env!("CARGO_MANIFEST_DIR"));
        let programs = Path::new(env!("CARGO_BIN_EXE_regtrustd")).parent().expect("a directory");
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
        for (version, wanted) in [("0.1.0", &["deb", "rpm"][..]), ("0.1.1", &["deb"][..])] {
            let output = Command::new(project.join("packaging/build.sh"))
                .args(wanted)
                .env("PROGRAMS", programs)
                .env("VERSION", version)
                .env("OUT", made.join(version))
                .env("COMPRESSION", "none")
                .output()
                .expect("the packaging script starts");
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "no packages of {version}:\n{words}");
        }
        made
    })
}

/// Puts a package onto the node, into /root.
fn bring(node: &Node, package: &str) {
    let file = package.rsplit('/').next().expect("a name");
    node.bring(&packages().join(package), &format!("/root/{file}"));
}

/// A node as it is before anybody has heard of regtrust.
fn pristine(node: &Node) -> String {
    node.sh("rm /usr/bin/regtrust");
    etc(node)
}

/// The commands of the first shell block of the README, which docs/install.md repeats.
fn commands_of_the_documentation() -> Vec<String> {
    let [readme, install] = ["README.md", "docs/install.md"].map(|page| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
        let text = std::fs::read_to_string(path).expect("the documentation");
        let block = text.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
        block.expect("a block of commands").lines().map(str::to_owned).collect::<Vec<_>>()
    });
    assert_eq!(readme, install);
    readme
}

fn the_first_five_minutes_and_the_last(node: &Node) {
    let authority = Authority::new("corp");
    let host = Node::harbor();
    let secure = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let plain = Setup::plain().start(node);
    let (image, plain_image) = (secure.image("app"), plain.image("app"));
    let before = pristine(node);
    let pullers = [Puller::Docker, Puller::Containerd];
    for puller in pullers {
        puller.pull(node, &image).expect_err("nobody knows this authority");
    }

    bring(node, "0.1.0/regtrust_0.1.0_amd64.deb");
    node.write("/root/harbor-ca.pem", &authority.root);
    node.write("/root/harbor.toml", declaration(&host));
    let commands = commands_of_the_documentation();
    assert_eq!(commands.len(), 3, "three commands are promised: {commands:?}");
    for command in commands {
        node.sh(&format!("cd /root && {command} 2>&1"));
    }
    // containerd is restarted once, a minute after: something else might need that, too.
    eventually("everything is in force", || {
        (node.run(["regtrust", "status"]).code == 0).then_some(())
    });
    for puller in pullers {
        puller.pull(node, &image).expect("the registry is trusted");
    }
    node.sh("regtrust check && regtrust status && man --version >/dev/null 2>&1 || true");
    assert_eq!(node.sh("systemctl is-enabled regtrustd").trim(), "enabled");

    // One for which docker has to be reloaded when it goes.
    node.declare("plain", &Declaration::of(&plain.name(), "insecure").only("docker"));
    eventually("the plain one is trusted", || Puller::Docker.pull(node, &plain_image).ok());
    let witness = Witness::of(node);

    node.sh("apt-get remove -y regtrust 2>&1");
    assert!(!node.exists("/usr/bin/regtrust") && !node.exists("/run/regtrust/admin.sock"));
    for puller in pullers {
        puller.pull(node, &image).expect("what was written stays in force");
    }
    let words = node.sh("apt-get purge -y regtrust 2>&1");
    eprintln!("{}: {words}", node.suite);
    for puller in pullers {
        puller.pull(node, &image).expect_err("nobody is trusted any more");
    }
    Puller::Docker.pull(node, &plain_image).expect_err("nor is the plain one");
    let after = Witness::of(node);
    assert_eq!((after.docker.pid, after.containerd), (witness.docker.pid, witness.containerd));
    assert_eq!(difference(&before, &etc(node)), [] as [&str; 0]);
    for left in ["/var/lib/regtrust", "/run/regtrust", "/run/regtrust-read", "/usr/share/regtrust"]
    {
        assert!(!node.exists(left), "{left} is left");
    }
}

fn declaration(host: &Host) -> String {
    format!(
        "[[registry]]\nhost = \"{}\"\ntrust = \"ca\"\nca_file = \"harbor-ca.pem\"\n\
         runtimes = [\"docker\", \"containerd\"]\n",
        host.name
    )
}

fn an_upgrade_may_come_in_the_middle_of_a_change(node: &Node) {
    const REGISTRIES: usize = 60;
    let authority = Authority::new("corp");
    pristine(node);
    bring(node, "0.1.0/regtrust_0.1.0_amd64.deb");
    bring(node, "0.1.1/regtrust_0.1.1_amd64.deb");
    node.sh("apt-get install -y /root/regtrust_0.1.0_amd64.deb 2>&1");
    node.write("/root/ca.pem", &authority.root);
    let before = Witness::of(node);
    // Somebody declares one registry after the other, and asks for each; meanwhile the package is
    // upgraded and downgraded, which starts the daemon anew each time.
    let codes = node.sh(&format!(
        "cp /root/ca.pem {DECLARATIONS}/
         (for n in $(seq {REGISTRIES}); do
            printf '[[registry]]\\nhost = \"u%s.corp\"\\ntrust = \"ca\"\\nca_file = \"ca.pem\"\\n' $n \
                > {DECLARATIONS}/u$n.toml
            regtrust apply >/dev/null 2>&1 && code=0 || code=$?
            echo $code
         done) > /root/codes &
         for version in 0.1.1 0.1.0 0.1.1; do
            dpkg --install --force-downgrade /root/regtrust_${{version}}_amd64.deb >/root/dpkg.log 2>&1 \
                || {{ cat /root/dpkg.log >&2; exit 1; }}
         done
         wait; sort -n /root/codes | uniq -c"
    ));
    eprintln!("{}: how `regtrust apply` ended, and how often: {codes}", node.suite);
    // 69: no daemon at that moment; 75: another one is at work. Never that something is half done.
    let code = |line: &str| line.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let codes: Vec<i32> = codes.lines().filter_map(code).collect();
    assert!(codes.iter().all(|code| [0, 69, 75].contains(code)), "{codes:?}");
    node.sh("regtrust apply");
    let written = node.sh("ls -A /etc/docker/certs.d").lines().count();
    assert_eq!(written, REGISTRIES, "each has its directory, and nothing is left beside them");
    assert_eq!(node.sh("dpkg-query --show --showformat='${Version}' regtrust"), "0.1.1");
    assert_eq!(node.sh("systemctl is-active regtrustd").trim(), "active");
    assert_eq!(Witness::of(node), before, "no runtime was touched");
}

fn who_wants_to_keep_what_is_trusted_keeps_it(node: &Node) {
    let authority = Authority::new("corp");
    let host = node.host();
    let secure = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = secure.image("app");
    pristine(node);
    bring(node, "0.1.0/regtrust_0.1.0_amd64.deb");
    node.sh("apt-get install -y /root/regtrust_0.1.0_amd64.deb 2>&1");
    node.declare("corp", &Declaration::ca(&secure.name(), &authority.root).only("docker"));
    node.sh(
        "regtrust apply && touch /etc/regtrust/keep-on-removal && apt-get purge -y regtrust 2>&1",
    );
    Puller::Docker.pull(node, &image).expect("it is still trusted");
    assert!(!node.exists("/etc/regtrust") && !node.exists("/var/lib/regtrust"));
}

/// There is no rpm on a Debian node: its files are unpacked, and its scriptlets are run as rpm would.
fn the_rpms_scriptlets_do_the_same(node: &Node) {
    let authority = Authority::new("corp");
    let host = node.host();
    let secure = Setup::tls(authority.server(&[&host.name])).at(&host).start(node);
    let image = secure.image("app");
    let before = pristine(node);
    let machine = std::env::consts::ARCH;
    let package = packages().join(format!("0.1.0/regtrust-0.1.0-1.{machine}.rpm"));
    let here = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).arg(&package).output().expect(program);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let scriptlet = |tag: &str| {
        let format = format!("--queryformat=%{{{tag}}}");
        String::from_utf8(here("rpm", &["--query", &format, "--package"])).expect("text")
    };
    let run = |tag: &str, instances: &str| {
        let output = node.run_with(
            ["sh", "-es", instances],
            scriptlet(tag).as_bytes(),
            crate::lab::node::LIMIT,
        );
        assert_eq!(output.code, 0, "{tag}: {}{}", output.stdout, output.stderr);
    };
    // It writes the archive beside the package.
    here("rpm2archive", &["--nocompression"]);
    let archive = std::fs::read(format!("{}.tar", package.display())).expect("an archive");
    let unpacked = node.run_with(["tar", "-xf", "-", "-C", "/"], &archive, crate::lab::node::LIMIT);
    assert_eq!(unpacked.code, 0, "{}", unpacked.stderr);

    run("POSTIN", "1");
    node.sh("systemctl enable --now regtrustd 2>&1");
    node.declare("corp", &Declaration::ca(&secure.name(), &authority.root).only("docker"));
    node.sh("regtrust apply");
    Puller::Docker.pull(node, &image).expect("it is trusted");
    // An upgrade: the new package's %post, then the old one's %preun and %postun.
    let pid = node.sh("systemctl show --property=MainPID --value regtrustd");
    run("POSTIN", "2");
    run("PREUN", "1");
    run("POSTUN", "1");
    assert_ne!(node.sh("systemctl show --property=MainPID --value regtrustd"), pid, "started anew");
    Puller::Docker.pull(node, &image).expect("it is trusted");

    run("PREUN", "0");
    // What rpm removes between the two, as far as /etc is concerned.
    node.sh("rm -r /etc/regtrust");
    run("POSTUN", "0");
    Puller::Docker.pull(node, &image).expect_err("it is not trusted any more");
    assert_eq!(difference(&before, &etc(node)), [] as [&str; 0]);
    assert!(!node.exists("/var/lib/regtrust"));
}
