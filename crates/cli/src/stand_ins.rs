//! What a process has to be told to work against the sandbox instead of the platforms: where each of them is stood in for,
//! what our app is called there, and tokens that are taken there. All of it is made up.

use std::net::SocketAddr;

use providers::{
    google_ads, linkedin, meta,
    platform::{Grant, Platform},
    tiktok, x,
};
use sandbox::{
    DEV_APP_ID, DEV_APP_SECRET, DEV_GOOGLE_REFRESH_TOKEN, DEV_LINKEDIN_REFRESH_TOKEN,
    DEV_LINKEDIN_TOKEN, DEV_META_APP_ID, DEV_META_APP_SECRET, DEV_META_TOKEN,
    DEV_META_VERIFY_TOKEN, DEV_TIKTOK_TOKEN, DEV_X_TOKEN, DEV_X_TOKEN_SECRET,
};
use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use self::Value::{AddressFor, Text};
use crate::environment::Environment;

/// The stand-in for a platform.
pub(crate) struct StandIn {
    /// For which one.
    pub(crate) platform: Platform,
    /// What people call it.
    pub(crate) name: &'static str,
    /// A grant that it takes.
    pub(crate) tokens: MadeUpTokens,
    /// What all variables of the platform begin with.
    prefix: &'static str,
    /// What stands before the platform's own paths.
    mount: &'static str,
    /// The variables that point a process at it, the main address first.
    variables: &'static [(&'static str, Value)],
}

