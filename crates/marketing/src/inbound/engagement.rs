//! What people say and do at Pages and Instagram accounts. Events come in any order: the newest counts, and what was taken
//! away does not come back.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use sqlx::Connection as _;

use super::{
    Inbound, InboundEvent,
    events::{id_of, time_of},
};
use crate::{
    accounts::{AccountId, AccountsError},
    store::{
        Session,
        social_engagements::{self, EngagementRow},
        within_deadline,
    },
    sync::storable,
};

/// Events that are sent together bear one time: what is added is added before it is changed or taken away.
const AFTER_ADDING: TimeDelta = TimeDelta::milliseconds(1);

/// What sort of engagement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngagementKind {
    /// A comment, or an answer to one.
    Comment,
    /// A like and its kin.
    Reaction,
    /// Something that was posted at the Page.
    Post,
    /// The account was named somewhere.
    Mention,
    /// A message to the account or from it.
    Message,
}

impl EngagementKind {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Comment => "comment",
            Self::Reaction => "reaction",
            Self::Post => "post",
            Self::Mention => "mention",
            Self::Message => "message",
        }
    }
}

/// What one event tells of an engagement. No `Debug`: it is about a person.
#[derive(Clone, PartialEq)]
pub struct Engagement {
    /// Its sort.
    pub kind: EngagementKind,
    /// What it is known by within its account and sort.
    pub id: String,
    /// The post that it belongs to.
    pub post_id: Option<String>,
    /// What it answers.
    pub parent_id: Option<String>,
    /// Who it is, by the platform's id; platforms do not always tell.
    pub author_id: Option<String>,
    /// The author's name.
    pub author_name: Option<String>,
    /// The account itself has said or done it.
    pub is_own: bool,
    /// What was said.
    pub text: Option<String>,
    /// The platform's word for a reaction.
    pub reaction: Option<String>,
    /// Whether it is hidden, where the event says it.
    pub is_hidden: Option<bool>,
    /// When it was made.
    pub created_at: Option<DateTime<Utc>>,
    /// When the event was sent, which orders events.
    pub changed_at: DateTime<Utc>,
    /// It was taken away.
    pub is_removed: bool,
    /// What the event says.
    pub raw: Value,
}

impl Engagement {
    /// What an event of a Page or an Instagram account tells; `None` where it is no engagement that is known.
    pub(super) fn of(event: &InboundEvent) -> Option<Self> {
        match (event.object.as_str(), event.field.as_str()) {
            ("page", "feed") => Self::of_feed(event),
            (_, "messaging" | "standby") => Self::of_message(event),
            ("instagram", "comments" | "live_comments") => {
                let text = |name: &str| text(&event.value, name);
                Some(Self {
                    post_id: event.value.pointer("/media/id").and_then(id_of),
                    parent_id: event.value.get("parent_id").and_then(id_of),
                    author_name: event.value.pointer("/from/username").and_then(word),
                    text: text("text"),
                    ..Self::new(
                        EngagementKind::Comment,
                        event.value.get("id").and_then(id_of)?,
                        event,
                    )
                })
            }
            (_, "mention" | "mentions") => {
                let id = |name: &str| event.value.get(name).and_then(id_of);
                let post_id = id("post_id").or_else(|| id("media_id"));
                let known_by = id("comment_id").or_else(|| post_id.clone())?;
                Some(Self {
                    post_id,
                    text: text(&event.value, "message"),
                    ..Self::new(EngagementKind::Mention, known_by, event)
                })
            }
            _ => None,
        }
    }

