//! Everything that lies sealed in schema `marketing`, for whoever looks whether it opens and seals it anew.

use sqlx::{PgExecutor, types::Uuid};

use super::connections::SealedTokens;

/// The sealed tokens of a grant.
pub(crate) struct TokensRow {
    pub(crate) id: Uuid,
    access_token: Option<Vec<u8>>,
    refresh_token: Option<Vec<u8>>,
    token_secret: Option<Vec<u8>>,
}

impl TokensRow {
    pub(crate) fn tokens(self) -> SealedTokens {
        SealedTokens {
            access_token: self.access_token,
            refresh_token: self.refresh_token,
            token_secret: self.token_secret,
        }
    }
}

/// Up to 200 grants with tokens, behind one.
pub(crate) async fn tokens_after(
    db: impl PgExecutor<'_>,
    after: Uuid,
) -> Result<Vec<TokensRow>, sqlx::Error> {
    sqlx::query_as!(
        TokensRow,
        "SELECT id, access_token, refresh_token, token_secret FROM marketing.connections
          WHERE id > $1 AND status <> 'disconnected' ORDER BY id LIMIT 200",
        after,
    )
    .fetch_all(db)
    .await
}

/// Puts tokens that were sealed anew in the place of the same tokens; `false` where they are other ones by now.
pub(crate) async fn reseal_tokens(
    db: impl PgExecutor<'_>,
    id: Uuid,
    old: &SealedTokens,
    new: &SealedTokens,
) -> Result<bool, sqlx::Error> {
    let resealed = sqlx::query!(
        "UPDATE marketing.connections SET access_token = $5, refresh_token = $6, token_secret = $7
          WHERE id = $1
            AND access_token IS NOT DISTINCT FROM $2
            AND refresh_token IS NOT DISTINCT FROM $3
            AND token_secret IS NOT DISTINCT FROM $4",
        id,
        old.access_token.as_deref(),
        old.refresh_token.as_deref(),
        old.token_secret.as_deref(),
        new.access_token.as_deref(),
        new.refresh_token.as_deref(),
        new.token_secret.as_deref(),
    )
    .execute(db)
    .await?;
    Ok(resealed.rows_affected() == 1)
}

/// A row with one sealed value.
pub(crate) struct SingleRow {
    pub(crate) id: Uuid,
    pub(crate) sealed: Vec<u8>,
}

/// Up to 200 verifiers of people who are away at a platform that are still wanted, behind one.
pub(crate) async fn verifiers_after(
    db: impl PgExecutor<'_>,
    after: Uuid,
) -> Result<Vec<SingleRow>, sqlx::Error> {
    sqlx::query_as!(
        SingleRow,
        "SELECT id, verifier AS sealed FROM marketing.oauth_states WHERE id > $1 AND expires_at > now() ORDER BY id LIMIT 200",
        after,
    )
    .fetch_all(db)
    .await
}

/// Up to 200 secrets of endpoints that have not ended, behind one.
pub(crate) async fn secrets_after(
    db: impl PgExecutor<'_>,
    after: Uuid,
) -> Result<Vec<SingleRow>, sqlx::Error> {
    sqlx::query_as!(
        SingleRow,
        "SELECT id, secret AS sealed FROM marketing.webhook_secrets
          WHERE id > $1 AND (expires_at IS NULL OR expires_at > now()) ORDER BY id LIMIT 200",
        after,
    )
    .fetch_all(db)
    .await
}

/// Puts a secret that was sealed anew in the place of the same secret; `false` where it is gone by now.
pub(crate) async fn reseal_secret(
    db: impl PgExecutor<'_>,
    id: Uuid,
    old: &[u8],
    new: &[u8],
) -> Result<bool, sqlx::Error> {
    let resealed = sqlx::query!(
        "UPDATE marketing.webhook_secrets SET secret = $3 WHERE id = $1 AND secret = $2",
        id,
        old,
        new,
    )
    .execute(db)
    .await?;
    Ok(resealed.rows_affected() == 1)
}

/// Up to 200 leads, behind one.
pub(crate) async fn answers_after(
    db: impl PgExecutor<'_>,
    after: Uuid,
) -> Result<Vec<SingleRow>, sqlx::Error> {
    sqlx::query_as!(
        SingleRow,
        "SELECT id, answers AS sealed FROM marketing.leads WHERE id > $1 ORDER BY id LIMIT 200",
        after,
    )
    .fetch_all(db)
    .await
}

/// Puts answers that were sealed anew in the place of the same answers; `false` where they are other ones by now.
pub(crate) async fn reseal_answers(
    db: impl PgExecutor<'_>,
    id: Uuid,
    old: &[u8],
    new: &[u8],
) -> Result<bool, sqlx::Error> {
    let resealed = sqlx::query!(
        "UPDATE marketing.leads SET answers = $3 WHERE id = $1 AND answers = $2",
        id,
        old,
        new,
    )
    .execute(db)
    .await?;
    Ok(resealed.rows_affected() == 1)
}

/// The same for a verifier.
pub(crate) async fn reseal_verifier(
    db: impl PgExecutor<'_>,
    id: Uuid,
    old: &[u8],
    new: &[u8],
) -> Result<bool, sqlx::Error> {
    let resealed = sqlx::query!(
        "UPDATE marketing.oauth_states SET verifier = $3 WHERE id = $1 AND verifier = $2",
        id,
        old,
        new,
    )
    .execute(db)
    .await?;
    Ok(resealed.rows_affected() == 1)
}

/// How many values are sealed under a key.
pub(crate) struct KeyCount {
    /// The key's id; `None` where a value has no envelope of a form that this release knows.
    pub(crate) key_id: Option<String>,
    pub(crate) values: i64,
}

/// Under which keys values are sealed, read off their envelopes: the form, how long the key's id is, the id.
pub(crate) async fn keys_in_use(db: impl PgExecutor<'_>) -> Result<Vec<KeyCount>, sqlx::Error> {
    sqlx::query_as!(
        KeyCount,
        r#"SELECT CASE WHEN octet_length(sealed) > 2 AND get_byte(sealed, 0) = 1
                       THEN encode(substring(sealed FROM 3 FOR get_byte(sealed, 1)), 'escape') END AS key_id,
                  count(*) AS "values!"
             FROM (SELECT access_token AS sealed FROM marketing.connections
                   UNION ALL SELECT refresh_token FROM marketing.connections
                   UNION ALL SELECT token_secret FROM marketing.connections
                   UNION ALL SELECT secret FROM marketing.webhook_secrets WHERE expires_at IS NULL OR expires_at > now()
                   UNION ALL SELECT answers FROM marketing.leads
                   UNION ALL SELECT verifier FROM marketing.oauth_states WHERE expires_at > now()) AS everything
            WHERE sealed IS NOT NULL
            GROUP BY 1 ORDER BY 1"#
    )
    .fetch_all(db)
    .await
}
