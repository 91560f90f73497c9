//! What stands around a development run: stand-ins for the ad platforms and a mail server that keeps what it receives. The
//! settings point at them unless the environment named others.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use ipnet::{IpNet, Ipv4Net};
use sandbox::{Fault, HttpFault, Sandbox, SandboxConfig, WorldConfig};
use secrecy::SecretString;

use super::{demo, home::Home};
use crate::{
    environment::Environment,
    settings::{ProviderSettings, Settings, SettingsProblems},
    stand_ins::{self, StandIn},
};

/// Who mails come from where jobs.toml does not say.
const SENDER: &str = "Millpond <millpond@localhost>";
/// Small enough that a year of it is read in a minute. The seed stays, so that a database finds its world again.
const WORLD: WorldConfig = WorldConfig {
    seed: 1,
    accounts_per_platform: 1,
    campaigns_per_account: 24,
};

/// The stand-ins, running.
pub(super) struct Surroundings {
    sandbox: Sandbox,
    mail_dir: PathBuf,
    platforms: Vec<&'static StandIn>,
}

impl Surroundings {
    /// Starts them on free ports, for the platforms of which the environment says nothing.
    pub(super) async fn start(home: &Home, environment: &Environment) -> anyhow::Result<Self> {
        let mail_dir = home.folder("mail")?;
        let sandbox = Sandbox::start(SandboxConfig {
            smtps: None,
            world: WORLD,
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
        Ok(Self {
            sandbox,
            mail_dir,
            platforms: stand_ins::left_open(environment),
        })
    }

    /// The settings of a process that works against them.
    pub(super) fn settings(&self, environment: &Environment) -> Result<Settings, SettingsProblems> {
        let http = self.http_addr();
        let platforms = self.platforms.iter().flat_map(|it| it.environment(http));
        let environment = environment.clone().completed_with(platforms);
        let mut settings = Settings::read(&environment)?;
        complete(&mut settings.providers, self.sandbox.smtp_addr());
        Ok(settings)
    }

    /// The platforms that are stood in for.
    pub(super) fn platforms(&self) -> &[&'static StandIn] {
        &self.platforms
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

/// Points what the environment left open about mails and endpoints at this machine.
fn complete(providers: &mut ProviderSettings, smtp: SocketAddr) {
    if !providers.takes_mail() {
        providers.smtp_url = Some(SecretString::from(format!("smtp://{smtp}?tls=none")));
    }
    if providers.outbound_allow.is_empty() {
        providers.outbound_allow = loopback();
    }
    providers.sender_unless_set = Some(SENDER.to_owned());
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
    use url::Url;

    use super::*;
    use crate::scratch::Scratch;

    /// The settings of a run in this environment, and where its stand-ins are.
    async fn started(environment: &Environment) -> (Settings, String) {
        let scratch = Scratch::new();
        let home = Home::open(scratch.path(), false).expect("free");
        let around = Surroundings::start(&home, environment).await;
        let around = around.expect("ports are free");
        let base = format!("http://{}", around.http_addr());

        let settings = around.settings(environment).expect("usable");

        around.stop().await;
        (settings, base)
    }

    fn told(url: Option<&Url>) -> &str {
        url.map_or("none", Url::as_str)
    }

    #[tokio::test]
    async fn what_the_environment_left_open_points_at_the_stand_ins() {
        let (settings, base) = started(&Environment::from([])).await;

        let (providers, accounts) = (&settings.providers, &settings.accounts);
        let (google, x) = (&accounts.google_ads, &accounts.x);
        for (url, path) in [
            (&providers.meta_url, "/v26.0"),
            (&google.url, "/google_ads/v26"),
            (&google.oauth_url, "/google_ads/"),
            (&google.auth_url, "/google_ads/o/oauth2/v2/auth"),
            (&google.data_url, "/google_ads/v1"),
            (&accounts.linkedin.url, "/linkedin/rest"),
            (&accounts.linkedin.oauth_url, "/linkedin/oauth/v2"),
            (&accounts.tiktok.url, "/tiktok/open_api/v1.3/"),
            (&accounts.tiktok.auth_url, "/tiktok/portal/auth"),
            (&x.ads_url, "/x/12"),
            (&x.api_url, "/x/2"),
            (&x.auth_url, "/x/i/oauth2/authorize"),
        ] {
            assert_eq!(told(url.as_ref()), format!("{base}{path}"));
        }
        assert!(providers.meta_access_token.is_some() && accounts.meta_app_id.is_some());
        assert!(google.client_secret.is_some() && accounts.linkedin.client_secret.is_some());
        assert!(accounts.tiktok.app_secret.is_some());
        assert!(x.consumer_secret.is_some() && x.client_secret.is_some());
        let smtp_url = providers.smtp_url.as_ref();
        assert!(smtp_url.is_some_and(|url| url.expose_secret().ends_with("?tls=none")));
        let networks: Vec<String> = providers
            .outbound_allow
            .iter()
            .map(IpNet::to_string)
            .collect();
        assert_eq!(networks, ["127.0.0.0/8", "::1/128"]);
    }

    // Fails when a real token can be sent to a stand-in, or a made-up one to a platform.
    #[tokio::test]
    async fn real_credentials_never_meet_a_stand_in() {
        let environment = Environment::from([
            ("MILLPOND_META_ACCESS_TOKEN", "real"),
            ("MILLPOND_X_CLIENT_ID", "real"),
        ]);

        let (settings, base) = started(&environment).await;

        let (meta, x) = (&settings.providers, &settings.accounts.x);
        assert!(meta.meta_url.is_none() && meta.meta_app_secret.is_none());
        assert!(x.ads_url.is_none() && x.consumer_key.is_none());
        let linkedin = told(settings.accounts.linkedin.url.as_ref());
        assert_eq!(linkedin, format!("{base}/linkedin/rest"));
    }
}
