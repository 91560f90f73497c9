//! Carries prepared statements to servers that do not know them. Between two rounds a pooler in transaction mode may
//! give a connection another server, so what prepares a statement goes, without a name, in the same round as its use.
//! The driver asks twice, once to prepare and once to run, so statements without a name would not do by themselves:
//! another connection's may stand there by the time of the second.

use std::collections::{HashMap, VecDeque};

const PARSE: u8 = b'P';
const BIND: u8 = b'B';
const DESCRIBE: u8 = b'D';
const CLOSE: u8 = b'C';
const SYNC: u8 = b'S';
const QUERY: u8 = b'Q';
/// What is described or closed: a statement.
const STATEMENT: u8 = b'S';
/// Most statements that were prepared and not used yet. The driver uses one as soon as it is prepared, and never mentions
/// again one that was refused.
const UNUSED: usize = 32;

/// What a client has prepared. What it uses leaves when it closes it, so that grows no larger than the client's own memory
/// of it; what it never uses makes room.
#[derive(Debug, Default)]
pub(super) struct Carrier {
    /// By the client's name for it: the message that prepares it without one.
    prepared: HashMap<Vec<u8>, Vec<u8>>,
    /// The names of those that were not used yet, oldest first.
    unused: VecDeque<Vec<u8>>,
    /// What the server was brought in this round.
    at_hand: Option<Vec<u8>>,
}

impl Carrier {
    /// Appends what the server gets in place of a client's message.
    pub(super) fn pass(&mut self, kind: u8, body: &[u8], out: &mut Vec<u8>) {
        let carried = match kind {
            PARSE => self.prepare(body, out),
            BIND => self.bind(body, out),
            DESCRIBE => self.describe(body, out),
            CLOSE => self.close(body, out),
            _ => None,
        };
        if carried.is_none() {
            write(kind, &[body], out);
        }
        if matches!(kind, SYNC | QUERY) {
            self.at_hand = None;
        }
    }

    fn prepare(&mut self, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (name, text_and_types) = text(body)?;
        let mut message = Vec::new();
        write(PARSE, &[&[0], text_and_types], &mut message);
        out.extend_from_slice(&message);
        self.strike_unused(name);
        if self.unused.len() >= UNUSED
            && let Some(oldest) = self.unused.pop_front()
        {
            self.prepared.remove(&oldest);
        }
        self.unused.push_back(name.to_vec());
        self.prepared.insert(name.to_vec(), message);
        self.at_hand = Some(name.to_vec());
        Some(())
    }

    fn bind(&mut self, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let (portal, rest) = text(body)?;
        let (name, values) = text(rest)?;
        self.bring(name, out)?;
        self.strike_unused(name);
        write(BIND, &[portal, &[0, 0], values], out);
        Some(())
    }

    fn describe(&mut self, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        self.bring(statement(body)?, out)?;
        write(DESCRIBE, &[&[STATEMENT, 0]], out);
        Some(())
    }

    fn close(&mut self, body: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let name = statement(body)?;
        self.prepared.remove(name)?;
        self.strike_unused(name);
        self.at_hand = None;
        write(CLOSE, &[&[STATEMENT, 0]], out);
        Some(())
    }

    fn strike_unused(&mut self, name: &[u8]) {
        self.unused.retain(|unused| unused != name);
    }

    /// Prepares a statement unless this round did so last; `None` for one that nobody prepared.
    fn bring(&mut self, name: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let message = self.prepared.get(name)?;
        if self.at_hand.as_deref() != Some(name) {
            out.extend_from_slice(message);
            self.at_hand = Some(name.to_vec());
        }
        Some(())
    }
}

/// A text that ends with a zero, and what follows it.
pub(super) fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

/// The name of the statement that is described or closed; `None` for a portal.
fn statement(body: &[u8]) -> Option<&[u8]> {
    let (what, name) = body.split_first()?;
    (*what == STATEMENT).then_some(text(name)?.0)
}

