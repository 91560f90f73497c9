//! The dialogue about one mail, in two steps: until the server is ready for the mail nothing can have been received;
//! from its first byte on anything may have been.

use lettre::{
    address::Envelope,
    transport::smtp::{
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt},
        extension::{Extension, MailBodyParameter, MailParameter},
        response::Response,
    },
};

use super::{PROVIDER, replies};
use crate::error::{Detail, Error};

/// Names sender and recipients and asks to begin. A recipient that is refused ends it: all get the mail, or none.
///
/// # Errors
/// What the server's reply means.
pub(super) async fn announce(
    smtp: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    bytes: &[u8],
) -> Result<(), Error> {
    let failed = |error| replies::failure(error, false);
    let parameters = parameters(smtp, envelope, bytes)?;
    smtp.command(Mail::new(envelope.from().cloned(), parameters))
        .await
        .map_err(failed)?;
    for recipient in envelope.to() {
        smtp.command(Rcpt::new(recipient.clone(), Vec::new()))
            .await
            .map_err(failed)?;
    }
    smtp.command(Data).await.map_err(failed)?;
    Ok(())
}

/// Sends the mail; the reply to its end is the one that counts.
///
/// # Errors
/// What the server's reply, or its silence, means.
pub(super) async fn transmit(
    smtp: &mut AsyncSmtpConnection,
    bytes: &[u8],
) -> Result<Response, Error> {
    smtp.message(bytes)
        .await
        .map_err(|error| replies::failure(error, true))
}

/// What the server must know of a mail with letters outside ASCII in its addresses. Everything else is encoded.
fn parameters(
    smtp: &AsyncSmtpConnection,
    envelope: &Envelope,
    bytes: &[u8],
) -> Result<Vec<MailParameter>, Error> {
    let is_ascii = envelope
        .to()
        .iter()
        .chain(envelope.from())
        .all(|address| address.to_string().is_ascii());
    if is_ascii && bytes.is_ascii() {
        return Ok(Vec::new());
    }
    let takes_all_letters = [Extension::SmtpUtfEight, Extension::EightBitMime]
        .into_iter()
        .all(|extension| smtp.server_info().supports_feature(extension));
    if !takes_all_letters {
        return Err(Error::Rejected {
            detail: Detail::new(
                PROVIDER,
                "the mail server takes no addresses outside ASCII",
                &[],
            ),
        });
    }
    Ok(vec![
        MailParameter::SmtpUtfEight,
        MailParameter::Body(MailBodyParameter::EightBitMime),
    ])
}
