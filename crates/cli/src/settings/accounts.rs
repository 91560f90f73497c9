//! What connected accounts need of the environment: keys, our own address, and what we are at each platform.

use std::sync::Arc;

use marketing::accounts::ReturnTo;
use queue::Cipher;
use secrecy::SecretString;
use url::Url;

use super::{Problems, is_provider_url};
use crate::environment::{Environment, VariableProblem};

/// The variable that holds the keys.
const ENCRYPTION_KEYS: &str = "MILLPOND_ENCRYPTION_KEYS";
const RETURN_TO: &str = "MILLPOND_RETURN_TO";
const NOT_AN_ADDRESS: &str = "is not an https address (plain http is for loopback only), without user name, query or fragment";

/// Keys, our own address, and what we are at each platform. No `Debug`: it holds secrets.
#[derive(Clone, Default)]
pub(crate) struct AccountsEnvironment {
    /// `MILLPOND_ENCRYPTION_KEYS`; `None`: no account can be connected.
    pub(crate) cipher: Option<Arc<Cipher>>,
    /// `MILLPOND_PUBLIC_URL`; `None`: nobody can connect by a browser.
    pub(crate) public_url: Option<Url>,
    /// `MILLPOND_RETURN_TO`.
    pub(crate) return_to: ReturnTo,
    /// `MILLPOND_META_APP_ID`; its address and secret are beside the other settings of Meta.
    pub(crate) meta_app_id: Option<String>,
    /// `MILLPOND_META_APP_SECRET_BEFORE`: while the app's secret is changed.
    pub(crate) meta_app_secret_before: Option<SecretString>,
    /// `MILLPOND_META_WEBHOOK_VERIFY_TOKEN`; `None`: Meta's events are not asked for.
    pub(crate) meta_verify_token: Option<SecretString>,
    /// Google Ads.
    pub(crate) google_ads: GoogleAdsEnvironment,
    /// LinkedIn.
    pub(crate) linkedin: LinkedInEnvironment,
    /// TikTok.
    pub(crate) tiktok: TikTokEnvironment,
    /// X.
    pub(crate) x: XEnvironment,
}

/// `MILLPOND_GOOGLE_…`; what is `None` is Google's own.
#[derive(Clone, Default)]
pub(crate) struct GoogleAdsEnvironment {
    pub(crate) url: Option<Url>,
    pub(crate) oauth_url: Option<Url>,
    pub(crate) auth_url: Option<Url>,
    pub(crate) data_url: Option<Url>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<SecretString>,
    pub(crate) developer_token: Option<SecretString>,
}

/// `MILLPOND_LINKEDIN_…`; what is `None` is LinkedIn's own.
#[derive(Clone, Default)]
pub(crate) struct LinkedInEnvironment {
    pub(crate) url: Option<Url>,
    pub(crate) oauth_url: Option<Url>,
    pub(crate) version: Option<String>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<SecretString>,
}

/// `MILLPOND_TIKTOK_…`; what is `None` is TikTok's own.
#[derive(Clone, Default)]
pub(crate) struct TikTokEnvironment {
    pub(crate) url: Option<Url>,
    pub(crate) auth_url: Option<Url>,
    pub(crate) app_id: Option<String>,
    pub(crate) app_secret: Option<SecretString>,
}

/// `MILLPOND_X_…`; what is `None` is X's own.
#[derive(Clone, Default)]
pub(crate) struct XEnvironment {
    pub(crate) ads_url: Option<Url>,
    pub(crate) api_url: Option<Url>,
    pub(crate) auth_url: Option<Url>,
    pub(crate) consumer_key: Option<SecretString>,
    pub(crate) consumer_secret: Option<SecretString>,
    pub(crate) client_id: Option<String>,
    pub(crate) client_secret: Option<SecretString>,
}

