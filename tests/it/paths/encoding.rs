//! Bytes in the forms in which texts carry them.

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// As hexadecimal digits, small ones.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As base64 without padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    in_alphabet(bytes, STANDARD)
}

/// As base64 for URLs, without padding.
pub(super) fn base64url(bytes: &[u8]) -> String {
    in_alphabet(bytes, URL_SAFE)
}

fn in_alphabet(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let mut bits = 0_usize;
        for place in 0..3 {
            bits = (bits << 8) | usize::from(group.get(place).copied().unwrap_or(0));
        }
        for place in 0..=group.len() {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(alphabet[digit]));
        }
    }
    text
}

#[test]
fn bytes_are_encoded_as_the_rfc_says() {
    // RFC 4648, section 10.
    for (bytes, text) in [
        ("", ""),
        ("f", "Zg"),
        ("fo", "Zm8"),
        ("foo", "Zm9v"),
        ("foobar", "Zm9vYmFy"),
    ] {
        assert_eq!(base64(bytes.as_bytes()), text);
    }
    assert_eq!(base64(&[0xfb, 0xff]), "+/8");
    assert_eq!(base64url(&[0xfb, 0xff]), "-_8");
    assert_eq!(hex(&[0x0a, 0xff]), "0aff");
}
