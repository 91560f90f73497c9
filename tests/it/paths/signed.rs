//! Requests as Meta signs them, made by other means than those that check them: the database computes the hashes.

use serde_json::json;
use sqlx::PgConnection;

use super::encoding::base64url;
use crate::harness::World;

/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// Who signs, about whom, and how long ago.
#[derive(Clone, Copy)]
pub(super) struct Signed<'a> {
    pub(super) secret: &'a str,
    pub(super) user: &'a str,
    pub(super) ago_s: i64,
}

impl Signed<'_> {
    /// The form that Meta posts.
    pub(super) async fn form(self, world: &World) -> anyhow::Result<String> {
        let mut db = world.sql().await?;
        let now: i64 = sqlx::query_scalar("SELECT extract(epoch FROM now())::bigint")
            .fetch_one(&mut db)
            .await?;
        let payload = json!({
            "algorithm": "HMAC-SHA256", "user_id": self.user, "issued_at": now.saturating_sub(self.ago_s),
        });
        let payload = base64url(payload.to_string().as_bytes());
        let signature = hmac(&mut db, self.secret.as_bytes(), payload.as_bytes()).await?;
        let signature = base64url(&signature);
        Ok(format!("signed_request={signature}.{payload}"))
    }
}

/// HMAC-SHA256 (RFC 2104), for keys no longer than a block.
async fn hmac(db: &mut PgConnection, key: &[u8], message: &[u8]) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(key.len() <= BLOCK, "the key is hashed first then");
    let padded = |with: u8| {
        let bytes = key.iter().copied().chain(std::iter::repeat(0)).take(BLOCK);
        bytes.map(move |byte| byte ^ with).collect::<Vec<u8>>()
    };
    let inner = sha256(&mut *db, [padded(0x36), message.to_vec()].concat()).await?;
    sha256(db, [padded(0x5c), inner].concat()).await
}

async fn sha256(db: &mut PgConnection, bytes: Vec<u8>) -> anyhow::Result<Vec<u8>> {
    Ok(sqlx::query_scalar("SELECT sha256($1)")
        .bind(bytes)
        .fetch_one(db)
        .await?)
}