impl AccountsEnvironment {
    /// Reads all of it.
    pub(super) fn read(environment: &Environment, problems: &mut Problems) -> Self {
        let return_to = problems.keep(environment.text(RETURN_TO)).flatten();
        let return_to = return_to.map(str::parse::<ReturnTo>).transpose();
        let return_to = return_to.map_err(|error| VariableProblem::Unusable {
            name: RETURN_TO.to_owned(),
            problem: error.to_string(),
        });
        let mut read = Reader {
            environment,
            problems: &mut *problems,
        };
        Self {
            cipher: read.cipher(),
            public_url: read.address("MILLPOND_PUBLIC_URL"),
            meta_app_id: read.text("MILLPOND_META_APP_ID"),
            meta_app_secret_before: read.secret("MILLPOND_META_APP_SECRET_BEFORE"),
            meta_verify_token: read.secret("MILLPOND_META_WEBHOOK_VERIFY_TOKEN"),
            google_ads: GoogleAdsEnvironment {
                url: read.address("MILLPOND_GOOGLE_ADS_URL"),
                oauth_url: read.address("MILLPOND_GOOGLE_OAUTH_URL"),
                auth_url: read.address("MILLPOND_GOOGLE_AUTH_URL"),
                data_url: read.address("MILLPOND_GOOGLE_DATA_URL"),
                client_id: read.text("MILLPOND_GOOGLE_CLIENT_ID"),
                client_secret: read.secret("MILLPOND_GOOGLE_CLIENT_SECRET"),
                developer_token: read.secret("MILLPOND_GOOGLE_DEVELOPER_TOKEN"),
            },
            linkedin: LinkedInEnvironment {
                url: read.address("MILLPOND_LINKEDIN_URL"),
                oauth_url: read.address("MILLPOND_LINKEDIN_OAUTH_URL"),
                version: read.text("MILLPOND_LINKEDIN_VERSION"),
                client_id: read.text("MILLPOND_LINKEDIN_CLIENT_ID"),
                client_secret: read.secret("MILLPOND_LINKEDIN_CLIENT_SECRET"),
            },
            tiktok: TikTokEnvironment {
                url: read.address("MILLPOND_TIKTOK_URL"),
                auth_url: read.address("MILLPOND_TIKTOK_AUTH_URL"),
                app_id: read.text("MILLPOND_TIKTOK_APP_ID"),
                app_secret: read.secret("MILLPOND_TIKTOK_APP_SECRET"),
            },
            x: XEnvironment {
                ads_url: read.address("MILLPOND_X_ADS_URL"),
                api_url: read.address("MILLPOND_X_API_URL"),
                auth_url: read.address("MILLPOND_X_AUTH_URL"),
                consumer_key: read.secret("MILLPOND_X_CONSUMER_KEY"),
                consumer_secret: read.secret("MILLPOND_X_CONSUMER_SECRET"),
                client_id: read.text("MILLPOND_X_CLIENT_ID"),
                client_secret: read.secret("MILLPOND_X_CLIENT_SECRET"),
            },
            return_to: problems.keep(return_to).flatten().unwrap_or_default(),
        }
    }
}

/// Reads variables one by one, and keeps what is wrong with them.
struct Reader<'a> {
    environment: &'a Environment,
    problems: &'a mut Problems,
}

impl Reader<'_> {
    fn cipher(&mut self) -> Option<Arc<Cipher>> {
        let keys = self.secret(ENCRYPTION_KEYS)?;
        self.problems.keep(read_keys(&keys))
    }

    fn address(&mut self, name: &str) -> Option<Url> {
        let read = self.environment.value(name, NOT_AN_ADDRESS, |text| {
            Url::parse(text).ok().filter(is_provider_url)
        });
        self.problems.keep(read).flatten()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.problems.keep(self.environment.text(name)).flatten();
        text.map(str::to_owned)
    }

    fn secret(&mut self, name: &str) -> Option<SecretString> {
        self.problems.keep(self.environment.secret(name)).flatten()
    }
}

/// The cipher of a list of keys, tried out.
pub(crate) fn read_keys(keys: &SecretString) -> Result<Arc<Cipher>, VariableProblem> {
    let read = Cipher::read(keys).map(Arc::new);
    read.map_err(|error| VariableProblem::Unusable {
        name: ENCRYPTION_KEYS.to_owned(),
        problem: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    const DIGITS: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    #[test]
    fn what_is_set_is_read_and_what_is_not_is_the_platforms_own() {
        let keys = format!("k1:{DIGITS}");
        let environment = Environment::from([
            (ENCRYPTION_KEYS, keys.as_str()),
            ("MILLPOND_PUBLIC_URL", "https://jobs.example.com"),
            ("MILLPOND_RETURN_TO", "https://app.example.com/settings"),
            ("MILLPOND_X_ADS_URL", "http://127.0.0.1:9000/12"),
            ("MILLPOND_TIKTOK_APP_ID", "7"),
        ]);

        let read = Settings::read(&environment).expect("usable").accounts;

        assert!(read.cipher.is_some());
        assert!(read.public_url.is_some() && read.x.ads_url.is_some());
        assert_eq!(read.tiktok.app_id.as_deref(), Some("7"));
        assert!(read.google_ads.url.is_none() && read.linkedin.version.is_none());
        assert_ne!(read.return_to, ReturnTo::default());
    }

    // Fails when a key, or what may be one, is repeated, or when the first problem hides the next.
    #[test]
    fn everything_wrong_is_told_at_once_and_no_key_with_it() {
        let keys = format!("{DIGITS},k1:{DIGITS}0");
        let environment = Environment::from([
            (ENCRYPTION_KEYS, keys.as_str()),
            ("MILLPOND_PUBLIC_URL", "http://jobs.example.com"),
            ("MILLPOND_RETURN_TO", "https://a.example.com,hunter2"),
        ]);

        let refused = Settings::read(&environment).err().expect("refused");

        let told = refused.to_string();
        for part in [
            "MILLPOND_ENCRYPTION_KEYS is not usable: key 1 has no id",
            "key 2 has 65 digits",
            "MILLPOND_PUBLIC_URL is not an https address",
            "MILLPOND_RETURN_TO is not usable: entry 2",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
        assert!(
            !told.contains(&DIGITS[..8]) && !told.contains("hunter2"),
            "{told}"
        );
    }
}
