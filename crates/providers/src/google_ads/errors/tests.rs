//! The table of errors, row by row.

use super::*;

/// A category, names of it, and their class.
type TableRow = (&'static str, &'static str, Class);

const SHORT: Class = Class::Rate(Quota::Short);
const LONG: Class = Class::Rate(Quota::Long);

const TABLE: &[TableRow] = &[
    (
        "authenticationError",
        "OAUTH_TOKEN_EXPIRED OAUTH_TOKEN_INVALID OAUTH_TOKEN_HEADER_INVALID AUTHENTICATION_ERROR \
         GOOGLE_ACCOUNT_COOKIE_INVALID",
        Class::Auth,
    ),
    (
        "authenticationError",
        "OAUTH_TOKEN_REVOKED OAUTH_TOKEN_DISABLED GOOGLE_ACCOUNT_DELETED \
         GOOGLE_ACCOUNT_AUTHENTICATION_FAILED NOT_ADS_USER TWO_STEP_VERIFICATION_NOT_ENROLLED \
         ADVANCED_PROTECTION_NOT_ENROLLED",
        Class::Auth,
    ),
    (
        "authenticationError",
        "CUSTOMER_NOT_FOUND CLIENT_CUSTOMER_ID_INVALID",
        Class::Rejected,
    ),
    (
        "authorizationError",
        "USER_PERMISSION_DENIED",
        Class::Permission,
    ),
    (
        "authorizationError",
        "CUSTOMER_NOT_ENABLED INCOMPLETE_SIGNUP ACTION_NOT_PERMITTED \
         ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT METRIC_ACCESS_DENIED SERVICE_ACCESS_DENIED MISSING_TOS \
         INVALID_LOGIN_CUSTOMER_ID_SERVING_CUSTOMER_ID_COMBINATION ACCESS_DENIED_FOR_ACCOUNT_TYPE \
         AUTHORIZATION_ERROR",
        Class::Permission,
    ),
    (
        "notAllowlistedError",
        "CUSTOMER_NOT_ALLOWLISTED_FOR_THIS_FEATURE",
        Class::Permission,
    ),
    (
        "operationAccessDeniedError",
        "ACTION_NOT_PERMITTED",
        Class::Permission,
    ),
    (
        "resourceAccessDeniedError",
        "WRITE_ACCESS_DENIED",
        Class::Permission,
    ),
    ("quotaError", "ACCESS_PROHIBITED", Class::Permission),
    (
        "authorizationError",
        "PROJECT_DISABLED CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION \
         CLOUD_PROJECT_NOT_UNDER_ORGANIZATION DEVELOPER_TOKEN_NOT_APPROVED DEVELOPER_TOKEN_PROHIBITED \
         DEVELOPER_TOKEN_NOT_ON_ALLOWLIST",
        Class::Config,
    ),
    (
        "authenticationError",
        "DEVELOPER_TOKEN_INVALID ORGANIZATION_NOT_RECOGNIZED ORGANIZATION_NOT_APPROVED",
        Class::Config,
    ),
    (
        "requestError",
        "CLOUD_PROJECT_NOT_FOUND DEVELOPER_TOKEN_PARAMETER_MISSING",
        Class::Config,
    ),
    // One account's manager is not known: no reason to pause the platform.
    (
        "requestError",
        "LOGIN_CUSTOMER_ID_PARAMETER_MISSING",
        Class::Permission,
    ),
    (
        "quotaError",
        "RESOURCE_TEMPORARILY_EXHAUSTED EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION",
        SHORT,
    ),
    (
        "quotaError",
        "RESOURCE_EXHAUSTED EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION",
        LONG,
    ),
    ("queryError", "DATE_RANGE_TOO_WIDE", Class::TooLarge),
    ("databaseError", "REQUEST_TOO_LARGE", Class::TooLarge),
    (
        "requestError",
        "TOO_MANY_MUTATE_OPERATIONS",
        Class::TooLarge,
    ),
    (
        "internalError",
        "INTERNAL_ERROR TRANSIENT_ERROR DEADLINE_EXCEEDED",
        Class::Transient,
    ),
    ("databaseError", "CONCURRENT_MODIFICATION", Class::Transient),
    ("requestError", "RPC_DEADLINE_TOO_SHORT", Class::Transient),
    (
        "requestError",
        "EXPIRED_PAGE_TOKEN INVALID_PAGE_TOKEN",
        Class::Transient,
    ),
    ("requestError", "UNSUPPORTED_VERSION", Class::Config),
    (
        "queryError",
        "REQUESTED_METRICS_FOR_MANAGER",
        Class::Rejected,
    ),
    (
        "queryError",
        "PROHIBITED_SEGMENT_IN_SELECT_OR_WHERE_CLAUSE",
        Class::Rejected,
    ),
    (
        "requestError",
        "CANNOT_BE_EXECUTED_BY_MANAGER_ACCOUNT PAGE_SIZE_NOT_SUPPORTED",
        Class::Rejected,
    ),
    (
        "dateRangeError",
        "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
        Class::Rejected,
    ),
    ("dateError", "INVALID_FIELD_VALUES_IN_DATE", Class::Rejected),
    ("fieldError", "REQUIRED", Class::Rejected),
    ("rangeError", "TOO_LOW", Class::Rejected),
    ("stringLengthError", "TOO_LONG", Class::Rejected),
    (
        "databaseError",
        "DATA_CONSTRAINT_VIOLATION",
        Class::Rejected,
    ),
    ("mutateError", "RESOURCE_NOT_FOUND", Class::Rejected),
    // Nobody knows these: the status decides.
    ("brandNewError", "SOMETHING", Class::Rejected),
    ("quotaError", "SOMETHING_NEW", Class::Rejected),
];

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("a status")
}

