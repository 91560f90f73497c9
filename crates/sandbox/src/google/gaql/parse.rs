//! A query read from its words.

use std::{iter::Peekable, vec};

use super::{
    Condition, Literal, Operator, Order, Query, QueryError,
    words::{Word, words},
};

/// Most values of one list.
const MOST_VALUES: usize = 20_000;

/// Reads a query.
///
/// # Errors
/// [`QueryError`] where it stops being one.
pub(in super::super) fn parse(query: &str) -> Result<Query, QueryError> {
    let mut reader = Reader {
        words: words(query)?.into_iter().peekable(),
    };
    reader.expect("SELECT", "EXPECTED_SELECT")?;
    let fields = reader.fields()?;
    reader.expect("FROM", "EXPECTED_FROM")?;
    let resource = reader.name("BAD_RESOURCE_TYPE_IN_FROM_CLAUSE")?;
    let conditions = if reader.takes("WHERE") {
        reader.conditions()?
    } else {
        Vec::new()
    };
    let order = if reader.takes("ORDER") {
        reader.expect("BY", "EXPECTED_BY")?;
        reader.order()?
    } else {
        Vec::new()
    };
    let limit = if reader.takes("LIMIT") {
        Some(reader.limit()?)
    } else {
        None
    };
    let parameters = if reader.takes("PARAMETERS") {
        reader.parameters()?
    } else {
        Vec::new()
    };
    reader.end()?;
    Ok(Query {
        fields,
        resource,
        conditions,
        order,
        limit,
        parameters,
    })
}

struct Reader {
    words: Peekable<vec::IntoIter<Word>>,
}

impl Reader {
    /// Whether the next word is this keyword, which is then passed.
    fn takes(&mut self, keyword: &str) -> bool {
        let is_next =
            |word: &Word| matches!(word, Word::Name(name) if name.eq_ignore_ascii_case(keyword));
        self.words.next_if(is_next).is_some()
    }

    fn takes_symbol(&mut self, symbol: &str) -> bool {
        let is_next = |word: &Word| matches!(word, Word::Symbol(found) if *found == symbol);
        self.words.next_if(is_next).is_some()
    }

    fn expect(&mut self, keyword: &str, error: &'static str) -> Result<(), QueryError> {
        if self.takes(keyword) {
            return Ok(());
        }
        let message = format!("Error in query: expected {keyword}.");
        Err(QueryError::new(error, message))
    }

    fn name(&mut self, error: &'static str) -> Result<String, QueryError> {
        match self.words.next() {
            Some(Word::Name(name)) => Ok(name),
            Some(_) => Err(QueryError::new(error, "Error in query: expected a name.")),
            None => Err(ended()),
        }
    }

    /// What is separated by commas.
    fn list<T>(
        &mut self,
        mut next: impl FnMut(&mut Self) -> Result<T, QueryError>,
    ) -> Result<Vec<T>, QueryError> {
        let mut list = vec![next(self)?];
        while self.takes_symbol(",") {
            list.push(next(self)?);
        }
        Ok(list)
    }

    fn fields(&mut self) -> Result<Vec<String>, QueryError> {
        if self.takes("FROM") {
            let message = "Error in query: unexpected FROM clause.";
            return Err(QueryError::new("UNEXPECTED_FROM_CLAUSE", message));
        }
        self.list(|reader| reader.name("BAD_FIELD_NAME"))
    }

    fn conditions(&mut self) -> Result<Vec<Condition>, QueryError> {
        let mut conditions = vec![self.condition()?];
        while self.takes("AND") {
            conditions.push(self.condition()?);
        }
        Ok(conditions)
    }

    fn condition(&mut self) -> Result<Condition, QueryError> {
        let field = self.name("BAD_FIELD_NAME")?;
        let operator = self.operator()?;
        let values = match operator {
            Operator::IsNull | Operator::IsNotNull => Vec::new(),
            Operator::In | Operator::NotIn => self.values()?,
            Operator::Between => {
                let from = self.value()?;
                self.expect("AND", "EXPECTED_VALUE_WITH_BETWEEN_OPERATOR")?;
                vec![from, self.value()?]
            }
            _ => vec![self.value()?],
        };
        Ok(Condition {
            field,
            operator,
            values,
        })
    }

