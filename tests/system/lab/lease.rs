//! A job that says itself that it runs, for as long as a case wants one.

use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use regtrust::api::v1::HoldJobRequest;
use tokio::sync::oneshot;

use super::daemon::{connect_to, socket};
use super::node::Node;
use super::wait::block_on;

/// Holds until it is dropped: its connection ends with it, and with that the job.
#[derive(Debug)]
pub(crate) struct Lease {
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Lease {
    pub(crate) fn hold(node: &Node, name: &str) -> Self {
        let (socket, request) = (socket(node), HoldJobRequest { name: name.to_owned() });
        let (told, is_held) = mpsc::channel();
        let (end, ended) = oneshot::channel::<()>();
        // A thread of its own: the daemon asks now and then whether the client is there, and somebody
        // has to answer.
        let thread = thread::spawn(move || {
            block_on(async {
                let mut client = connect_to(socket).await.expect("regtrustd listens");
                let mut held = client.hold_job(request).await.expect("a job").into_inner();
                held.message().await.expect("an answer").expect("it is held");
                told.send(()).expect("somebody waits");
                _ = ended.await;
            });
        });
        is_held.recv().expect("it is held");
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // A panic of its own has been told, and another may be on its way.
            _ = thread.join();
        }
    }
}
