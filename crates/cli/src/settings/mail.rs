//! What mail needs of the environment: who takes it, and where the operator's own templates lie.

use std::path::PathBuf;

use providers::smtp;
use secrecy::SecretString;
use url::Url;

use super::{Problems, is_provider_url};
use crate::environment::{Environment, VariableProblem};

const SMTP_URL: &str = "MILLPOND_SMTP_URL";
const RESEND_API_KEY: &str = "MILLPOND_RESEND_API_KEY";

/// Who takes mails, and what is in them. No `Debug`: it holds secrets.
#[derive(Clone, Default)]
pub(crate) struct MailEnvironment {
    /// `MILLPOND_RESEND_API_KEY`: mails go out by Resend instead of a mail server.
    pub(crate) resend_api_key: Option<SecretString>,
    /// `MILLPOND_RESEND_URL`; `None`: Resend's own.
    pub(crate) resend_url: Option<Url>,
    /// `MILLPOND_MAIL_TEMPLATES`: the folder of the operator's own templates; `None`: there are none.
    pub(crate) templates: Option<PathBuf>,
}

impl MailEnvironment {
    pub(super) fn read(environment: &Environment, problems: &mut Problems) -> Self {
        let resend_api_key = problems.keep(environment.secret(RESEND_API_KEY)).flatten();
        let resend_url = problems.keep(environment.value(
            "MILLPOND_RESEND_URL",
            "is not an https address (plain http is for loopback only), without user name, query or fragment",
            |text| Url::parse(text).ok().filter(is_provider_url),
        ));
        let templates = problems.keep(environment.text("MILLPOND_MAIL_TEMPLATES"));
        Self {
            resend_api_key,
            resend_url: resend_url.flatten(),
            templates: templates.flatten().map(PathBuf::from),
        }
    }

    /// Reads the mail server's address, which nobody else may stand beside: mails go one way.
    pub(super) fn smtp_url(
        &self,
        environment: &Environment,
        problems: &mut Problems,
    ) -> Option<SecretString> {
        let url = problems.keep(environment.secret(SMTP_URL)).flatten();
        let url = problems.keep(check_smtp_url(url)).flatten();
        if url.is_some() && self.resend_api_key.is_some() {
            problems.keep(Err::<(), _>(VariableProblem::Invalid {
                name: RESEND_API_KEY.to_owned(),
                problem: "is not to be set beside MILLPOND_SMTP_URL: mails go out one way",
            }));
        }
        url
    }
}

fn check_smtp_url(url: Option<SecretString>) -> Result<Option<SecretString>, VariableProblem> {
    if let Some(Err(error)) = url.as_ref().map(smtp::check_address) {
        return Err(VariableProblem::Unusable {
            name: SMTP_URL.to_owned(),
            problem: format!(
                "{}; smtp://user:password@host:587 (STARTTLS) and smtps://user:password@host:465 are",
                error.detail().message
            ),
        });
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use crate::{environment::Environment, settings::Settings};

    #[test]
    fn mails_go_out_one_way() {
        let key = ("MILLPOND_RESEND_API_KEY", "re_hunter2");
        let smtp = ("MILLPOND_SMTP_URL", "smtp://mail.example.com:587");

        let alone = Settings::read(&Environment::from([key])).map(|it| it.providers);
        let both = Settings::read(&Environment::from([key, smtp]));

        assert!(alone.is_ok_and(|it| it.mail.resend_api_key.is_some() && it.takes_mail()));
        let told = both.err().map(|problems| problems.to_string());
        let told = told.unwrap_or_default();
        assert!(
            told.contains("MILLPOND_RESEND_API_KEY is not to be set beside"),
            "{told}"
        );
        assert!(!told.contains("hunter2"), "{told}");
    }
}
