//! Queries as Google's documents show them, and ones that are none.

use super::*;

fn error(query: &str) -> &'static str {
    parse(query).expect_err("no query").name
}

fn condition(text: &str) -> Condition {
    let query = parse(&format!("SELECT a FROM a WHERE {text}")).expect("a query");
    query.conditions[0].clone()
}

#[test]
fn a_query_with_every_clause_is_read() {
    let query = "SELECT change_status.resource_type, change_status.campaign\n FROM change_status \
                 WHERE change_status.last_change_date_time BETWEEN '2026-11-01 00:00:00' AND '2026-11-08' \
                 AND campaign.id IN (1, 2) order by change_status.last_change_date_time DESC, campaign.id \
                 LIMIT 10000 PARAMETERS include_drafts=true, omit_unselected_resource_names=false";

    let query = parse(query).expect("a query");

    assert_eq!(
        query.fields,
        ["change_status.resource_type", "change_status.campaign"]
    );
    assert_eq!(query.resource, "change_status");
    assert_eq!(query.conditions.len(), 2);
    assert_eq!(query.conditions[0].operator, Operator::Between);
    assert_eq!(query.conditions[1].values.len(), 2);
    let order: Vec<_> = query
        .order
        .iter()
        .map(|order| order.is_descending)
        .collect();
    assert_eq!(order, [true, false]);
    assert_eq!(query.limit, Some(10_000));
    assert_eq!(query.parameters.len(), 2);
}

#[test]
fn quotes_and_backslashes_in_texts_are_escaped() {
    let escaped = condition(r"campaign.name = 'Dad\'s \\ \'50 %\''");

    assert_eq!(
        escaped.values,
        [Literal::Quoted(r"Dad's \ '50 %'".to_owned())],
    );
    assert_eq!(
        error("SELECT a FROM a WHERE b = 'Dad's'"),
        "STRING_NOT_TERMINATED",
    );
    assert_eq!(
        error(r"SELECT a FROM a WHERE b = 'x\y'"),
        "BAD_ESCAPE_SEQUENCE"
    );
    assert_eq!(
        error("SELECT a FROM a WHERE b = 'x\ny'"),
        "PROHIBITED_NEWLINE_IN_STRING",
    );
}

#[test]
fn every_operator_is_read() {
    let operators = [
        ("a = 1", Operator::Equal),
        ("a != 'b'", Operator::NotEqual),
        ("a<1", Operator::Less),
        ("a <= 1", Operator::LessOrEqual),
        ("a>-1.5", Operator::Greater),
        ("a >= 1", Operator::GreaterOrEqual),
        ("a IN ('b')", Operator::In),
        ("a not in (B, C)", Operator::NotIn),
        ("a DURING LAST_7_DAYS", Operator::During),
        ("a LIKE '%b'", Operator::Like),
        ("a NOT LIKE '%b'", Operator::NotLike),
        ("a IS NULL", Operator::IsNull),
        ("a IS NOT NULL", Operator::IsNotNull),
    ];
    for (text, operator) in operators {
        assert_eq!(condition(text).operator, operator, "{text}");
    }
}

#[test]
fn what_is_no_query_is_refused_by_name() {
    let wrong = [
        ("", "EXPECTED_SELECT"),
        ("SHOW TABLES", "EXPECTED_SELECT"),
        ("SELECT FROM campaign", "UNEXPECTED_FROM_CLAUSE"),
        ("SELECT campaign.id", "EXPECTED_FROM"),
        ("SELECT campaign.id,", "UNEXPECTED_END_OF_QUERY"),
        ("SELECT a FROM 'b'", "BAD_RESOURCE_TYPE_IN_FROM_CLAUSE"),
        ("SELECT a FROM b WHERE", "UNEXPECTED_END_OF_QUERY"),
        ("SELECT a FROM b WHERE c 5", "BAD_OPERATOR"),
        ("SELECT a FROM b WHERE c REGEXP_MATCH 'x'", "BAD_OPERATOR"),
        (
            "SELECT a FROM b WHERE c IN ()",
            "PROHIBITED_EMPTY_LIST_IN_CONDITION",
        ),
        ("SELECT a FROM b WHERE c IN 5", "EXPECTED_LIST"),
        ("SELECT a FROM b WHERE c IN (5", "UNEXPECTED_END_OF_QUERY"),
        ("SELECT a FROM b WHERE c = (5)", "EXPECTED_SINGLE_VALUE"),
        (
            "SELECT a FROM b WHERE c BETWEEN 5",
            "EXPECTED_VALUE_WITH_BETWEEN_OPERATOR",
        ),
        ("SELECT a FROM b ORDER c", "EXPECTED_BY"),
        ("SELECT a FROM b LIMIT 0", "LIMIT_VALUE_TOO_LOW"),
        ("SELECT a FROM b LIMIT many", "BAD_LIMIT_VALUE"),
        ("SELECT a FROM b; DROP", "BAD_SYMBOL"),
        ("SELECT a FROM b WHERE c = 1 d = 2", "UNEXPECTED_INPUT"),
        ("SELECT ä FROM b", "BAD_SYMBOL"),
    ];
    for (query, name) in wrong {
        assert_eq!(error(query), name, "{query}");
    }
}
