//! The clients of the ad platforms as the environment describes them, and connected accounts on top of them.

use std::sync::Arc;

use anyhow::Context as _;
use marketing::{
    Platforms,
    accounts::{Accounts, AccountsSettings},
};
use providers::{
    google_ads::{GoogleAds, GoogleAdsConfig},
    linkedin::{LinkedIn, LinkedInConfig},
    meta::{Meta, MetaConfig},
    platform::{AdPlatform, Door, OpenDoor},
    tiktok::{TikTok, TikTokConfig},
    x::{X, XConfig},
};
use queue::Queue;

use super::outbound_policy;
use crate::settings::{AccountsEnvironment, ProviderSettings, Settings};

/// Connected accounts, with all that the environment gives them.
pub(crate) fn accounts(settings: &Settings, queue: &Queue) -> anyhow::Result<Accounts> {
    let environment = &settings.accounts;
    let platforms = platforms(&settings.providers, environment)?;
    // What people ask for at once is let out at once; jobs bring doors of their own, which keep the fleet's quotas.
    let door: Arc<dyn Door> = Arc::new(OpenDoor);
    Ok(Accounts::new(
        queue.clone(),
        environment.cipher.clone(),
        (platforms, door),
        of_accounts(settings),
    ))
}

/// What the environment says beside keys and clients. Endpoints are registered by the rules that they are called by.
fn of_accounts(settings: &Settings) -> AccountsSettings {
    let environment = &settings.accounts;
    AccountsSettings {
        public_url: environment.public_url.clone(),
        return_to: environment.return_to.clone(),
        meta_app_secret: settings.providers.meta_app_secret.clone(),
        meta_app_secret_before: environment.meta_app_secret_before.clone(),
        meta_verify_token: environment.meta_verify_token.clone(),
        outbound: outbound_policy(&settings.providers, settings.http_addr.ip()),
    }
}

/// The client of every platform. One without credentials of ours still serves tokens that were given by hand.
pub(crate) fn platforms(
    providers: &ProviderSettings,
    environment: &AccountsEnvironment,
) -> anyhow::Result<Platforms> {
    let google_ads = GoogleAds::new(google_ads(environment));
    let linkedin = LinkedIn::new(linkedin(environment));
    let tiktok = TikTok::new(tiktok(environment));
    let x = X::new(x(environment));
    let clients: [Arc<dyn AdPlatform>; 5] = [
        Arc::new(meta(providers, environment)?),
        Arc::new(google_ads.context("cannot set up the client for Google Ads")?),
        Arc::new(linkedin.context("cannot set up the client for LinkedIn")?),
        Arc::new(tiktok.context("cannot set up the client for TikTok")?),
        Arc::new(x.context("cannot set up the client for X")?),
    ];
    Ok(clients.into_iter().collect())
}

/// The client for Meta.
pub(super) fn meta(
    providers: &ProviderSettings,
    environment: &AccountsEnvironment,
) -> anyhow::Result<Meta> {
    let mut config = MetaConfig {
        app_id: environment.meta_app_id.clone(),
        app_secret: providers.meta_app_secret.clone(),
        ..MetaConfig::default()
    };
    if let Some(url) = &providers.meta_url {
        config.base_url = url.clone();
    }
    Meta::new(config).context("cannot set up the client for Meta")
}

fn google_ads(environment: &AccountsEnvironment) -> GoogleAdsConfig {
    let of_google = &environment.google_ads;
    let mut config = GoogleAdsConfig {
        client_id: of_google.client_id.clone(),
        client_secret: of_google.client_secret.clone(),
        developer_token: of_google.developer_token.clone(),
        ..GoogleAdsConfig::default()
    };
    if let Some(url) = &of_google.url {
        config.base_url = url.clone();
    }
    if let Some(url) = &of_google.oauth_url {
        config.oauth_url = url.clone();
    }
    if let Some(url) = &of_google.auth_url {
        config.auth_url = url.clone();
    }
    if let Some(url) = &of_google.data_url {
        config.data_url = url.clone();
    }
    config
}

fn linkedin(environment: &AccountsEnvironment) -> LinkedInConfig {
    let of_linkedin = &environment.linkedin;
    let mut config = LinkedInConfig {
        client_id: of_linkedin.client_id.clone(),
        client_secret: of_linkedin.client_secret.clone(),
        ..LinkedInConfig::default()
    };
    if let Some(url) = &of_linkedin.url {
        config.base_url = url.clone();
    }
    if let Some(url) = &of_linkedin.oauth_url {
        config.oauth_url = url.clone();
    }
    if let Some(version) = &of_linkedin.version {
        config.version = version.clone();
    }
    config
}

fn tiktok(environment: &AccountsEnvironment) -> TikTokConfig {
    let of_tiktok = &environment.tiktok;
    let mut config = TikTokConfig {
        app_id: of_tiktok.app_id.clone(),
        app_secret: of_tiktok.app_secret.clone(),
        ..TikTokConfig::default()
    };
    if let Some(url) = &of_tiktok.url {
        config.base_url = url.clone();
    }
    if let Some(url) = &of_tiktok.auth_url {
        config.auth_url = url.clone();
    }
    config
}

fn x(environment: &AccountsEnvironment) -> XConfig {
    let of_x = &environment.x;
    let mut config = XConfig {
        consumer_key: of_x.consumer_key.clone(),
        consumer_secret: of_x.consumer_secret.clone(),
        client_id: of_x.client_id.clone(),
        client_secret: of_x.client_secret.clone(),
        ..XConfig::default()
    };
    if let Some(url) = &of_x.ads_url {
        config.ads_url = url.clone();
    }
    if let Some(url) = &of_x.api_url {
        config.api_url = url.clone();
    }
    if let Some(url) = &of_x.auth_url {
        config.auth_url = url.clone();
    }
    config
}

#[cfg(test)]
mod tests {
    use providers::webhook::{ChosenBy, Refusal};

    use super::*;
    use crate::environment::Environment;

    // Fails when somebody registers an endpoint at which every call will be refused, and hears of it only then.
    #[test]
    fn what_this_process_listens_on_is_no_endpoint() {
        let environment = Environment::from([
            ("MILLPOND_HTTP_ADDR", "93.184.216.34:8080"),
            ("MILLPOND_OUTBOUND_ALLOW", "10.0.0.0/8"),
        ]);
        let settings = Settings::read(&environment).expect("usable");

        let policy = of_accounts(&settings).outbound;

        let check = |url| policy.check(url, ChosenBy::Requester).err();
        assert_eq!(check("https://93.184.216.34/"), Some(Refusal::Network));
        assert_eq!(check("https://93.184.216.35/"), None);
        assert_eq!(check("https://10.20.30.40/"), None);
    }
}
