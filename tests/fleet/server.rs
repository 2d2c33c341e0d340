//! A server that speaks `FleetLock` as airlock or poseidon do, or badly.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// One request, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// `POST /v1/pre-reboot`
    pub(crate) what: String,
    pub(crate) headers: Vec<String>,
    pub(crate) body: String,
}

impl Call {
    fn is_lock(&self) -> bool {
        self.what.ends_with("/v1/pre-reboot")
    }

    fn client(&self) -> (String, String) {
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let parameter = |key: &str| body["client_params"][key].as_str().unwrap().to_owned();
        (parameter("id"), parameter("group"))
    }
}

/// What a server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Manner {
    /// airlock with so many slots.
    Airlock(usize),
    /// airlock that cannot reach its etcd.
    AirlockWithoutEtcd,
    Poseidon,
    /// Does what was asked for, and closes the connection without a word.
    DoneAndGone,
    /// Does what was asked for, says 200, and breaks off in the middle of the body.
    CutOff,
    /// Always the same.
    Says(String),
    /// Takes the request and says nothing.
    Silent,
    /// One byte, and then nothing.
    Drips,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    _task: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    manner: Manner,
    holders: BTreeSet<String>,
    calls: Vec<Call>,
}

pub(crate) fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\n\r\n{body}")
}

fn error(status: &str, kind: &str, value: &str) -> String {
    // Go's `http.Error` calls it plain text, and ends the line.
    let body = json!({ "kind": kind, "value": value }).to_string() + "\n";
    response(status, "Content-Type: text/plain; charset=utf-8\r\n", &body)
}

impl Server {
    pub(crate) async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { manner, holders: BTreeSet::new(), calls: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut open = Vec::new();
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(call) = read(&mut stream).await else { continue };
                let answer = shared.lock().unwrap().answer(&call);
                if let Some(answer) = answer {
                    // The client may have gone.
                    _ = stream.write_all(answer.as_bytes()).await;
                }
                if matches!(shared.lock().unwrap().manner, Manner::Silent | Manner::Drips) {
                    open.push(stream);
                }
            }
        });
        Self { port, state, _task: task }
    }

    pub(crate) fn becomes(&self, manner: Manner) {
        self.state.lock().unwrap().manner = manner;
    }

    pub(crate) fn holders(&self) -> Vec<String> {
        self.state.lock().unwrap().holders.iter().cloned().collect()
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state.lock().unwrap().calls.clone()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Call> {
    let mut text = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        text.extend_from_slice(&buffer[..count]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = all.split_once("\r\n\r\n") else { continue };
        let mut lines = head.lines();
        let what = lines.next()?.trim_end_matches(" HTTP/1.1").to_owned();
        let headers: Vec<String> = lines.map(str::to_ascii_lowercase).collect();
        let length = headers.iter().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length?.parse().ok()? {
            return Some(Call { what, headers, body: body.to_owned() });
        }
    }
}

impl State {
    fn answer(&mut self, call: &Call) -> Option<String> {
        let manner = self.manner.clone();
        self.calls.push(call.clone());
        match manner {
            Manner::Airlock(slots) => Some(self.airlock(call, slots)),
            Manner::AirlockWithoutEtcd => {
                Some(error("500 Internal Server Error", "failed_lock", "context deadline exceeded"))
            }
            Manner::Poseidon => Some(self.poseidon(call)),
            Manner::DoneAndGone => {
                self.airlock(call, 1);
                None
            }
            Manner::CutOff => {
                self.airlock(call, 1);
                Some("HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nhalf of".to_owned())
            }
            Manner::Says(answer) => Some(answer),
            Manner::Silent => None,
            Manner::Drips => Some("H".to_owned()),
        }
    }

    fn airlock(&mut self, call: &Call, slots: usize) -> String {
        let (id, _) = call.client();
        if !call.is_lock() {
            self.holders.remove(&id);
        } else if !self.holders.contains(&id) && self.holders.len() >= slots {
            let value = format!("all {slots} semaphore slots currently locked");
            return error("500 Internal Server Error", "failed_lock", &value);
        } else {
            self.holders.insert(id);
        }
        response("200 OK", "", "")
    }

    fn poseidon(&mut self, call: &Call) -> String {
        if !call.headers.iter().any(|line| line == "fleet-lock-protocol: true") {
            return error("400 Bad Request", "missing_header", "missing required header");
        }
        let (id, _) = call.client();
        let holder = self.holders.first().cloned();
        match holder {
            Some(holder) if holder != id => {
                let value = format!("reboot lease held by {holder}");
                return error("423 Locked", "lock_held", &value);
            }
            _ if call.is_lock() => _ = self.holders.insert(id),
            _ => _ = self.holders.remove(&id),
        }
        response("200 OK", "", "done\n")
    }
}
