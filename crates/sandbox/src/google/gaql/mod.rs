//! GAQL, Google's query language: what a query says. Whether there are such fields is for others to find out.

mod parse;
mod words;

pub(super) use parse::parse;

/// A query, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) fields: Vec<String>,
    pub(super) resource: String,
    /// All of them have to hold.
    pub(super) conditions: Vec<Condition>,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<usize>,
    pub(super) parameters: Vec<(String, String)>,
}

/// One condition of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) field: String,
    pub(super) operator: Operator,
    /// Two for BETWEEN, at least one for IN, none for IS NULL, else one.
    pub(super) values: Vec<Literal>,
}

/// How a field is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
    Between,
    During,
    Like,
    NotLike,
    IsNull,
    IsNotNull,
}

/// What a field is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Literal {
    /// In quotes, which are left out here.
    Quoted(String),
    /// A word or a number without quotes.
    Bare(String),
}

/// By what rows are sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) field: String,
    pub(super) is_descending: bool,
}

/// What is wrong with a query: Google's name for it and a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueryError {
    pub(super) name: &'static str,
    pub(super) message: String,
}

impl QueryError {
    fn new(name: &'static str, message: impl Into<String>) -> Self {
        Self {
            name,
            message: message.into(),
        }
    }
}

#[cfg(test)]
mod tests;
