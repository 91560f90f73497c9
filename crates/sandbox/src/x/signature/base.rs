//! The base string: the method, the address and all parameters, encoded in one way and sorted.

/// The base string of a call to an address without its query. Parameters are decoded.
pub(super) fn string(method: &str, url: &str, params: &[(String, String)]) -> String {
    let mut pairs: Vec<_> = params
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort_unstable();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    format!("{method}&{}&{}", encode(url), encode(&pairs.join("&")))
}

/// The parameters of a query, decoded. `None` unless each is sent exactly as it is signed: with `:`
/// as `%3A`, `,` as `%2C` and a space as `%20`.
pub(super) fn sent_as_signed(query: &str) -> Option<Vec<(String, String)>> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode_strictly(name)?, decode_strictly(value)?))
        })
        .collect()
}

fn decode_strictly(sent: &str) -> Option<String> {
    decode(sent).filter(|text| encode(text) == sent)
}

/// RFC 3986: everything but letters, digits and `-._~` becomes `%XX`.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte));
            }
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// The other way round; a plus stays a plus. `None` for what is no encoded text.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let mut decoded = [0];
        hex::decode_to_slice(digits, &mut decoded).ok()?;
        bytes.extend(decoded);
    }
    String::from_utf8(bytes).ok()
}
