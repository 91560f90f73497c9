//! What stands between Millpond and PostgreSQL in a test, and can take the database away: it refuses, or falls silent.

use std::{future::pending, str::FromStr};

use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// A way to the database that can be closed.
pub(super) struct Proxy {
    server: String,
    own: String,
    url: String,
    is_silent: watch::Sender<bool>,
    /// The listener with its connections; empty while connections are refused.
    tasks: JoinSet<()>,
}

impl Proxy {
    /// Opens a way to the database of this address.
    pub(super) async fn open(database_url: &str) -> anyhow::Result<Self> {
        let options = PgConnectOptions::from_str(database_url)?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own = listener.local_addr()?;
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let url = options.host("127.0.0.1").port(own.port()).to_url_lossy();
        let mut proxy = Self {
            server,
            own: own.to_string(),
            url: url.to_string(),
            is_silent: watch::Sender::new(false),
            tasks: JoinSet::new(),
        };
        proxy.listen(listener);
        Ok(proxy)
    }

    /// The database's address by this way.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Cuts every connection and refuses new ones, as a server that is down.
    pub(super) async fn refuse(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Answers nothing any more, as a network that swallows everything: connections stay open, and new ones open.
    pub(super) fn fall_silent(&self) {
        self.is_silent.send_replace(true);
    }

    /// Ends the outage: what was open is cut, what is opened from now on works.
    pub(super) async fn recover(&mut self) -> anyhow::Result<()> {
        self.tasks.shutdown().await;
        self.is_silent.send_replace(false);
        let listener = TcpListener::bind(&self.own).await?;
        self.listen(listener);
        Ok(())
    }

    fn listen(&mut self, listener: TcpListener) {
        let accepting = accept(listener, self.server.clone(), self.is_silent.subscribe());
        self.tasks.spawn(accepting);
    }
}

/// Relays every connection for as long as this is polled.
async fn accept(listener: TcpListener, server: String, is_silent: watch::Receiver<bool>) {
    let mut relays = JoinSet::new();
    while let Ok((near, _)) = listener.accept().await {
        relays.spawn(relay(near, server.clone(), is_silent.clone()));
        while relays.try_join_next().is_some() {}
    }
}

async fn relay(mut near: TcpStream, server: String, mut is_silent: watch::Receiver<bool>) {
    let passing = async {
        let mut far = TcpStream::connect(server).await?;
        copy_bidirectional(&mut near, &mut far).await
    };
    let silenced = async { is_silent.wait_for(|is_silent| *is_silent).await.is_ok() };
    // Once silenced nothing is read any more, and `near` stays open.
    tokio::select! {
        biased;
        _ = silenced => pending().await,
        _ = passing => {}
    }
}
