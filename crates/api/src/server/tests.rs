//! The accept loop over real sockets, with limits short enough to be met.

use std::collections::HashSet;

use axum::{
    extract::Request,
    routing::{get, post},
};
use tokio::task::JoinHandle;

use super::*;

/// Longest that any of this may take.
const SOON: Duration = Duration::from_secs(20);

struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    async fn start(limits: ServerLimits) -> Self {
        let router = Router::new()
            .route("/", get(|| async { "here" }))
            .route("/large", get(|| async { vec![b'x'; 64 * 1_024 * 1_024] }))
            .route("/ambiguous", post(is_ambiguous))
            .route("/endless", get(std::future::pending::<&'static str>));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
        Self {
            address,
            shutdown,
            served,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address)
            .await
            .expect("a connection")
    }

    /// Sends something on a connection of its own and reads to the end.
    async fn exchange(&self, text: &str) -> String {
        let mut stream = self.connect().await;
        // A server that refuses early may have closed before all was sent; what it answered is read all the same.
        let _ = stream.write_all(text.as_bytes()).await;
        read_to_end(&mut stream).await
    }

    async fn stop(self) -> Result<(), ServeError> {
        self.shutdown.cancel();
        timeout(SOON, self.served)
            .await
            .expect("it ends soon")
            .expect("it does not panic")
    }
}

async fn is_ambiguous(request: Request) -> &'static str {
    if request.extensions().get::<AmbiguousFraming>().is_some() {
        "yes"
    } else {
        "no"
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end as well.
    let _ = timeout(SOON, stream.read_to_end(&mut text))
        .await
        .expect("the server closes the connection");
    String::from_utf8_lossy(&text).into_owned()
}

/// Reads until an answer's head has come.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !text.windows(4).any(|four| four == b"\r\n\r\n") {
            let mut byte = [0; 1];
            stream.read_exact(&mut byte).await.expect("an answer");
            text.extend_from_slice(&byte);
        }
    };
    timeout(SOON, reading).await.expect("it answers soon");
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_request_is_answered_and_a_stop_lets_the_process_end() {
    let server = Server::start(ServerLimits::default()).await;

    let answer = server
        .exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .await;

    assert!(
        answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("here"),
        "{answer}"
    );
    server.stop().await.expect("nothing was cut");
}

#[tokio::test]
async fn half_a_head_is_given_up_while_an_idle_connection_is_kept() {
    let limits = ServerLimits {
        header: Duration::from_millis(50),
        ..ServerLimits::default()
    };
    let server = Server::start(limits).await;
    let mut idle = server.connect().await;

    let half = server.exchange("GET / HTTP/1.1\r\nHost: a\r\n").await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("it is sent");
    let first = read_head(&mut idle).await;

    assert_eq!(half, "");
    assert!(first.starts_with("HTTP/1.1 200 OK"), "{first}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_in_time() {
    let limits = ServerLimits {
        idle: Duration::from_millis(50),
        ..ServerLimits::default()
    };
    let server = Server::start(limits).await;

    let answers = server.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;

    assert!(answers.ends_with("here"), "{answers}");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let limits = ServerLimits {
        write: Duration::from_millis(50),
        drain: Duration::from_secs(15),
        ..ServerLimits::default()
    };
    let server = Server::start(limits).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("it is sent");
    read_head(&mut stream).await;

    let stopped = server.stop().await;

    assert!(
        stopped.is_ok(),
        "the connection was still open: {stopped:?}"
    );
}

#[tokio::test]
async fn a_request_with_two_lengths_is_marked_and_its_connection_closed() {
    let server = Server::start(ServerLimits::default()).await;
    let head = "POST /ambiguous HTTP/1.1\r\nHost: a\r\n";

    let both = server
        .exchange(&format!(
            "{head}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ))
        .await;
    let one = server
        .exchange(&format!(
            "{head}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n"
        ))
        .await;
    let two_lengths = server
        .exchange(&format!(
            "{head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc"
        ))
        .await;

    assert!(both.ends_with("yes"), "{both}");
    assert!(one.ends_with("no"), "{one}");
    assert!(two_lengths.starts_with("HTTP/1.1 400"), "{two_lengths}");
}

#[tokio::test]
async fn nothing_behind_a_request_with_two_lengths_is_a_request() {
    let server = Server::start(ServerLimits::default()).await;
    let first = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let lengths = "Content-Length: 3\r\nTransfer-Encoding: chunked";
    let both = format!("POST /ambiguous HTTP/1.1\r\nHost: a\r\n{lengths}\r\n\r\n0\r\n\r\n");

    let answers = server
        .exchange(&format!("{first}{both}{first}{first}"))
        .await;

    assert!(answers.matches("HTTP/1.1 200 OK").count() <= 2, "{answers}");
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let server = Server::start(ServerLimits::default()).await;
    let many: String = (0..200).map(|n| format!("X-{n}: a\r\n")).collect();
    let large = format!("X-Large: {}\r\n", "a".repeat(64 * 1_024));

    for headers in [many, large] {
        let answer = server
            .exchange(&format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n"))
            .await;

        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 431"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn those_who_find_no_place_are_told_and_others_served_again_later() {
    let server = Server::start(ServerLimits {
        connections: 1,
        ..ServerLimits::default()
    })
    .await;
    let mut first = server.connect().await;
    first
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("it is sent");
    read_head(&mut first).await;

    let turned_away = server.exchange("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    drop(first);
    let served = async {
        while !server
            .exchange("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .await
            .ends_with("here")
        {}
    };

    assert!(
        turned_away.starts_with("HTTP/1.1 503") && turned_away.contains("\r\nretry-after: "),
        "{turned_away}"
    );
    timeout(SOON, served)
        .await
        .expect("the place is free again soon");
}

#[test]
fn those_who_find_no_place_are_not_called_back_together() {
    let told: HashSet<String> = (0..200).map(|_| busy()).collect();

    assert!(told.len() > 1, "{told:?}");
}

#[tokio::test]
async fn nobody_who_finds_no_place_waits_for_another_to_be_told() {
    let server = Server::start(ServerLimits {
        connections: 0,
        ..ServerLimits::default()
    })
    .await;
    // They never say a word, so each of them takes as long as one may.
    let mut silent = Vec::new();
    for _ in 0..80 {
        silent.push(server.connect().await);
    }

    let told = async {
        for stream in &mut silent {
            read_head(stream).await;
        }
    };

    timeout(TURN_AWAY * 40, told)
        .await
        .expect("all are told in less than half the time that one after the other takes");
}

#[test]
fn the_answer_to_those_who_find_no_place_declares_its_length() {
    let text = busy();

    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");

    assert!(
        head.contains(&format!("content-length: {}", body.len())),
        "{}",
        body.len()
    );
    assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
}

#[tokio::test]
async fn a_stop_cuts_requests_that_do_not_end() {
    let server = Server::start(ServerLimits {
        drain: Duration::from_millis(50),
        ..ServerLimits::default()
    })
    .await;
    let mut stream = server.connect().await;
    let mut other = server.connect().await;
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("it is sent");
    other
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .expect("it is sent");
    read_head(&mut other).await;

    let stopped = server.stop().await;

    assert!(
        matches!(stopped, Err(ServeError::Cut { connections: 1 })),
        "{stopped:?}"
    );
}
