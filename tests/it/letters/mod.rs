//! Mails that are sent by themselves, how they are ended, and how they look before anybody gets one.

mod digest;
mod previews;