/// What a variable is given.
enum Value {
    /// The address of the stand-in for this one, which has the same path.
    AddressFor(&'static str),
    /// This.
    Text(&'static str),
}

/// Tokens as `millpond accounts connect` reads them.
#[derive(Serialize)]
pub(crate) struct MadeUpTokens {
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_secret: Option<&'static str>,
}

impl MadeUpTokens {
    const NONE: Self = Self {
        access_token: None,
        refresh_token: None,
        token_secret: None,
    };
}

/// All of them, as platforms are listed everywhere.
pub(crate) static ALL: [StandIn; 5] = [
    StandIn {
        platform: Platform::Meta,
        name: "Meta",
        tokens: MadeUpTokens {
            access_token: Some(DEV_META_TOKEN),
            ..MadeUpTokens::NONE
        },
        prefix: "MILLPOND_META_",
        mount: "",
        variables: &[
            ("MILLPOND_META_URL", AddressFor(meta::DEFAULT_BASE_URL)),
            ("MILLPOND_META_ACCESS_TOKEN", Text(DEV_META_TOKEN)),
            ("MILLPOND_META_APP_ID", Text(DEV_META_APP_ID)),
            ("MILLPOND_META_APP_SECRET", Text(DEV_META_APP_SECRET)),
            (
                "MILLPOND_META_WEBHOOK_VERIFY_TOKEN",
                Text(DEV_META_VERIFY_TOKEN),
            ),
        ],
    },
    StandIn {
        platform: Platform::GoogleAds,
        name: "Google Ads",
        tokens: MadeUpTokens {
            refresh_token: Some(DEV_GOOGLE_REFRESH_TOKEN),
            ..MadeUpTokens::NONE
        },
        prefix: "MILLPOND_GOOGLE_",
        mount: "/google_ads",
        variables: &[
            (
                "MILLPOND_GOOGLE_ADS_URL",
                AddressFor(google_ads::DEFAULT_BASE_URL),
            ),
            (
                "MILLPOND_GOOGLE_OAUTH_URL",
                AddressFor(google_ads::DEFAULT_OAUTH_URL),
            ),
            (
                "MILLPOND_GOOGLE_AUTH_URL",
                AddressFor(google_ads::DEFAULT_AUTH_URL),
            ),
            (
                "MILLPOND_GOOGLE_DATA_URL",
                AddressFor(google_ads::DEFAULT_DATA_URL),
            ),
            ("MILLPOND_GOOGLE_CLIENT_ID", Text(DEV_APP_ID)),
            ("MILLPOND_GOOGLE_CLIENT_SECRET", Text(DEV_APP_SECRET)),
        ],
    },
    StandIn {
        platform: Platform::LinkedIn,
        name: "LinkedIn",
        tokens: MadeUpTokens {
            access_token: Some(DEV_LINKEDIN_TOKEN),
            refresh_token: Some(DEV_LINKEDIN_REFRESH_TOKEN),
            ..MadeUpTokens::NONE
        },
        prefix: "MILLPOND_LINKEDIN_",
        mount: "/linkedin",
        variables: &[
            (
                "MILLPOND_LINKEDIN_URL",
                AddressFor(linkedin::DEFAULT_BASE_URL),
            ),
            (
                "MILLPOND_LINKEDIN_OAUTH_URL",
                AddressFor(linkedin::DEFAULT_OAUTH_URL),
            ),
            ("MILLPOND_LINKEDIN_CLIENT_ID", Text(DEV_APP_ID)),
            ("MILLPOND_LINKEDIN_CLIENT_SECRET", Text(DEV_APP_SECRET)),
        ],
    },
    StandIn {
        platform: Platform::TikTok,
        name: "TikTok",
        tokens: MadeUpTokens {
            access_token: Some(DEV_TIKTOK_TOKEN),
            ..MadeUpTokens::NONE
        },
        prefix: "MILLPOND_TIKTOK_",
        mount: "/tiktok",
        variables: &[
            ("MILLPOND_TIKTOK_URL", AddressFor(tiktok::DEFAULT_BASE_URL)),
            (
                "MILLPOND_TIKTOK_AUTH_URL",
                AddressFor(tiktok::DEFAULT_AUTH_URL),
            ),
            ("MILLPOND_TIKTOK_APP_ID", Text(DEV_APP_ID)),
            ("MILLPOND_TIKTOK_APP_SECRET", Text(DEV_APP_SECRET)),
        ],
    },
    StandIn {
        platform: Platform::X,
        name: "X",
        tokens: MadeUpTokens {
            access_token: Some(DEV_X_TOKEN),
            token_secret: Some(DEV_X_TOKEN_SECRET),
            ..MadeUpTokens::NONE
        },
        prefix: "MILLPOND_X_",
        mount: "/x",
        variables: &[
            ("MILLPOND_X_ADS_URL", AddressFor(x::DEFAULT_ADS_URL)),
            ("MILLPOND_X_API_URL", AddressFor(x::DEFAULT_API_URL)),
            ("MILLPOND_X_AUTH_URL", AddressFor(x::DEFAULT_AUTH_URL)),
            ("MILLPOND_X_CONSUMER_KEY", Text(DEV_APP_ID)),
            ("MILLPOND_X_CONSUMER_SECRET", Text(DEV_APP_SECRET)),
            ("MILLPOND_X_CLIENT_ID", Text(DEV_APP_ID)),
            ("MILLPOND_X_CLIENT_SECRET", Text(DEV_APP_SECRET)),
        ],
    },
];

/// Those for the platforms of which the environment says nothing. A platform is told of whole or not at all, so that no
/// real token is sent to a stand-in, and no made-up one to a platform.
pub(crate) fn left_open(environment: &Environment) -> Vec<&'static StandIn> {
    let is_open = |it: &&StandIn| environment.names_with(it.prefix).next().is_none();
    ALL.iter().filter(is_open).collect()
}

impl StandIn {
    /// The variables that point a process at it, where the sandbox listens on this address.
    pub(crate) fn environment(
        &self,
        http: SocketAddr,
    ) -> impl Iterator<Item = (&'static str, String)> {
        let value = move |value: &Value| match value {
            AddressFor(real) => address(http, self.mount, real),
            Text(text) => (*text).to_owned(),
        };
        let variables = self.variables.iter();
        variables.map(move |(name, given)| (*name, value(given)))
    }

    /// Where its API is.
    pub(crate) fn api(&self, http: SocketAddr) -> String {
        let mut environment = self.environment(http);
        environment.next().map_or_else(String::new, |(_, url)| url)
    }

