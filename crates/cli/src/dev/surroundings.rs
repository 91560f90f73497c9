//! What stands around a development run: stand-ins for the providers and a mail server that keeps what it receives. The
//! settings point at them unless the environment named others.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use ipnet::{IpNet, Ipv4Net};
use sandbox::{DEV_META_APP_SECRET, DEV_META_TOKEN, Fault, HttpFault, Sandbox, SandboxConfig};
use secrecy::SecretString;
use url::Url;

use super::{demo, home::Home};
use crate::settings::ProviderSettings;

/// Who mails come from where jobs.toml does not say.
const SENDER: &str = "Millpond <millpond@localhost>";

/// The stand-ins, running.
pub(super) struct Surroundings {
    sandbox: Sandbox,
    mail_dir: PathBuf,
}

impl Surroundings {
    /// Starts them on free ports and points the settings at them.
    pub(super) async fn start(
        home: &Home,
        providers: &mut ProviderSettings,
    ) -> anyhow::Result<Self> {
        let mail_dir = home.folder("mail")?;
        let sandbox = Sandbox::start(SandboxConfig {
            smtps: None,
            ..SandboxConfig::on_free_ports(mail_dir.clone())
        })
        .await?;
        // An endpoint that is always down, so that retries and dead letters of calls can be seen.
        sandbox.faults().add(
            Fault::Receiver {
                name: demo::BROKEN_RECEIVER.to_owned(),
                fault: HttpFault::Html { status: 502 },
            },
            None,
        )?;
        point(providers, sandbox.http_addr(), sandbox.smtp_addr())?;
        Ok(Self { sandbox, mail_dir })
    }

    /// Where the stand-ins serve HTTP.
    pub(super) fn http_addr(&self) -> SocketAddr {
        self.sandbox.http_addr()
    }

    /// Where mails lie.
    pub(super) fn mail_dir(&self) -> &Path {
        &self.mail_dir
    }

    /// Ends them.
    pub(super) async fn stop(self) {
        self.sandbox.stop().await;
    }
}

/// Points what the environment left open at the stand-ins. Meta's address and credentials go together: a real token is
/// never sent to a stand-in, nor a made-up one to Meta.
fn point(
    providers: &mut ProviderSettings,
    http: SocketAddr,
    smtp: SocketAddr,
) -> Result<(), url::ParseError> {
    let names_meta = providers.meta_url.is_some()
        || providers.meta_access_token.is_some()
        || providers.meta_app_secret.is_some();
    if !names_meta {
        providers.meta_url = Some(Url::parse(&format!("http://{http}/v26.0"))?);
        providers.meta_access_token = Some(SecretString::from(DEV_META_TOKEN));
        providers.meta_app_secret = Some(SecretString::from(DEV_META_APP_SECRET));
    }
    if providers.smtp_url.is_none() {
        providers.smtp_url = Some(SecretString::from(format!("smtp://{smtp}?tls=none")));
    }
    if providers.outbound_allow.is_empty() {
        providers.outbound_allow = loopback();
    }
    providers.sender_unless_set = Some(SENDER.to_owned());
    Ok(())
}

fn loopback() -> Vec<IpNet> {
    let v4 = Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
    vec![
        IpNet::from(v4),
        IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST)),
    ]
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn addr(port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }

    #[test]
    fn what_the_environment_left_open_points_at_the_stand_ins() {
        let mut providers = ProviderSettings::default();

        point(&mut providers, addr(9000), addr(2525)).expect("addresses make URLs");

        let meta_url = providers.meta_url.map(String::from);
        let smtp_url = providers.smtp_url.map(|url| url.expose_secret().to_owned());
        let networks: Vec<String> = providers
            .outbound_allow
            .iter()
            .map(IpNet::to_string)
            .collect();
        assert_eq!(meta_url.as_deref(), Some("http://127.0.0.1:9000/v26.0"));
        assert_eq!(smtp_url.as_deref(), Some("smtp://127.0.0.1:2525?tls=none"));
        assert_eq!(networks, ["127.0.0.0/8", "::1/128"]);
    }

    #[test]
    fn real_credentials_never_meet_a_stand_in() {
        let mut providers = ProviderSettings {
            meta_access_token: Some(SecretString::from("real")),
            ..ProviderSettings::default()
        };

        point(&mut providers, addr(9000), addr(2525)).expect("addresses make URLs");

        assert!(providers.meta_url.is_none());
        assert!(providers.meta_app_secret.is_none());
    }
}
