//! What opens, what does not, and what is said of keys that cannot be used.

use secrecy::SecretString;

use super::*;

const OLD: &str = "2025:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const NEW: &str = "2026:ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100";

fn cipher(list: &str) -> Cipher {
    Cipher::read(&SecretString::from(list)).expect("the keys are sound")
}

fn problems(list: &str) -> Vec<KeyProblem> {
    match Cipher::read(&SecretString::from(list)) {
        Ok(_) => Vec::new(),
        Err(KeysError(problems)) => problems,
    }
}

fn place(column: &'static str) -> SealedPlace {
    SealedPlace::new("marketing.connections", Uuid::from_u128(7), column)
}

// Fails when the nonce is not drawn anew, or what is stored shows the plain text.
#[test]
fn what_was_sealed_opens_in_its_place_and_is_never_sealed_alike() {
    let cipher = cipher(OLD);
    let here = place("access_token");

    let first = cipher.seal(b"fake-token", &here);
    let second = cipher.seal(b"fake-token", &here);

    assert_eq!(
        cipher.open(&first, &here).expect("it opens").as_slice(),
        b"fake-token"
    );
    assert_ne!(first, second);
    assert!(!first.windows(10).any(|part| part == b"fake-token"));
    let empty = cipher.seal(b"", &here);
    assert!(
        cipher
            .open(&empty, &here)
            .is_ok_and(|plain| plain.is_empty())
    );
}

// Fails when the row, the table or the column is left out of what the tag covers.
#[test]
fn a_value_that_was_moved_does_not_open() {
    let cipher = cipher(OLD);
    let sealed = cipher.seal(b"fake-token", &place("access_token"));
    let tampered = CipherError::Tampered {
        id: "2025".to_owned(),
    };

    for elsewhere in [
        place("refresh_token"),
        SealedPlace::new("marketing.connections", Uuid::from_u128(8), "access_token"),
        SealedPlace::new("marketing.oauth_states", Uuid::from_u128(7), "access_token"),
    ] {
        let opened = cipher.open(&sealed, &elsewhere);

        assert_eq!(opened, Err(tampered.clone()), "{}", elsewhere.as_str());
    }
}

#[test]
fn a_value_of_which_one_bit_was_changed_does_not_open() {
    let cipher = cipher(OLD);
    let here = place("access_token");
    let sealed = cipher.seal(b"fake-token", &here);

    for byte in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[byte] ^= 1;

        assert!(cipher.open(&changed, &here).is_err(), "byte {byte}");
    }
    for length in 0..sealed.len() {
        assert!(
            cipher.open(&sealed[..length], &here).is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn a_key_that_is_missing_is_named_and_told_apart_from_a_wrong_one() {
    let sealed = cipher(OLD).seal(b"fake-token", &place("access_token"));
    let same_id = NEW.replace("2026:", "2025:");

    let missing = cipher(NEW).open(&sealed, &place("access_token"));
    let wrong = cipher(&same_id).open(&sealed, &place("access_token"));
    let foreign = cipher(NEW).open(b"plain text", &place("access_token"));

    let id = || "2025".to_owned();
    assert_eq!(missing, Err(CipherError::UnknownKey { id: id() }));
    assert_eq!(wrong, Err(CipherError::Tampered { id: id() }));
    assert_eq!(foreign, Err(CipherError::NotSealed));
}

// Fails when anything but the first key seals, or when an older one does not open any more.
#[test]
fn the_first_key_seals_and_all_of_them_open() {
    let before = cipher(OLD);
    let after = cipher(&format!("{NEW}, {OLD}"));
    let here = place("access_token");

    let old = before.seal(b"old", &here);
    let new = after.seal(b"new", &here);

    assert!(after.open(&old, &here).is_ok_and(|plain| *plain == b"old"));
    assert_eq!(Cipher::key_id_of(&new), Ok("2026"));
    assert!(after.is_newest(&new) && !after.is_newest(&old));
    assert_eq!(after.key_ids().collect::<Vec<_>>(), ["2026", "2025"]);
}

#[test]
fn an_envelope_names_its_form_and_its_key() {
    let sealed = cipher(OLD).seal(b"abc", &place("access_token"));

    assert_eq!(sealed[..6], *b"\x01\x042025");
    assert_eq!(sealed.len(), 6 + NONCE_BYTES + 3 + TAG_BYTES);
}

// Fails when a list is refused at its first fault, or taken with one.
#[test]
fn everything_that_is_wrong_with_a_list_of_keys_is_told_at_once() {
    let zeros = "0".repeat(64);
    let list = format!(
        "{OLD},a:{zeros},{},b:12,c:{},{}: {OLD}",
        "d".repeat(64),
        "g".repeat(64),
        "e".repeat(64),
    );

    assert_eq!(
        problems(&list),
        [
            KeyProblem::Zeros { place: 2 },
            KeyProblem::NoId { place: 3 },
            KeyProblem::WrongLength {
                place: 4,
                digits: 2
            },
            KeyProblem::NotHex { place: 5 },
            KeyProblem::BadId { place: 6 },
        ]
    );
    assert_eq!(
        problems(&format!("{OLD},{OLD}")),
        [
            KeyProblem::SameId {
                first: 1,
                second: 2
            },
            KeyProblem::SameKey {
                first: 1,
                second: 2
            },
        ]
    );
    assert_eq!(problems(" , "), [KeyProblem::Empty]);
    assert_eq!(
        problems(&OLD[..OLD.len() - 1]),
        [KeyProblem::WrongLength {
            place: 1,
            digits: 63
        }]
    );
}

#[test]
fn what_is_said_of_keys_repeats_nothing_of_them() {
    let digits = &NEW[5..];

    for list in [
        digits.to_owned(),
        format!("{digits}:2026"),
        format!("a:{digits}0"),
        format!("a:{digits},b:{digits}"),
        format!("{digits}:{digits}"),
    ] {
        let refused = Cipher::read(&SecretString::from(list.as_str())).err();

        let told = refused.expect("it cannot be used").to_string();
        assert!(!told.contains(&digits[..8]), "{told}");
    }
}
