//! How an error reads in logs and answers to operators.

/// An error with its chain of sources. What repeats its source's words, as many libraries' errors do, is said once.
pub fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let words = inner.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the fleet is away")]
    struct Outer(#[source] Middle);

    #[derive(Debug, thiserror::Error)]
    #[error("a statement failed: {0}")]
    struct Middle(#[source] std::fmt::Error);

    #[test]
    fn an_error_is_told_with_its_sources_each_once() {
        let told = error_chain(&Outer(Middle(std::fmt::Error)));

        let inner = std::fmt::Error.to_string();
        assert_eq!(
            told,
            format!("the fleet is away: a statement failed: {inner}")
        );
    }
}
