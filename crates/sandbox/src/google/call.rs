//! Which call a path is: the version, the customer, and what is to be done.

use axum::http::Method;

use super::error::AdsError;

/// The newest version; there are no later ones yet.
const NEWEST: u32 = 26;
/// The oldest that still works.
const OLDEST: u32 = 20;

/// A call whose path is known.
pub(super) struct Call<'c> {
    /// `v26`, as it was sent.
    pub(super) version: &'c str,
    number: u32,
    pub(super) what: What<'c>,
}

/// What is to be done, and for which customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What<'c> {
    Accessible,
    Page(&'c str),
    Stream(&'c str),
    Mutate(&'c str),
    /// Conversions, of the older sort.
    Upload(&'c str),
}

impl<'c> Call<'c> {
    /// `None` for a path that the front end does not know, which then answers in its own way.
    pub(super) fn read(method: &Method, path: &'c str) -> Option<Self> {
        let segments: Vec<_> = path.strip_prefix('/')?.split('/').collect();
        let version = *segments.first()?;
        let what = match (method, segments.get(1..)?) {
            (&Method::GET, ["customers:listAccessibleCustomers"]) => What::Accessible,
            (&Method::POST, ["customers", customer, "googleAds:search"]) => What::Page(customer),
            (&Method::POST, ["customers", customer, "googleAds:searchStream"]) => {
                What::Stream(customer)
            }
            (&Method::POST, ["customers", customer, "googleAds:mutate"]) => What::Mutate(customer),
            (&Method::POST, ["customers", upload]) => {
                What::Upload(upload.strip_suffix(":uploadClickConversions")?)
            }
            _ => return None,
        };
        let number: u32 = version.strip_prefix('v')?.parse().ok()?;
        (1..=NEWEST).contains(&number).then_some(Self {
            version,
            number,
            what,
        })
    }

    /// # Errors
    /// UNSUPPORTED_VERSION for one that has been switched off.
    pub(super) fn check_version(&self) -> Result<(), AdsError> {
        if self.number < OLDEST {
            return Err(AdsError::request(
                "UNSUPPORTED_VERSION",
                "The version of the API is no longer supported. Upgrade to a newer one.",
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_version_the_customer_and_what_to_do() {
        let what = |method, path| Call::read(&method, path).map(|call| call.what);
        let search = "/v26/customers/1234567890/googleAds:search";

        assert_eq!(what(Method::POST, search), Some(What::Page("1234567890")));
        assert_eq!(
            what(Method::GET, "/v26/customers:listAccessibleCustomers"),
            Some(What::Accessible),
        );
        assert_eq!(what(Method::GET, search), None);
        assert_eq!(
            what(Method::POST, "/v27/customers/1/googleAds:search"),
            None
        );
        assert_eq!(what(Method::POST, "/26/customers/1/googleAds:search"), None);
        assert_eq!(
            what(Method::POST, "/v26/customers/1/campaigns:mutate"),
            None
        );
    }
}