    fn of_feed(event: &InboundEvent) -> Option<Self> {
        let value = &event.value;
        let id = |name: &str| value.get(name).and_then(id_of);
        let item = value.get("item")?.as_str()?;
        let verb = value.get("verb")?.as_str()?;
        let (kind, known_by) = match item {
            "comment" => (EngagementKind::Comment, id("comment_id")?),
            // Whoever reacts differently takes the first reaction away by it: one a person and thing.
            "reaction" | "like" => {
                let to = id("comment_id").or_else(|| id("post_id"))?;
                let whose = value.pointer("/from/id").and_then(id_of)?;
                (EngagementKind::Reaction, format!("{to}:{whose}"))
            }
            "post" | "status" | "photo" | "video" | "share" => {
                (EngagementKind::Post, id("post_id")?)
            }
            _ => return None,
        };
        let reaction = match kind {
            EngagementKind::Reaction => {
                Some(text(value, "reaction_type").unwrap_or_else(|| "like".to_owned()))
            }
            _ => None,
        };
        let told = Self::new(kind, known_by, event);
        Some(Self {
            post_id: id("post_id"),
            parent_id: id("parent_id"),
            text: text(value, "message"),
            reaction,
            is_hidden: match verb {
                "hide" => Some(true),
                "unhide" => Some(false),
                _ => None,
            },
            created_at: value.get("created_time").and_then(time_of),
            is_removed: verb == "remove",
            changed_at: told.changed_at
                + if verb == "add" {
                    TimeDelta::zero()
                } else {
                    AFTER_ADDING
                },
            ..told
        })
    }

    fn of_message(event: &InboundEvent) -> Option<Self> {
        let message = event.value.get("message")?;
        let sent_at = event.value.get("timestamp").and_then(time_of);
        let author_id = event.value.pointer("/sender/id").and_then(id_of);
        let engagement = Self::new(
            EngagementKind::Message,
            message.get("mid").and_then(id_of)?,
            event,
        );
        Some(Self {
            is_own: author_id.as_ref() == Some(&event.entry_id),
            author_id,
            text: text(message, "text"),
            is_removed: message.get("is_deleted").and_then(Value::as_bool) == Some(true),
            created_at: sent_at,
            changed_at: sent_at.unwrap_or(engagement.changed_at),
            ..engagement
        })
    }

    fn new(kind: EngagementKind, known_by: String, event: &InboundEvent) -> Self {
        let author_id = event.value.pointer("/from/id").and_then(id_of);
        Self {
            kind,
            id: storable::text(&known_by).into_owned(),
            post_id: None,
            parent_id: None,
            is_own: author_id.as_ref() == Some(&event.entry_id),
            author_id,
            author_name: event.value.pointer("/from/name").and_then(word),
            text: None,
            reaction: None,
            is_hidden: None,
            created_at: None,
            changed_at: event.sent_at.unwrap_or(event.received_at),
            is_removed: false,
            raw: event.value.clone(),
        }
    }

    /// The engagement as it stands once this is known too, whichever came first.
    fn joined(self, known: Option<EngagementRow>) -> EngagementRow {
        let Some(known) = known else {
            return self.first();
        };
        let is_newer = self.changed_at > known.changed_at
            || (self.changed_at == known.changed_at && self.is_removed);
        let removed_at = self.is_removed.then_some(self.changed_at);
        let removed_at = match self.kind {
            // A reaction may be given again.
            EngagementKind::Reaction if is_newer => removed_at,
            EngagementKind::Reaction => known.removed_at,
            _ => known.removed_at.or(removed_at),
        };
        // Each of what events tell has a time of its own: a comment may be hidden before news come that it was changed before.
        let says_more = self.text.is_some() && known.text_at.is_none_or(|at| at <= self.changed_at);
        let (text, text_at) = if says_more {
            (self.text, Some(self.changed_at))
        } else {
            (known.text, known.text_at)
        };
        let (is_hidden, hidden_at) = match self.is_hidden {
            Some(is_hidden) if known.hidden_at.is_none_or(|at| at <= self.changed_at) => {
                (is_hidden, Some(self.changed_at))
            }
            _ => (known.is_hidden, known.hidden_at),
        };
        let newer = |now: Option<String>, before: Option<String>| {
            if is_newer {
                now.or(before)
            } else {
                before.or(now)
            }
        };
        let is_gone = removed_at.is_some();
        EngagementRow {
            post_id: newer(self.post_id, known.post_id),
            parent_id: newer(self.parent_id, known.parent_id),
            author_id: newer(self.author_id, known.author_id),
            author_name: newer(self.author_name, known.author_name),
            is_own: self.is_own || known.is_own,
            text: text.filter(|_| !is_gone),
            text_at,
            reaction: newer(self.reaction, known.reaction),
            is_hidden,
            hidden_at,
            created_at: known.created_at.or(self.created_at),
            changed_at: known.changed_at.max(self.changed_at),
            removed_at,
            // What says that it was taken away does not say what it was.
            raw: if is_gone != self.is_removed || !(is_newer || is_gone) {
                known.raw
            } else {
                self.raw.to_string()
            },
        }
    }

