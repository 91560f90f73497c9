//! An alarm on the age of the versions of the platforms' APIs that this process goes by. They are settings, and nobody else
//! tells when one is over: the platform does so by refusing every call, or, as Meta, not at all.

use chrono::{NaiveDate, Utc};
use providers::{
    google_ads, linkedin, meta,
    platform::{ApiVersion, Platform, api_version},
    tiktok, x,
};
use queue::{Finding, Severity};
use url::Url;

use crate::settings::Settings;

/// What is looked at.
const CHECK: &str = "api versions";

/// Tells in the log of versions that are old.
pub(crate) fn warn(settings: &Settings) {
    for finding in judged(&in_use(settings), Utc::now().date_naive()) {
        if finding.severity > Severity::Ok {
            tracing::warn!("{}: {}", finding.detail, finding.remedy);
        }
    }
}

/// What `doctor` finds.
pub(crate) fn look(settings: &Settings) -> Vec<Finding> {
    judged(&in_use(settings), Utc::now().date_naive())
}

/// The versions that the environment names, or else those that this release was written for.
fn in_use(settings: &Settings) -> Vec<ApiVersion> {
    let accounts = &settings.accounts;
    let address = |set: &Option<Url>, usual: &str| match set {
        Some(url) => url.to_string(),
        None => usual.to_owned(),
    };
    let versions = Platform::ALL.map(|platform| {
        let setting = match platform {
            Platform::Meta => address(&settings.providers.meta_url, meta::DEFAULT_BASE_URL),
            Platform::GoogleAds => address(&accounts.google_ads.url, google_ads::DEFAULT_BASE_URL),
            Platform::LinkedIn => {
                let version = accounts.linkedin.version.as_deref();
                version.unwrap_or(linkedin::DEFAULT_VERSION).to_owned()
            }
            Platform::TikTok => address(&accounts.tiktok.url, tiktok::DEFAULT_BASE_URL),
            Platform::X => address(&accounts.x.ads_url, x::DEFAULT_ADS_URL),
        };
        api_version(platform, &setting)
    });
    versions.into_iter().flatten().collect()
}

/// A finding for each version that is old or over, and one for the rest.
fn judged(versions: &[ApiVersion], today: NaiveDate) -> Vec<Finding> {
    let (old, fine): (Vec<&ApiVersion>, Vec<&ApiVersion>) =
        versions.iter().partition(|version| version.is_old(today));
    let mut findings: Vec<Finding> = old.iter().map(|version| alarm(version, today)).collect();
    let fine: Vec<String> = fine.iter().map(|version| told(version, today)).collect();
    if !fine.is_empty() {
        findings.push(Finding {
            severity: Severity::Ok,
            check: CHECK,
            detail: fine.join(", "),
            why: "",
            remedy: String::new(),
        });
    }
    findings
}

fn alarm(version: &ApiVersion, today: NaiveDate) -> Finding {
    let platform = version.platform;
    let (severity, detail) = match version.ends {
        Some(end) if version.has_ended(today) => (
            Severity::Error,
            format!("{platform} {} has ended, on {end}", version.name),
        ),
        _ => (
            Severity::Warning,
            format!("{}: it is old", told(version, today)),
        ),
    };
    let why = match platform {
        Platform::Meta => {
            "when a version is over Meta answers by another one without a word: figures change, and nothing says so"
        }
        Platform::GoogleAds | Platform::LinkedIn | Platform::TikTok | Platform::X => {
            "when a version is over the platform refuses every call"
        }
    };
    Finding {
        severity,
        check: CHECK,
        detail,
        why,
        remedy: format!(
            "install a newer release of Millpond, or try a newer version in {}",
            variable(platform)
        ),
    }
}

/// A version with its age, as far as that is known.
fn told(version: &ApiVersion, today: NaiveDate) -> String {
    let ApiVersion { platform, name, .. } = version;
    match version.age_days(today) {
        Some(days) => format!("{platform} {name} ({days} days)"),
        None => format!("{platform} {name}"),
    }
}

/// Where the version is set.
fn variable(platform: Platform) -> &'static str {
    match platform {
        Platform::Meta => "MILLPOND_META_URL",
        Platform::GoogleAds => "MILLPOND_GOOGLE_ADS_URL",
        Platform::LinkedIn => "MILLPOND_LINKEDIN_VERSION",
        Platform::TikTok => "MILLPOND_TIKTOK_URL",
        Platform::X => "MILLPOND_X_ADS_URL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn findings<const N: usize>(variables: [(&str, &str); N], today: &str) -> Vec<Finding> {
        let settings = Settings::read(&Environment::from(variables));
        let settings = settings.expect("usable");
        judged(&in_use(&settings), today.parse().expect("a day"))
    }

    #[test]
    fn the_versions_of_this_release_are_young_when_it_appears() {
        let findings = findings([], "2026-11-21");

        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].severity, Severity::Ok);
        for told in [
            "meta v26.0 (115 days)",
            "google_ads v26 (38 days)",
            "linkedin 202609 (81 days)",
            "tiktok v1.3",
            "x 12",
        ] {
            let detail = &findings[0].detail;
            assert!(detail.contains(told), "{told} in {detail}");
        }
    }

    // Fails when a version can grow old, or be over, and nobody is told.
    #[test]
    fn a_version_that_grows_old_is_a_warning_and_one_that_is_over_an_error() {
        let later = findings([], "2027-10-01");
        let set = [
            ("MILLPOND_META_URL", "https://graph.facebook.com/v24.0"),
            ("MILLPOND_LINKEDIN_VERSION", "202601"),
        ];
        let older = findings(set, "2026-11-21");

        let severity = |findings: &[Finding], begins: &str| {
            let mut findings = findings.iter();
            let found = findings.find(|finding| finding.detail.starts_with(begins));
            found.map(|finding| finding.severity)
        };
        for begins in ["meta v26.0 (", "google_ads v26 (", "linkedin 202609 ("] {
            assert_eq!(
                severity(&later, begins),
                Some(Severity::Warning),
                "{begins}"
            );
        }
        let over = severity(&older, "meta v24.0 has ended, on 2026-10-06");
        let old = severity(&older, "linkedin 202601 (");
        assert_eq!(
            (over, old),
            (Some(Severity::Error), Some(Severity::Warning))
        );
        let told = &older[0];
        assert!(told.remedy.ends_with("MILLPOND_META_URL"), "{told:?}");
    }
}
