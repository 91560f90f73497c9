//! What a client's line asks for.

use crate::faults::SmtpStep;

/// Longest address: RFC 5321's path.
const MOST_ADDRESS_BYTES: usize = 254;

/// A command that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// EHLO, or HELO for a client that knows no extensions.
    Hello {
        extended: bool,
    },
    StartTls,
    Auth {
        mechanism: String,
        /// The first answer, when the client sends it along.
        initial: Option<String>,
    },
    Mail {
        /// Empty for a bounce.
        from: String,
        /// How long the client says the mail will be.
        size_bytes: Option<u64>,
    },
    Rcpt {
        to: String,
    },
    Data,
    Reset,
    Noop,
    Verify,
    Quit,
}

/// A refusal: code and text.
pub(super) type Refused = (u16, &'static str);

const SYNTAX: Refused = (501, "5.5.4 syntax error in parameters");

impl Command {
    /// Reads a line.
    ///
    /// # Errors
    /// The reply to what was not understood.
    pub(super) fn parse(line: &[u8]) -> Result<Self, Refused> {
        let line = std::str::from_utf8(line).map_err(|_| (500, "5.5.2 not a command"))?;
        let line = line.trim_end();
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        match (verb.to_ascii_uppercase().as_str(), rest.is_empty()) {
            ("EHLO", false) => Ok(Self::Hello { extended: true }),
            ("HELO", false) => Ok(Self::Hello { extended: false }),
            ("STARTTLS", true) => Ok(Self::StartTls),
            ("AUTH", false) => Ok(parse_auth(rest)),
            ("MAIL", false) => parse_mail(rest),
            ("RCPT", false) => parse_rcpt(rest),
            ("DATA", true) => Ok(Self::Data),
            ("RSET", true) => Ok(Self::Reset),
            ("NOOP", _) => Ok(Self::Noop),
            ("VRFY", false) => Ok(Self::Verify),
            ("QUIT", true) => Ok(Self::Quit),
            (
                "EHLO" | "HELO" | "STARTTLS" | "AUTH" | "MAIL" | "RCPT" | "DATA" | "RSET" | "VRFY"
                | "QUIT",
                _,
            ) => Err(SYNTAX),
            _ => Err((500, "5.5.2 not a command")),
        }
    }

    /// The step at which a fault may strike it.
    pub(super) fn step(&self) -> Option<SmtpStep> {
        match self {
            Self::Hello { .. } => Some(SmtpStep::Ehlo),
            Self::Auth { .. } => Some(SmtpStep::Auth),
            Self::Mail { .. } => Some(SmtpStep::Mail),
            Self::Rcpt { .. } => Some(SmtpStep::Rcpt),
            Self::Data => Some(SmtpStep::Data),
            Self::StartTls | Self::Reset | Self::Noop | Self::Verify | Self::Quit => None,
        }
    }
}

fn parse_auth(rest: &str) -> Command {
    let (mechanism, initial) = match rest.split_once(' ') {
        Some((mechanism, initial)) => (mechanism, Some(initial.trim().to_owned())),
        None => (rest, None),
    };
    Command::Auth {
        mechanism: mechanism.to_ascii_uppercase(),
        initial,
    }
}

fn parse_mail(rest: &str) -> Result<Command, Refused> {
    let (from, params) = parse_path(rest, "FROM:")?;
    let mut size_bytes = None;
    for param in params.split_ascii_whitespace() {
        let (name, value) = param.split_once('=').unwrap_or((param, ""));
        match name.to_ascii_uppercase().as_str() {
            "SIZE" => size_bytes = Some(value.parse().map_err(|_| SYNTAX)?),
            "BODY" if matches!(value.to_ascii_uppercase().as_str(), "7BIT" | "8BITMIME") => {}
            // Whom a relay vouches for; we are none.
            "AUTH" => {}
            _ => return Err((555, "5.5.4 unknown parameter")),
        }
    }
    Ok(Command::Mail { from, size_bytes })
}

fn parse_rcpt(rest: &str) -> Result<Command, Refused> {
    let (to, params) = parse_path(rest, "TO:")?;
    if to.is_empty() {
        return Err(SYNTAX);
    }
    if !params.trim().is_empty() {
        return Err((555, "5.5.4 unknown parameter"));
    }
    Ok(Command::Rcpt { to })
}

/// Reads `FROM:<address> parameters`.
fn parse_path<'l>(rest: &'l str, label: &str) -> Result<(String, &'l str), Refused> {
    let labelled = rest
        .get(..label.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(label));
    if !labelled {
        return Err(SYNTAX);
    }
    let path = rest[label.len()..]
        .trim_start()
        .strip_prefix('<')
        .ok_or(SYNTAX)?;
    let end = closing_bracket(path).ok_or(SYNTAX)?;
    let (address, params) = (&path[..end], &path[end + 1..]);
    if !params.is_empty() && !params.starts_with(' ') {
        return Err(SYNTAX);
    }
    if !address.is_ascii() {
        return Err((553, "5.6.7 addresses outside ASCII are not supported"));
    }
    if address.len() > MOST_ADDRESS_BYTES || address.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(SYNTAX);
    }
    let is_address = address
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if !address.is_empty() && !is_address {
        return Err((553, "5.1.3 not an address"));
    }
    Ok((address.to_owned(), params))
}

/// The `>` that ends a path; one inside quotes does not.
fn closing_bracket(path: &str) -> Option<usize> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (index, byte) in path.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'>' if !is_quoted => return Some(index),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_and_parameters_may_be_in_any_case() {
        let mail = Command::parse(b"mail from:<a@example.com> size=10 body=8bitmime");

        let from = "a@example.com".to_owned();
        assert_eq!(
            mail,
            Ok(Command::Mail {
                from,
                size_bytes: Some(10)
            })
        );
    }

    #[test]
    fn a_bounce_has_no_sender_but_always_a_recipient() {
        let from = String::new();
        assert_eq!(
            Command::parse(b"MAIL FROM:<>"),
            Ok(Command::Mail {
                from,
                size_bytes: None
            }),
        );
        assert_eq!(Command::parse(b"RCPT TO:<>"), Err(SYNTAX));
    }

    #[test]
    fn a_bracket_inside_quotes_belongs_to_the_address() {
        let to = r#""a>b\"c"@example.com"#;

        let rcpt = Command::parse(format!("RCPT TO:<{to}>").as_bytes());

        assert_eq!(rcpt, Ok(Command::Rcpt { to: to.to_owned() }));
    }

    #[test]
    fn what_is_no_command_is_refused() {
        let refused: [(&[u8], u16); 12] = [
            (b"HELP", 500),
            (b"", 500),
            (b"\xff\xfe", 500),
            (b"EHLO", 501),
            (b"DATA now", 501),
            (b"MAIL FROM:a@example.com", 501),
            (b"MAIL TO:<a@example.com>", 501),
            (b"MAIL FROM:<a@example.com", 501),
            (b"MAIL FROM:<a@example.com> SIZE=x", 501),
            (b"MAIL FROM:<a@example.com> SMTPUTF8", 555),
            (b"RCPT TO:<nobody>", 553),
            ("RCPT TO:<ü@example.com>".as_bytes(), 553),
        ];
        for (line, code) in refused {
            let answer = Command::parse(line).map_err(|(code, _)| code);

            assert_eq!(answer, Err(code), "{}", String::from_utf8_lossy(line));
        }
    }
}
