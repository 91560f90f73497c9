//! `openapi.json`: each operation is registered once, with its handler, its documentation and the scope it needs, so
//! that none of the three can be told differently from the others.

use std::collections::BTreeMap;

use axum::{
    Router,
    handler::Handler,
    middleware::from_fn_with_state,
    routing::{MethodFilter, MethodRouter, on},
};
use bytes::Bytes;
use serde_json::json;
use utoipa::{
    __dev::SchemaReferences,
    PartialSchema, Path, ToSchema,
    openapi::{
        Components, Content, ContentBuilder, HttpMethod, Info, OpenApi, Paths, Ref, RefOr,
        ResponseBuilder, Schema, SecurityRequirement,
        path::Operation,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{
    auth::{Access, Scope, admit},
    problem::{FieldProblem, PROBLEM_JSON, ProblemDocument, ProblemKind},
    state::ApiState,
};

const SCOPE: &str = "x-millpond-scope";
const BOUND_KEYS: &str = "x-millpond-tenant-keys";
const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";
const ABOUT: &str = "Durable jobs over HTTP. Every refusal is a problem document (RFC 9457); `/docs/problems` explains \
    each. Every operation says in `x-millpond-scope` which scope its key must hold; `admin` opens all of them. Keys that \
    are bound to a tenant see and make that tenant's things alone.";

/// The operations of the API.
pub(crate) struct Operations {
    state: ApiState,
    router: Router<ApiState>,
    paths: Paths,
    schemas: Vec<(String, RefOr<Schema>)>,
    tag: &'static str,
}

impl Operations {
    /// None yet.
    pub(crate) fn new(state: &ApiState) -> Self {
        Self {
            state: state.clone(),
            router: Router::new(),
            paths: Paths::new(),
            schemas: Vec::new(),
            tag: "",
        }
    }

    /// Names the resource that the next operations belong to.
    pub(crate) fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// Adds an operation that needs no key.
    pub(crate) fn public<P, H, T>(self, docs: P, handler: H) -> Self
    where
        P: Path + SchemaReferences,
        H: Handler<T, ApiState>,
        T: 'static,
    {
        self.add(docs, None, handler)
    }

    /// Adds an operation for keys with this scope; those bound to a tenant see and touch that tenant's things.
    pub(crate) fn key<P, H, T>(self, scope: Scope, docs: P, handler: H) -> Self
    where
        P: Path + SchemaReferences,
        H: Handler<T, ApiState>,
        T: 'static,
    {
        self.add(
            docs,
            Some(Access {
                scope,
                is_fleet_wide: false,
            }),
            handler,
        )
    }

    /// Adds an operation that reaches beyond one tenant: for keys with this scope that are bound to none.
    pub(crate) fn fleet_key<P, H, T>(self, scope: Scope, docs: P, handler: H) -> Self
    where
        P: Path + SchemaReferences,
        H: Handler<T, ApiState>,
        T: 'static,
    {
        self.add(
            docs,
            Some(Access {
                scope,
                is_fleet_wide: true,
            }),
            handler,
        )
    }

    fn add<P, H, T>(mut self, _docs: P, access: Option<Access>, handler: H) -> Self
    where
        P: Path + SchemaReferences,
        H: Handler<T, ApiState>,
        T: 'static,
    {
        let (path, methods) = (P::path(), P::methods());
        P::schemas(&mut self.schemas);
        self.paths.add_path_operation(
            &path,
            methods.clone(),
            described(P::operation(), &path, self.tag, access),
        );

        let mut route: MethodRouter<ApiState> = on(filter(&methods), handler);
        if let Some(access) = access {
            route = route.route_layer(from_fn_with_state((self.state.clone(), access), admit));
        }
        self.router = self.router.route(&path, route);
        self
    }

    /// The router, and the document that describes it.
    pub(crate) fn finish(self) -> (Router<ApiState>, Bytes) {
        let mut document = OpenApi::new(
            Info::new("Millpond", self.state.settings().version),
            self.paths,
        );
        document.info.description = Some(ABOUT.to_owned());
        document.components = Some(components(self.schemas));
        let text = document
            .to_json()
            .expect("a document of texts can be written as JSON");
        (self.router, Bytes::from(text))
    }
}

fn filter(methods: &[HttpMethod]) -> MethodFilter {
    let filters = methods.iter().map(|method| match method {
        HttpMethod::Get => MethodFilter::GET,
        HttpMethod::Post => MethodFilter::POST,
        HttpMethod::Put => MethodFilter::PUT,
        HttpMethod::Delete => MethodFilter::DELETE,
        HttpMethod::Options => MethodFilter::OPTIONS,
        HttpMethod::Head => MethodFilter::HEAD,
        HttpMethod::Patch => MethodFilter::PATCH,
        HttpMethod::Trace => MethodFilter::TRACE,
    });
    filters
        .reduce(MethodFilter::or)
        .expect("utoipa lets no operation be without a method")
}

/// Adds what all operations of a sort have in common.
fn described(mut operation: Operation, path: &str, tag: &str, access: Option<Access>) -> Operation {
    operation.tags = Some(vec![tag.to_owned()]);
    let extensions = operation.extensions.get_or_insert_default();
    match access {
        None => {
            extensions.insert(SCOPE.to_owned(), json!("none"));
            operation.security = Some(Vec::new());
        }
        Some(access) => {
            extensions.insert(SCOPE.to_owned(), json!(access.scope.as_str()));
            extensions.insert(BOUND_KEYS.to_owned(), json!(!access.is_fleet_wide));
            let no_scopes: [&str; 0] = [];
            operation.security = Some(vec![
                SecurityRequirement::new(BEARER, no_scopes),
                SecurityRequirement::new(API_KEY, no_scopes),
            ]);
        }
    }
    for kind in refusals(&operation, path, access.is_some()) {
        let code = kind.status().as_u16().to_string();
        let response = || {
            ResponseBuilder::new()
                .description(kind.title())
                .build()
                .into()
        };
        operation
            .responses
            .responses
            .entry(code)
            .or_insert_with(response);
    }
    for (code, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && code.starts_with(['4', '5'])
        {
            response.content.insert(PROBLEM_JSON.to_owned(), problem());
        }
    }
    operation
}

/// The refusals that an operation can meet beside those it names itself.
fn refusals(operation: &Operation, path: &str, needs_key: bool) -> Vec<ProblemKind> {
    let mut kinds = vec![ProblemKind::Internal];
    if needs_key {
        kinds.extend([
            ProblemKind::MalformedRequest,
            ProblemKind::Unauthenticated,
            ProblemKind::Forbidden,
            ProblemKind::RateLimited,
            ProblemKind::Unavailable,
        ]);
    }
    if path.contains('{') {
        kinds.push(ProblemKind::NotFound);
    }
    if operation.request_body.is_some() {
        kinds.extend([
            ProblemKind::BodyTimedOut,
            ProblemKind::TooLarge,
            ProblemKind::MediaType,
            ProblemKind::Invalid,
        ]);
    }
    kinds
}

fn problem() -> Content {
    ContentBuilder::new()
        .schema(Some(Ref::from_schema_name(ProblemDocument::name())))
        .build()
}

fn components(schemas: Vec<(String, RefOr<Schema>)>) -> Components {
    let mut by_name: BTreeMap<String, RefOr<Schema>> = schemas.into_iter().collect();
    by_name.insert(
        ProblemDocument::name().into_owned(),
        ProblemDocument::schema(),
    );
    by_name.insert(FieldProblem::name().into_owned(), FieldProblem::schema());

    let mut components = Components::new();
    components.schemas = by_name;
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, `mp_…`."))
        .build();
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer));
    let api_key = ApiKeyValue::with_description("X-API-Key", "An API key, `mp_…`.");
    components.add_security_scheme(API_KEY, SecurityScheme::ApiKey(ApiKey::Header(api_key)));
    components
}
