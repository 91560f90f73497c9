//! What the tests of this crate share: a sandbox on free ports with a mail folder of its own, and a
//! client that sends bytes as they are.

use std::{env, fs, net::SocketAddr, path::PathBuf, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};
use uuid::Uuid;

use crate::{Sandbox, SandboxConfig};

/// Longest wait of any test for any answer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// A running sandbox and its mail folder.
pub(crate) struct Site {
    pub(crate) sandbox: Sandbox,
    pub(crate) mail_dir: PathBuf,
}

/// An answer, read to the end of its connection.
pub(crate) struct Answer {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
    /// Whether the connection ended with an error.
    pub(crate) was_reset: bool,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let mail_dir = env::temp_dir().join(format!("millpond-sandbox-{}", Uuid::now_v7()));
        let mut config = SandboxConfig::on_free_ports(mail_dir.clone());
        change(&mut config);
        let sandbox = Sandbox::start(config).await.expect("a sandbox");
        Self { sandbox, mail_dir }
    }

    pub(crate) async fn stop(self) {
        time::timeout(DEADLINE, self.sandbox.stop())
            .await
            .expect("a stop in time");
        fs::remove_dir_all(&self.mail_dir).expect("a mail folder");
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        let request = format!("GET {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n");
        send(self.sandbox.http_addr(), &request).await
    }

    /// `headers` is empty or ends with a line break.
    pub(crate) async fn post(&self, path: &str, headers: &str, body: &str) -> Answer {
        self.call("POST", path, headers, body).await
    }

    pub(crate) async fn control(&self, method: &str, path: &str, body: &Value) -> Answer {
        let path = format!("/_control{path}");
        self.call(
            method,
            &path,
            "content-type: application/json\r\n",
            &body.to_string(),
        )
        .await
    }

    pub(crate) async fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\
             {headers}content-length: {}\r\n\r\n{body}",
            body.len(),
        );
        send(self.sandbox.http_addr(), &request).await
    }
}

impl Answer {
    /// The first header of that lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| (found == name).then_some(value))
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a JSON answer")
    }
}

/// Sends one request and reads until the connection ends.
pub(crate) async fn send(addr: SocketAddr, request: &str) -> Answer {
    time::timeout(DEADLINE, exchange(addr, request))
        .await
        .expect("an answer in time")
}

async fn exchange(addr: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.expect("a connection");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request sent");
    let mut bytes = Vec::new();
    let was_reset = stream.read_to_end(&mut bytes).await.is_err();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok());
    Answer {
        status: status.expect("a status"),
        head: head.to_owned(),
        body: body.to_owned(),
        was_reset,
    }
}
