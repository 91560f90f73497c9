//! The header `Authorization: OAuth …`.

use super::base;

/// The parameters of the header, decoded.
pub(in crate::x) struct Header(Vec<(String, String)>);

impl Header {
    /// `None` for what is no such header, or names something twice.
    pub(in crate::x) fn read(text: &str) -> Option<Self> {
        let mut params: Vec<(String, String)> = Vec::new();
        for part in text.strip_prefix("OAuth ")?.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            let value = value.strip_prefix('"')?.strip_suffix('"')?;
            let (name, value) = (base::decode(name)?, base::decode(value)?);
            if params.iter().any(|(known, _)| *known == name) {
                return None;
            }
            params.push((name, value));
        }
        Some(Self(params))
    }

    /// The parameter of that name.
    pub(in crate::x) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Those that are signed: all but the signature and the realm.
    pub(super) fn signed(&self) -> impl Iterator<Item = (String, String)> {
        let signed = |(name, _): &&(String, String)| name != "oauth_signature" && name != "realm";
        self.0.iter().filter(signed).cloned()
    }
}
