//! A client of docker's API: what docker's command says to dockerd, without a process each time.
//!
//! HTTP/1.0, so that the answer is plain text up to the end of the connection.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::node::{LIMIT, Node};

#[derive(Debug)]
struct Answer {
    status: u16,
    body: String,
}

/// Pulls what is not there; an error is dockerd's own words. That nothing had to be pulled is an
/// error as well, for it would prove nothing.
pub(crate) fn pull(node: &Node, reference: &str) -> Result<(), String> {
    let answer = ask(node, "POST", &format!("/images/create?fromImage={reference}"))?;
    // A pull that fails half-way has said 200 by then, and says the rest in its progress.
    if answer.status == 200 && answer.body.contains("Downloaded newer image") {
        return Ok(());
    }
    let last = answer.body.lines().last().unwrap_or_default();
    Err(format!("{} {last}", answer.status))
}

/// Forgets an image, so that the next pull is one. It is no error when it is not there.
pub(crate) fn remove(node: &Node, reference: &str) -> Result<(), String> {
    let answer = ask(node, "DELETE", &format!("/images/{reference}?force=1"))?;
    match answer.status {
        200 | 404 => Ok(()),
        status => Err(format!("{status} {}", answer.body.trim())),
    }
}

/// Waits until dockerd says that it took a configuration anew after `since`, which is its clock's.
///
/// By waiting for the event, not by counting events: dockerd remembers the last 256 only.
pub(crate) fn await_reload(node: &Node, since: Duration) {
    const RELOADS: &str =
        "%7B%22type%22%3A%5B%22daemon%22%5D%2C%22event%22%3A%5B%22reload%22%5D%7D";
    let (seconds, rest) = (since.as_secs(), since.subsec_nanos());
    let path = format!("/events?since={seconds}.{rest:09}&filters={RELOADS}");
    let stream = send(node, "GET", &path, "").expect("dockerd is asked for its events");
    let mut lines = BufReader::new(stream).lines().map(|line| line.expect("dockerd has reloaded"));
    let event = lines.by_ref().find(|line| line.contains("reload"));
    assert!(event.is_some(), "dockerd hung up before it had reloaded");
    // dockerd 25 to 28 says so a moment before it is so, and says nothing afterwards.
    std::thread::sleep(Duration::from_millis(100));
}

/// The processes of running containers, by name. None where no docker answers, as one that is ending.
pub(crate) fn running(node: &Node) -> BTreeMap<String, u32> {
    let list = ask(node, "GET", "/containers/json").ok().filter(|answer| answer.status == 200);
    let list = list.and_then(|answer| serde_json::from_str(&answer.body).ok());
    let list: Vec<serde_json::Value> = list.unwrap_or_default();
    // One may be gone since.
    let one = |container: &serde_json::Value| {
        let path = format!("/containers/{}/json", container["Id"].as_str()?);
        let answer = ask(node, "GET", &path).ok()?;
        let found: serde_json::Value = serde_json::from_str(&answer.body).ok()?;
        let name = found["Name"].as_str()?.trim_start_matches('/').to_owned();
        Some((name, u32::try_from(found["State"]["Pid"].as_u64()?).ok()?))
    };
    list.iter().filter_map(one).collect()
}

/// The registries that dockerd itself calls insecure.
pub(crate) fn insecure(node: &Node) -> Vec<String> {
    let answer = ask(node, "GET", "/info").expect("dockerd is asked");
    let info: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
    let all = info["RegistryConfig"]["IndexConfigs"].as_object().expect("registries");
    let insecure = all.iter().filter(|(_, config)| config["Secure"] == false);
    insecure.map(|(name, _)| name.clone()).collect()
}

/// The status of its answer to a call with a body, which may be empty.
pub(crate) fn post(node: &Node, path: &str, body: &str) -> Result<u16, String> {
    ask_with(node, "POST", path, body).map(|answer| answer.status)
}

fn ask(node: &Node, method: &str, path: &str) -> Result<Answer, String> {
    ask_with(node, method, path, "")
}

fn ask_with(node: &Node, method: &str, path: &str, body: &str) -> Result<Answer, String> {
    let answer =
        talk(node, method, path, body).map_err(|error| format!("docker's socket: {error}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("dockerd said `{answer}`"))?;
    Ok(Answer { status, body: body.to_owned() })
}

fn talk(node: &Node, method: &str, path: &str, body: &str) -> io::Result<String> {
    let mut answer = String::new();
    send(node, method, path, body)?.read_to_string(&mut answer)?;
    Ok(answer)
}

fn send(node: &Node, method: &str, path: &str, body: &str) -> io::Result<UnixStream> {
    let mut stream = UnixStream::connect(node.outside("/run/docker.sock"))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(stream)
}
