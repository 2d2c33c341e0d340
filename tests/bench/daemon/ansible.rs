//! The same files by a configuration manager: what people do today.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::tree::Managed;

pub(crate) struct Ansible {
    playbook: PathBuf,
    /// As it calls itself.
    pub(crate) version: String,
}

impl Ansible {
    /// From Python's registry, once, into an environment of its own.
    pub(crate) fn install(directory: &Path) -> Result<Self, String> {
        let environment = directory.join("ansible");
        let playbook = environment.join("bin/ansible-playbook");
        if !playbook.exists() {
            run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
            let pip = environment.join("bin/pip");
            run(Command::new(pip).args(["install", "--quiet", "ansible-core==2.19.*"]))?;
        }
        let said = run(Command::new(&playbook).arg("--version"))?;
        let version = said.lines().next().unwrap_or_default();
        let version = version.replace(['[', ']'], "");
        Ok(Self { playbook, version })
    }

    /// Seconds for one play that makes `files` below `target`: certificates copied, hosts.toml from
    /// a template, nothing asked of the host before. It does not sync what it writes.
    pub(crate) fn play(&self, target: &Path, host: &str, files: &[Managed]) -> f64 {
        let sources = target.join("sources");
        fs::create_dir_all(&sources).expect("make a directory");
        let mut tasks = String::from(
            "- hosts: localhost\n  connection: local\n  gather_facts: false\n  tasks:\n",
        );
        for (number, file) in files.iter().enumerate() {
            let text = String::from_utf8_lossy(&file.bytes).replace(host, "{{ registry }}");
            let source = sources.join(number.to_string());
            let is_template = file.path.extension().is_some_and(|extension| extension == "toml");
            if is_template {
                fs::write(&source, text).expect("write a template");
            } else {
                fs::write(&source, &file.bytes).expect("write a source");
            }
            let module = if is_template { "template" } else { "copy" };
            let (path, source) = (target.join(&file.path), source.display());
            let directory = path.parent().expect("a file lies in a directory").display();
            // Writing to a string cannot fail.
            _ = write!(
                tasks,
                "    - file: {{ path: \"{directory}\", state: directory }}\n    \
                 - {module}: {{ src: \"{source}\", dest: \"{}\", mode: \"0644\" }}\n",
                path.display()
            );
        }
        let play = target.join("play.yml");
        fs::write(&play, tasks).expect("write a playbook");
        let mut command = Command::new(&self.playbook);
        command.args(["-i", "localhost,", "-e"]).arg(format!("registry={host}")).arg(&play);
        command.env("ANSIBLE_PYTHON_INTERPRETER", "/usr/bin/python3").current_dir(target);
        let begin = Instant::now();
        run(&mut command).expect("play the playbook");
        let took = begin.elapsed().as_secs_f64();
        for file in files {
            let made = fs::read(target.join(&file.path)).expect("the play made every file");
            assert!(made == file.bytes, "{} is another file", file.path.display());
        }
        took
    }
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = error.lines().chain(said.lines()).last().unwrap_or_default().to_owned();
    Err(format!("{command:?}: {} {last}", output.status))
}