fn write(kind: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length = 4 + parts.iter().map(|part| part.len()).sum::<usize>();
    let length = u32::try_from(length).expect("the bridge reads no message of 1 GiB or more");
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reaches the server, as kinds and bodies.
    fn passed(carrier: &mut Carrier, messages: &[(u8, &[u8])]) -> Vec<(char, String)> {
        let mut out = Vec::new();
        for (kind, body) in messages {
            carrier.pass(*kind, body, &mut out);
        }
        let mut read = Vec::new();
        let mut rest = &out[..];
        while let [kind, a, b, c, d, after @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize - 4;
            let body = String::from_utf8(after[..length].to_vec()).expect("tests speak text");
            read.push((char::from(*kind), body.replace('\0', "|")));
            rest = &after[length..];
        }
        read
    }

    fn sent(kind: char, body: &str) -> (char, String) {
        (kind, body.to_owned())
    }

    const PREPARE_ONE: (u8, &[u8]) = (PARSE, b"one\0SELECT 1\0");
    const PREPARE_TWO: (u8, &[u8]) = (PARSE, b"two\0SELECT 2\0");
    const DESCRIBE_ONE: (u8, &[u8]) = (DESCRIBE, b"Sone\0");
    const RUN_ONE: (u8, &[u8]) = (BIND, b"portal\0one\0values");
    const RUN_TWO: (u8, &[u8]) = (BIND, b"\0two\0");
    const END: (u8, &[u8]) = (SYNC, b"");

    #[test]
    fn what_was_prepared_goes_along_with_every_use_of_it() {
        let mut carrier = Carrier::default();

        let prepared = passed(&mut carrier, &[PREPARE_ONE, DESCRIBE_ONE, END]);
        let runs = [
            passed(&mut carrier, &[RUN_ONE, END]),
            passed(&mut carrier, &[RUN_ONE, END]),
        ];

        let end = sent('S', "");
        let text = sent('P', "|SELECT 1|");
        assert_eq!(prepared, [text.clone(), sent('D', "S|"), end.clone()]);
        for run in runs {
            let expected = [text.clone(), sent('B', "portal||values"), end.clone()];
            assert_eq!(run, expected);
        }
    }

    #[test]
    fn a_round_that_prepares_and_runs_prepares_once() {
        let mut carrier = Carrier::default();

        let round = passed(&mut carrier, &[PREPARE_ONE, RUN_ONE, RUN_ONE, END]);

        let kinds: String = round.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, "PBBS");
    }

    // Fails when what another statement left at hand is taken for the one that is run.
    #[test]
    fn each_statement_gets_its_own_text() {
        let mut carrier = Carrier::default();
        passed(&mut carrier, &[PREPARE_ONE, END, PREPARE_TWO, END]);

        let round = passed(&mut carrier, &[RUN_ONE, RUN_TWO, RUN_ONE, END]);

        let texts: Vec<&str> = round
            .iter()
            .filter(|(kind, _)| *kind == 'P')
            .map(|(_, body)| body.as_str())
            .collect();
        assert_eq!(texts, ["|SELECT 1|", "|SELECT 2|", "|SELECT 1|"]);
    }

    // Fails when a statement sent as text, which empties the nameless place, is forgotten.
    #[test]
    fn a_statement_sent_as_text_ends_what_is_at_hand() {
        let mut carrier = Carrier::default();

        let round = passed(&mut carrier, &[PREPARE_ONE, (QUERY, b"BEGIN\0"), RUN_ONE]);

        let kinds: String = round.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, "PQPB");
    }

    #[test]
    fn what_was_closed_or_never_prepared_is_the_servers_to_refuse() {
        let mut carrier = Carrier::default();
        passed(&mut carrier, &[PREPARE_ONE, END]);

        let closed = passed(&mut carrier, &[(CLOSE, b"Sone\0"), END]);
        let refused = passed(&mut carrier, &[RUN_ONE, RUN_TWO]);

        assert_eq!(closed[0], sent('C', "S|"));
        assert_eq!(
            refused,
            [sent('B', "portal|one|values"), sent('B', "|two|")]
        );
    }

    // Fails when a statement that the server refuses, which its client never mentions again, is kept for as long as the
    // connection lives; or when those push out one that is in use.
    #[test]
    fn what_is_never_used_makes_room_and_what_is_used_stays() {
        let mut carrier = Carrier::default();
        passed(&mut carrier, &[PREPARE_ONE, END, RUN_ONE, END]);

        for number in 0..UNUSED * 3 {
            let refused = format!("refused_{number}\0SELECT nothing\0");
            passed(&mut carrier, &[(PARSE, refused.as_bytes()), END]);
        }
        let round = passed(&mut carrier, &[RUN_ONE, END]);

        assert_eq!(carrier.prepared.len(), UNUSED + 1);
        assert_eq!(round[0], sent('P', "|SELECT 1|"));
    }

    #[test]
    fn everything_else_and_what_is_malformed_passes_as_it_is() {
        let mut carrier = Carrier::default();

        let round = passed(
            &mut carrier,
            &[
                (b'X', b""),
                (PARSE, b"endless"),
                (CLOSE, b"Pportal\0"),
                (DESCRIBE, b""),
            ],
        );

        let expected = [
            sent('X', ""),
            sent('P', "endless"),
            sent('C', "Pportal|"),
            sent('D', ""),
        ];
        assert_eq!(round, expected);
    }
}