fn fault(category: &str, name: &str) -> Fault {
    Fault {
        category: category.to_owned(),
        name: name.to_owned(),
        ..Fault::default()
    }
}

fn class_of(faults: Vec<Fault>, http: u16) -> Class {
    let problem = Problem {
        faults,
        ..Problem::default()
    };
    Class::of(&problem, status(http)).0
}

#[test]
fn every_row_of_the_table_has_its_class() {
    for &(category, names, expected) in TABLE {
        for name in names.split_whitespace() {
            let class = class_of(vec![fault(category, name)], 400);

            assert_eq!(class, expected, "{category}.{name}");
        }
    }
}

#[test]
fn what_nobody_knows_is_decided_by_the_status() {
    let unknown = |http| class_of(vec![fault("brandNewError", "SOMETHING")], http);
    let cases = [
        (401, Class::Auth),
        (403, Class::Permission),
        (404, Class::Rejected),
        (413, Class::TooLarge),
        (429, Class::Rate(Quota::Short)),
        (500, Class::Transient),
        (502, Class::Transient),
        (503, Class::Transient),
        (504, Class::Transient),
    ];

    for (http, expected) in cases {
        assert_eq!(unknown(http), expected, "{http}");
    }
}

#[test]
fn of_several_faults_the_gravest_decides() {
    let quota = || fault("quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED");
    let field = || fault("fieldError", "REQUIRED");
    let token = || fault("authenticationError", "OAUTH_TOKEN_REVOKED");
    let project = || fault("authorizationError", "PROJECT_DISABLED");

    assert_eq!(class_of(vec![quota(), field()], 400), Class::Rejected);
    assert_eq!(class_of(vec![field(), token()], 401), Class::Auth);
    assert_eq!(
        class_of(vec![project(), token(), field()], 403),
        Class::Config
    );
}

#[test]
fn an_answer_that_is_too_long_is_no_matter_of_waiting() {
    let problem = |message: &str| Problem {
        status: "RESOURCE_EXHAUSTED".to_owned(),
        message: message.to_owned(),
        ..Problem::default()
    };
    let of = |message| Class::of(&problem(message), status(429)).0;

    assert_eq!(
        of("Received message larger than max (67108864 vs. 67108864)"),
        Class::TooLarge
    );
    assert_eq!(of("The response is too large."), Class::TooLarge);
    assert_eq!(
        of("Resource has been exhausted (e.g. check quota)."),
        Class::Rate(Quota::Short)
    );
}

#[test]
fn a_front_end_without_a_failure_gives_a_reason_or_a_grpc_status() {
    let with_reason = |reason: &str| {
        let problem = Problem {
            reason: Some(reason.to_owned()),
            status: "PERMISSION_DENIED".to_owned(),
            ..Problem::default()
        };
        Class::of(&problem, status(403)).0
    };
    let with_status = |word: &str, http| {
        let problem = Problem {
            status: word.to_owned(),
            ..Problem::default()
        };
        Class::of(&problem, status(http)).0
    };

    assert_eq!(with_reason("SERVICE_DISABLED"), Class::Config);
    assert_eq!(with_reason("ACCESS_TOKEN_SCOPE_INSUFFICIENT"), Class::Auth);
    assert_eq!(with_reason("SOMETHING_NEW"), Class::Permission);
    assert_eq!(with_status("UNAUTHENTICATED", 401), Class::Auth);
    assert_eq!(with_status("UNAVAILABLE", 503), Class::Transient);
    assert_eq!(with_status("NOT_FOUND", 404), Class::Rejected);
    assert_eq!(with_status("", 502), Class::Transient);
}

#[test]
fn a_body_that_is_no_json_says_nothing_of_tokens() {
    let of = |http| Class::of_unreadable(status(http));

    assert_eq!(of(401), Class::Rejected);
    assert_eq!(of(404), Class::Rejected);
    assert_eq!(of(429), Class::Rate(Quota::Short));
    assert_eq!(of(502), Class::Transient);
    assert_eq!(of(200), Class::Transient);
}

#[test]
fn the_longest_wait_that_is_asked_for_is_told() {
    let mut slow = fault("quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED");
    slow.retry_delay = Some(Duration::from_secs(5));
    let problem = Problem {
        faults: vec![slow, fault("quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED")],
        retry_delay: Some(Duration::from_secs(2)),
        ..Problem::default()
    };

    let (class, delay) = Class::of(&problem, status(429));

    assert_eq!(class, Class::Rate(Quota::Short));
    assert_eq!(delay, Some(Duration::from_secs(5)));
}