    fn first(self) -> EngagementRow {
        EngagementRow {
            post_id: self.post_id,
            parent_id: self.parent_id,
            author_id: self.author_id,
            author_name: self.author_name,
            is_own: self.is_own,
            text_at: self.text.as_ref().map(|_| self.changed_at),
            text: self.text.filter(|_| !self.is_removed),
            reaction: self.reaction,
            is_hidden: self.is_hidden.unwrap_or(false),
            hidden_at: self.is_hidden.map(|_| self.changed_at),
            created_at: self.created_at,
            changed_at: self.changed_at,
            removed_at: self.is_removed.then_some(self.changed_at),
            raw: self.raw.to_string(),
        }
    }
}

impl Inbound {
    /// Stores what an event tells of an engagement. Safe to repeat, and in any order.
    ///
    /// # Errors
    /// When the database did not take part.
    pub async fn engaged(
        &self,
        account: AccountId,
        engagement: Engagement,
    ) -> Result<(), AccountsError> {
        let db = self.0.db();
        let stored = within_deadline(async {
            let mut session = Session::open(&db).await?;
            let mut tx = session.connection().begin().await?;
            let (kind, id) = (engagement.kind.as_str(), engagement.id.clone());
            let key = (account.0, kind, id.as_str());
            // Whoever comes first makes the row; whoever waited for it finds it there.
            let first = engagement.clone().first();
            if !social_engagements::make(&mut *tx, key, &first).await? {
                let known = social_engagements::locked(&mut *tx, key).await?;
                let joined = engagement.joined(known);
                social_engagements::change(&mut *tx, key, &joined).await?;
            }
            tx.commit().await?;
            session.done();
            Ok(())
        });
        Ok(stored.await?)
    }
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name).and_then(word)
}

