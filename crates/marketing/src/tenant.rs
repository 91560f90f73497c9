//! A tenant as it is stored: no tenant is an empty one, so that names can be unique in it.

/// As it is stored.
pub(crate) fn stored_tenant(tenant: Option<&str>) -> &str {
    tenant.unwrap_or_default()
}

/// As others see it.
pub(crate) fn shown_tenant(tenant: String) -> Option<String> {
    (!tenant.is_empty()).then_some(tenant)
}