    /// A grant that it takes.
    pub(crate) fn grant(&self) -> Grant {
        let secret = |token: Option<&str>| token.map(SecretString::from);
        Grant {
            access_token: secret(self.tokens.access_token).unwrap_or_default(),
            refresh_token: secret(self.tokens.refresh_token),
            token_secret: secret(self.tokens.token_secret),
        }
    }
}

/// The stand-in of a platform's address: the same path, below what is mounted for the platform.
fn address(http: SocketAddr, mount: &str, real: &str) -> String {
    let real = Url::parse(real).expect("the providers' constants are URLs");
    format!("http://{http}{mount}{}", real.path())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use secrecy::ExposeSecret;

    use super::*;

    fn everything(http: SocketAddr) -> BTreeMap<&'static str, String> {
        ALL.iter().flat_map(|it| it.environment(http)).collect()
    }

    #[test]
    fn every_platform_has_its_stand_in_below_its_own_mount_with_its_own_paths() {
        let told = everything(SocketAddr::from(([127, 0, 0, 1], 9000)));

        for (name, path) in [
            ("MILLPOND_META_URL", "/v26.0"),
            ("MILLPOND_GOOGLE_ADS_URL", "/google_ads/v26"),
            ("MILLPOND_GOOGLE_OAUTH_URL", "/google_ads/"),
            ("MILLPOND_GOOGLE_AUTH_URL", "/google_ads/o/oauth2/v2/auth"),
            ("MILLPOND_GOOGLE_DATA_URL", "/google_ads/v1"),
            ("MILLPOND_LINKEDIN_URL", "/linkedin/rest"),
            ("MILLPOND_LINKEDIN_OAUTH_URL", "/linkedin/oauth/v2"),
            ("MILLPOND_TIKTOK_URL", "/tiktok/open_api/v1.3/"),
            ("MILLPOND_TIKTOK_AUTH_URL", "/tiktok/portal/auth"),
            ("MILLPOND_X_ADS_URL", "/x/12"),
            ("MILLPOND_X_API_URL", "/x/2"),
            ("MILLPOND_X_AUTH_URL", "/x/i/oauth2/authorize"),
        ] {
            assert_eq!(told[name], format!("http://127.0.0.1:9000{path}"), "{name}");
        }
        let platforms = ALL.each_ref().map(|stand_in| stand_in.platform);
        assert_eq!(platforms, Platform::ALL);
    }

    #[test]
    fn a_platform_that_the_environment_tells_anything_of_is_left_to_it() {
        let environment = Environment::from([
            ("MILLPOND_X_CONSUMER_SECRET_FILE", "/run/secrets/x"),
            ("MILLPOND_META_ACCESS_TOKEN", "real"),
            ("MILLPOND_TIKTOK_APP_ID", ""),
        ]);

        let open = left_open(&environment);

        let open: Vec<Platform> = open.iter().map(|stand_in| stand_in.platform).collect();
        assert_eq!(
            open,
            [Platform::GoogleAds, Platform::LinkedIn, Platform::TikTok]
        );
    }

    #[test]
    fn every_variable_is_its_platforms_so_that_it_is_found_when_set() {
        for stand_in in &ALL {
            let http = SocketAddr::from(([127, 0, 0, 1], 9000));
            for (name, value) in stand_in.environment(http) {
                assert!(name.starts_with(stand_in.prefix), "{name}");
                assert!(!value.is_empty(), "{name}");
            }
        }
    }

    #[test]
    fn tokens_are_told_as_the_command_that_connects_reads_them() {
        let google = &ALL[1];

        let told = serde_json::to_value(&google.tokens).expect("JSON");
        let grant = google.grant();

        assert_eq!(
            told,
            serde_json::json!({ "refresh_token": DEV_GOOGLE_REFRESH_TOKEN })
        );
        assert!(grant.access_token.expose_secret().is_empty());
        assert!(grant.refresh_token.is_some() && grant.token_secret.is_none());
    }
}
