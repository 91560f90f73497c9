//! What suits a developer's machine and not production: platforms that are stood in for, connections without TLS, networks
//! behind the internet that calls may reach. Every process that serves tells it when it starts, and `doctor` tells it too.

use providers::webhook::is_forbidden;
use queue::{Finding, Severity};
use secrecy::ExposeSecret;
use url::Url;

use crate::settings::{ProviderSettings, Settings};

/// What is looked at.
const CHECK: &str = "production";

/// Tells of it in the log.
pub(crate) fn warn(settings: &Settings) {
    for opening in found(settings) {
        tracing::warn!("{opening}");
    }
}

/// What `doctor` finds.
pub(crate) fn look(settings: &Settings) -> Vec<Finding> {
    let openings = found(settings);
    if openings.is_empty() {
        return vec![Finding {
            severity: Severity::Ok,
            check: CHECK,
            detail: "no stand-in, no connection without TLS, no network behind the internet"
                .to_owned(),
            why: "",
            remedy: String::new(),
        }];
    }
    let finding = |detail| Finding {
        severity: Severity::Warning,
        check: CHECK,
        detail,
        why: "on a developer's machine this is right; in production work goes nowhere, or where it must not",
        remedy: "where this is production, take it out of the environment and start again"
            .to_owned(),
    };
    openings.into_iter().map(finding).collect()
}

fn found(settings: &Settings) -> Vec<String> {
    let mut openings = Vec::new();
    let stood_in = stood_in_for(settings);
    if !stood_in.is_empty() {
        openings.push(format!(
            "{}: plain http, to something on this machine that stands in for the platform",
            stood_in.join(", ")
        ));
    }
    if settings.accounts.public_url.as_ref().is_some_and(is_plain) {
        openings.push(
            "MILLPOND_PUBLIC_URL is plain http: from outside this machine nobody comes back to it"
                .to_owned(),
        );
    }
    if sends_mail_plain(&settings.providers) {
        openings.push(
            "MILLPOND_SMTP_URL sends mail without TLS, to a server on this machine".to_owned(),
        );
    }
    for network in &settings.providers.outbound_allow {
        if is_forbidden(network.network()) || is_forbidden(network.broadcast()) {
            openings.push(format!(
                "MILLPOND_OUTBOUND_ALLOW opens {network}, which is not public, to whoever may enqueue http.request or make webhook endpoints"
            ));
        }
    }
    openings
}

/// The variables of platforms' addresses that are no platform's: only loopback is reached by plain http.
fn stood_in_for(settings: &Settings) -> Vec<&'static str> {
    let accounts = &settings.accounts;
    let (google, linkedin, tiktok, x) = (
        &accounts.google_ads,
        &accounts.linkedin,
        &accounts.tiktok,
        &accounts.x,
    );
    let addresses = [
        ("MILLPOND_META_URL", &settings.providers.meta_url),
        ("MILLPOND_GOOGLE_ADS_URL", &google.url),
        ("MILLPOND_GOOGLE_OAUTH_URL", &google.oauth_url),
        ("MILLPOND_GOOGLE_AUTH_URL", &google.auth_url),
        ("MILLPOND_GOOGLE_DATA_URL", &google.data_url),
        ("MILLPOND_LINKEDIN_URL", &linkedin.url),
        ("MILLPOND_LINKEDIN_OAUTH_URL", &linkedin.oauth_url),
        ("MILLPOND_TIKTOK_URL", &tiktok.url),
        ("MILLPOND_TIKTOK_AUTH_URL", &tiktok.auth_url),
        ("MILLPOND_X_ADS_URL", &x.ads_url),
        ("MILLPOND_X_API_URL", &x.api_url),
        ("MILLPOND_X_AUTH_URL", &x.auth_url),
    ];
    let plain = addresses
        .into_iter()
        .filter(|(_, url)| url.as_ref().is_some_and(is_plain));
    plain.map(|(variable, _)| variable).collect()
}

fn is_plain(url: &Url) -> bool {
    url.scheme() == "http"
}

fn sends_mail_plain(providers: &ProviderSettings) -> bool {
    let url = providers.smtp_url.as_ref();
    let url = url.and_then(|url| Url::parse(url.expose_secret()).ok());
    url.is_some_and(|url| {
        url.query_pairs()
            .any(|(name, value)| name == "tls" && value == "none")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn settings<const N: usize>(variables: [(&str, &str); N]) -> Settings {
        let settings = Settings::read(&Environment::from(variables));
        settings.expect("usable")
    }

    #[test]
    fn production_has_nothing_to_tell_of() {
        let settings = settings([
            ("MILLPOND_META_URL", "https://graph.facebook.com/v26.0"),
            ("MILLPOND_PUBLIC_URL", "https://jobs.example.com"),
            ("MILLPOND_SMTP_URL", "smtp://mail.example.com:587"),
            ("MILLPOND_OUTBOUND_ALLOW", "93.184.216.0/24"),
        ]);

        let findings = look(&settings);

        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].severity, Severity::Ok);
    }

    // Fails when a process that works against a sandbox passes for one in production.
    #[test]
    fn whatever_suits_development_alone_is_told() {
        let settings = settings([
            ("MILLPOND_TIKTOK_URL", "http://127.0.0.1:9000/tiktok"),
            (
                "MILLPOND_X_AUTH_URL",
                "http://localhost:9000/x/i/oauth2/authorize",
            ),
            ("MILLPOND_PUBLIC_URL", "http://127.0.0.1:8080"),
            (
                "MILLPOND_SMTP_URL",
                "smtp://ada:hunter2@127.0.0.1:1025?tls=none",
            ),
            ("MILLPOND_OUTBOUND_ALLOW", "10.20.30.40/32"),
        ]);

        let findings = look(&settings);

        let told: Vec<&str> = findings.iter().map(|finding| &*finding.detail).collect();
        for (told, begins) in told.iter().zip([
            "MILLPOND_TIKTOK_URL, MILLPOND_X_AUTH_URL: plain http",
            "MILLPOND_PUBLIC_URL",
            "MILLPOND_SMTP_URL",
            "MILLPOND_OUTBOUND_ALLOW opens 10.20.30.40/32",
        ]) {
            assert!(told.starts_with(begins), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        assert_eq!(told.len(), 4);
        let mut severities = findings.iter().map(|finding| finding.severity);
        assert!(severities.all(|severity| severity == Severity::Warning));
    }
}