    fn operator(&mut self) -> Result<Operator, QueryError> {
        let bad = |text: &str| {
            let message = format!("Error in query: bad operator near '{text}'.");
            QueryError::new("BAD_OPERATOR", message)
        };
        match self.words.next() {
            None => Err(ended()),
            Some(Word::Symbol(symbol)) => match symbol {
                "=" => Ok(Operator::Equal),
                "!=" => Ok(Operator::NotEqual),
                "<" => Ok(Operator::Less),
                "<=" => Ok(Operator::LessOrEqual),
                ">" => Ok(Operator::Greater),
                ">=" => Ok(Operator::GreaterOrEqual),
                _ => Err(bad(symbol)),
            },
            Some(Word::Name(name)) => match name.to_ascii_uppercase().as_str() {
                "IN" => Ok(Operator::In),
                "BETWEEN" => Ok(Operator::Between),
                "DURING" => Ok(Operator::During),
                "LIKE" => Ok(Operator::Like),
                "NOT" if self.takes("IN") => Ok(Operator::NotIn),
                "NOT" if self.takes("LIKE") => Ok(Operator::NotLike),
                "IS" if self.takes("NULL") => Ok(Operator::IsNull),
                "IS" if self.takes("NOT") => {
                    self.expect("NULL", "BAD_OPERATOR")?;
                    Ok(Operator::IsNotNull)
                }
                _ => Err(bad(&name)),
            },
            Some(Word::Text(text) | Word::Number(text)) => Err(bad(&text)),
        }
    }

    fn values(&mut self) -> Result<Vec<Literal>, QueryError> {
        if !self.takes_symbol("(") {
            let message = "Error in query: expected a list in parentheses.";
            return Err(QueryError::new("EXPECTED_LIST", message));
        }
        if self.takes_symbol(")") {
            let message = "Error in query: the list of a condition is empty.";
            return Err(QueryError::new(
                "PROHIBITED_EMPTY_LIST_IN_CONDITION",
                message,
            ));
        }
        let values = self.list(Self::value)?;
        if !self.takes_symbol(")") {
            return Err(self.unexpected());
        }
        if values.len() > MOST_VALUES {
            let message = format!("Error in query: a list has at most {MOST_VALUES} values.");
            return Err(QueryError::new("FILTER_HAS_TOO_MANY_VALUES", message));
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<Literal, QueryError> {
        match self.words.next() {
            Some(Word::Text(text)) => Ok(Literal::Quoted(text)),
            Some(Word::Name(text) | Word::Number(text)) => Ok(Literal::Bare(text)),
            Some(Word::Symbol(_)) => {
                let message = "Error in query: expected a single value.";
                Err(QueryError::new("EXPECTED_SINGLE_VALUE", message))
            }
            None => Err(ended()),
        }
    }

    fn order(&mut self) -> Result<Vec<Order>, QueryError> {
        self.list(|reader| {
            let field = reader.name("BAD_FIELD_NAME")?;
            let is_descending = reader.takes("DESC");
            if !is_descending {
                reader.takes("ASC");
            }
            Ok(Order {
                field,
                is_descending,
            })
        })
    }

    fn limit(&mut self) -> Result<usize, QueryError> {
        let bad = || {
            let message = "Error in query: the limit is not a whole number.";
            QueryError::new("BAD_LIMIT_VALUE", message)
        };
        let Some(Word::Number(number)) = self.words.next() else {
            return Err(bad());
        };
        match number.parse() {
            Ok(0) => {
                let message = "Error in query: the limit has to be greater than 0.";
                Err(QueryError::new("LIMIT_VALUE_TOO_LOW", message))
            }
            Ok(limit) => Ok(limit),
            Err(_) => Err(bad()),
        }
    }

    fn parameters(&mut self) -> Result<Vec<(String, String)>, QueryError> {
        self.list(|reader| {
            let name = reader.name("BAD_PARAMETER_NAME")?;
            if !reader.takes_symbol("=") {
                return Err(reader.unexpected());
            }
            Ok((name, reader.name("BAD_PARAMETER_VALUE")?))
        })
    }

    fn end(&mut self) -> Result<(), QueryError> {
        if self.words.peek().is_none() {
            return Ok(());
        }
        Err(self.unexpected())
    }

    /// What stands here belongs elsewhere.
    fn unexpected(&mut self) -> QueryError {
        let near = match self.words.peek() {
            None => return ended(),
            Some(Word::Name(text) | Word::Text(text) | Word::Number(text)) => text.as_str(),
            Some(Word::Symbol(symbol)) => *symbol,
        };
        let message = format!("Error in query: unexpected input {near}.");
        QueryError::new("UNEXPECTED_INPUT", message)
    }
}

fn ended() -> QueryError {
    QueryError::new(
        "UNEXPECTED_END_OF_QUERY",
        "Error in query: unexpected end of query.",
    )
}
