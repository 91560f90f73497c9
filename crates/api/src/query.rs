//! Query strings and path segments: every parameter is read by name, what is unknown is refused with a suggestion.

use std::{fmt, str::FromStr};

use axum::{
    extract::{FromRequestParts, Query, RawPathParams},
    http::request::Parts,
};
use chrono::{DateTime, Utc};
use queue::PageRequest;

use crate::{
    error::ApiError,
    json::suggestion,
    problem::{FieldProblem, MOST_ERRORS},
};

/// What the parameters of tags begin with.
const TAG: &str = "tag.";
/// Most characters of a parameter's name that an answer repeats.
const LONGEST_NAME: usize = 64;

/// The parameters of a request, each to be taken once by its name.
pub(crate) struct QueryString {
    pairs: Vec<(String, String)>,
    asked: Vec<&'static str>,
    problems: Vec<FieldProblem>,
}

impl<S: Send + Sync> FromRequestParts<S> for QueryString {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let Query(pairs) =
            Query::try_from_uri(&parts.uri).map_err(|_| ApiError::MalformedRequest {
                detail: "the query string cannot be read".to_owned(),
                errors: Vec::new(),
            })?;
        Ok(Self {
            pairs,
            asked: Vec::new(),
            problems: Vec::new(),
        })
    }
}

impl QueryString {
    /// Takes a text.
    pub(crate) fn text(&mut self, name: &'static str) -> Option<String> {
        self.asked.push(name);
        let at = self.pairs.iter().position(|(known, _)| known == name)?;
        let (_, value) = self.pairs.remove(at);
        if self.pairs.iter().any(|(known, _)| known == name) {
            self.pairs.retain(|(known, _)| known != name);
            self.problem(name, "is given more than once");
            return None;
        }
        if value.contains('\0') {
            self.problem(name, "must not contain the character U+0000");
            return None;
        }
        Some(value)
    }

    /// Takes a word of a closed vocabulary.
    pub(crate) fn word<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        let text = self.text(name)?;
        match text.parse() {
            Ok(word) => Some(word),
            Err(error) => {
                self.problem(name, error.to_string());
                None
            }
        }
    }

    /// Takes a time.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let text = self.text(name)?;
        match DateTime::parse_from_rfc3339(&text) {
            Ok(time) => Some(time.to_utc()),
            Err(_) => {
                self.problem(
                    name,
                    "must be a time as in RFC 3339, such as 2030-01-31T08:00:00Z",
                );
                None
            }
        }
    }

    /// Takes the parameters `tag.NAME`.
    pub(crate) fn tags(&mut self) -> Vec<(String, String)> {
        self.asked.push("tag.NAME");
        let (tags, others) = std::mem::take(&mut self.pairs)
            .into_iter()
            .partition::<Vec<_>, _>(|(name, _)| name.starts_with(TAG));
        self.pairs = others;
        let mut named: Vec<(String, String)> = Vec::with_capacity(tags.len());
        for (parameter, value) in tags {
            let name = parameter.get(TAG.len()..).unwrap_or_default().to_owned();
            if name.is_empty() || named.iter().any(|(known, _)| *known == name) {
                self.problem(&parameter, "must name a tag, and each tag once");
            } else if name.contains('\0') || value.contains('\0') {
                self.problem(&parameter, "must not contain the character U+0000");
            } else {
                named.push((name, value));
            }
        }
        named
    }

    /// Takes `limit` and `cursor`, and ends the reading of a list's parameters.
    ///
    /// # Errors
    /// With everything that was found wrong, unknown parameters included.
    pub(crate) fn page(mut self) -> Result<PageRequest, ApiError> {
        let limit = self.limit();
        let cursor = self.text("cursor");
        self.finish()?;
        PageRequest::new(limit, cursor).map_err(ApiError::Listing)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// With everything that was found wrong, unknown parameters included.
    pub(crate) fn finish(mut self) -> Result<(), ApiError> {
        for (name, _) in std::mem::take(&mut self.pairs) {
            let message = format!("unknown parameter{}", suggestion(&name, &self.asked));
            self.problem(&name, message);
        }
        if self.problems.is_empty() {
            return Ok(());
        }
        Err(ApiError::MalformedRequest {
            detail: "the query has wrong parameters".to_owned(),
            errors: self.problems,
        })
    }

    fn limit(&mut self) -> Option<i64> {
        let text = self.text("limit")?;
        match text.parse::<i64>() {
            Ok(limit) => Some(limit),
            Err(_) => {
                self.problem("limit", "must be a whole number from 1 to 500");
                None
            }
        }
    }

    fn problem(&mut self, name: &str, message: impl Into<String>) {
        if self.problems.len() < MOST_ERRORS {
            let name: String = name.chars().take(LONGEST_NAME).collect();
            self.problems
                .push(FieldProblem::new(format!("?{name}"), message));
        }
    }
}

/// The one parameter of a path. What cannot name a thing names none: 404.
pub(crate) struct Segment<T>(pub(crate) T);

impl<S: Send + Sync, T: FromStr + Send> FromRequestParts<S> for Segment<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::NotFound)?;
        let (_, segment) = params.iter().next().ok_or(ApiError::NotFound)?;
        if segment.chars().any(char::is_control) {
            return Err(ApiError::NotFound);
        }
        segment.parse().map(Self).map_err(|_| ApiError::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use queue::JobState;

    use super::*;

    async fn query(uri: &str) -> QueryString {
        let (mut parts, ()) = Request::builder()
            .uri(uri)
            .body(())
            .expect("a request")
            .into_parts();
        QueryString::from_request_parts(&mut parts, &())
            .await
            .unwrap_or_else(|error| panic!("{uri}: {error}"))
    }

    fn pointers(result: Result<(), ApiError>) -> Vec<String> {
        match result {
            Err(ApiError::MalformedRequest { errors, .. }) => {
                errors.into_iter().map(|error| error.pointer).collect()
            }
            other => panic!("expected wrong parameters, got {other:?}"),
        }
    }

    #[tokio::test]
    async fn parameters_have_their_literal_meaning() {
        let mut query =
            query("/?kind=%25_%5C%27&state=ready&tag.a%2Fb=c&since=2030-01-31T08%3A00%3A00Z").await;

        assert_eq!(query.text("kind").as_deref(), Some("%_\\'"));
        assert_eq!(query.word("state"), Some(JobState::Ready));
        assert_eq!(query.tags(), [("a/b".to_owned(), "c".to_owned())]);
        assert!(query.time("since").is_some());
        assert!(query.finish().is_ok());
    }

    #[tokio::test]
    async fn unknown_doubled_and_wrong_parameters_are_told_at_once() {
        let mut query =
            query("/?stat=ready&state=a&kind=a&kind=b&tag.=x&until=now&queue=%00").await;

        query.word::<JobState>("state");
        query.text("kind");
        query.tags();
        query.time("until");
        query.text("queue");

        assert_eq!(
            pointers(query.finish()),
            ["?state", "?kind", "?tag.", "?until", "?queue", "?stat"]
        );
    }

    #[tokio::test]
    async fn a_limit_must_be_a_number() {
        let refused = query("/?limit=all").await.page();

        assert!(matches!(refused, Err(ApiError::MalformedRequest { .. })));
    }
}