fn word(value: &Value) -> Option<String> {
    value.as_str().map(|text| storable::text(text).into_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::inbound::InboundEventId;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_763_640_000 + seconds, 0).expect("a time")
    }

    fn event(object: &str, field: &str, (value, seconds): (Value, i64)) -> InboundEvent {
        InboundEvent {
            id: InboundEventId(Uuid::nil()),
            object: object.to_owned(),
            entry_id: "1".to_owned(),
            field: field.to_owned(),
            value,
            sent_at: Some(at(seconds)),
            received_at: at(1_000),
        }
    }

    fn comment(verb: &str, text: Option<&str>, seconds: i64) -> Engagement {
        let value = json!({"item": "comment", "verb": verb, "comment_id": "1_2", "post_id": "1_1", "message": text,
                           "from": {"id": "3", "name": "Fake Person"}});
        Engagement::of(&event("page", "feed", (value, seconds))).expect("an engagement")
    }

    fn reaction(verb: &str, sort: &str, seconds: i64) -> Engagement {
        let value = json!({"item": "reaction", "verb": verb, "reaction_type": sort, "post_id": "1_1", "from": {"id": "3"}});
        Engagement::of(&event("page", "feed", (value, seconds))).expect("an engagement")
    }

    fn in_order(events: &[&Engagement]) -> EngagementRow {
        let mut known = None;
        for event in events {
            known = Some((*event).clone().joined(known));
        }
        known.expect("there are events")
    }

    // Fails when the order in which events come decides how a comment stands.
    #[test]
    fn a_comment_stands_alike_in_whatever_order_its_events_come() {
        let (add, edit) = (
            comment("add", Some("caf\u{e9}?"), 0),
            comment("edited", Some("tea?"), 5),
        );
        let hide = comment("hide", None, 9);

        for order in [
            [&add, &edit, &hide],
            [&add, &hide, &edit],
            [&edit, &add, &hide],
            [&edit, &hide, &add],
            [&hide, &add, &edit],
            [&hide, &edit, &add],
        ] {
            let stands = in_order(&order);
            assert_eq!(stands.text.as_deref(), Some("tea?"));
            assert!(stands.removed_at.is_none() && stands.is_hidden);
            assert_eq!(stands.changed_at, at(9) + AFTER_ADDING);
        }
    }

    #[test]
    fn of_events_that_are_sent_together_the_addition_is_the_first() {
        let (add, edit) = (
            comment("add", Some("a"), 0),
            comment("edited", Some("b"), 0),
        );
        let (like, gone) = (reaction("add", "like", 0), reaction("remove", "like", 0));

        for order in [[&add, &edit], [&edit, &add]] {
            assert_eq!(in_order(&order).text.as_deref(), Some("b"));
        }
        for order in [[&like, &gone], [&gone, &like]] {
            assert!(in_order(&order).removed_at.is_some());
        }
    }

    // Fails when a comment that was taken away comes back, or what it said stays.
    #[test]
    fn a_comment_that_was_taken_away_does_not_come_back() {
        let (add, remove) = (
            comment("add", Some("secret"), 7),
            comment("remove", None, 3),
        );

        for order in [[&add, &remove], [&remove, &add]] {
            let stands = in_order(&order);
            assert!(stands.removed_at.is_some());
            assert_eq!(stands.text, None);
            assert!(!stands.raw.contains("secret"), "{}", stands.raw);
        }
    }

    #[test]
    fn a_reaction_stands_as_it_was_given_last() {
        let (like, gone, love) = (
            reaction("add", "like", 0),
            reaction("remove", "like", 1),
            reaction("add", "love", 2),
        );

        for order in [
            [&like, &gone, &love],
            [&love, &gone, &like],
            [&gone, &love, &like],
        ] {
            let stands = in_order(&order);
            assert_eq!(stands.reaction.as_deref(), Some("love"));
            assert_eq!(stands.removed_at, None);
        }
        assert!(in_order(&[&gone, &like]).removed_at.is_some());
    }

    #[test]
    fn instagram_and_messages_are_told_in_their_own_forms() {
        let of_instagram = json!({"id": "179", "text": "nice", "from": {"id": "1", "username": "me"}, "media": {"id": "178"}});
        let message = json!({"sender": {"id": "3"}, "recipient": {"id": "1"}, "timestamp": 1_763_640_000_123_i64,
                             "message": {"mid": "m_1", "text": "hi"}});

        let comment = Engagement::of(&event("instagram", "comments", (of_instagram, 0)));
        let message = Engagement::of(&event("page", "messaging", (message, 50)));

        let comment = comment.expect("a comment");
        assert_eq!(
            (comment.post_id.as_deref(), comment.text.as_deref()),
            (Some("178"), Some("nice"))
        );
        assert!(comment.is_own && comment.author_name.as_deref() == Some("me"));
        let message = message.expect("a message");
        assert_eq!(
            (message.id.as_str(), message.author_id.as_deref()),
            ("m_1", Some("3"))
        );
        assert!(!message.is_own && message.changed_at < at(1));
    }

    #[test]
    fn what_is_no_engagement_is_none() {
        for value in [
            json!({}),
            json!({"item": "event", "verb": "add"}),
            json!({"item": "comment", "verb": "add"}),
            json!(7),
        ] {
            assert!(Engagement::of(&event("page", "feed", (value, 0))).is_none());
        }
    }
}
