-- Why: what platforms tell of their own accord. An event is stored, with a job for each account that it is about, by the one
-- statement that its answer waits for; what becomes of it is the job's. Platforms send events more than once and in any
-- order, so each has a key that it is known by, and what is made of it is told by its id. The release before this one
-- writes and reads none of it.

-- Who an event is about is found by the platform's id, whatever tenant it belongs to.
CREATE INDEX accounts_by_external_id ON marketing.accounts (external_id);
CREATE INDEX connections_by_subject ON marketing.connections (subject) WHERE subject IS NOT NULL;

CREATE TABLE marketing.inbound_events (
    id          uuid PRIMARY KEY,
    provider    text NOT NULL,
    -- The same for each copy of an event.
    dedupe_key  text COLLATE "C" NOT NULL,
    -- What it is about: the platform's words, '' where it does not say.
    object      text NOT NULL,
    entry_id    text NOT NULL,
    field       text NOT NULL,
    -- As it was sent, with what this release does not know of. Not jsonb: that has no place for the character U+0000.
    value       json NOT NULL,
    -- By the platform's clock.
    sent_at     timestamptz,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbound_events_once UNIQUE (provider, dedupe_key)
);
CREATE INDEX inbound_events_received ON marketing.inbound_events (received_at);

CREATE TABLE marketing.leads (
    id          uuid PRIMARY KEY,
    -- The Page's.
    account     uuid NOT NULL,
    -- The account's, which never changes: lists of a tenant are found by it.
    tenant      text NOT NULL,
    -- The platform's ids, and its word for where the form was shown.
    lead_id     text COLLATE "C" NOT NULL,
    form_id     text COLLATE "C",
    ad_id       text,
    ad_name     text,
    ad_set_id   text,
    campaign_id text,
    shown_on    text,
    is_organic  boolean,
    -- At the platform.
    created_at  timestamptz NOT NULL,
    -- What the person answered and all else the platform tells, as JSON, sealed for marketing.leads:id:answers.
    answers     bytea NOT NULL,
    -- Whether an event told of it, or it was found by looking.
    source      text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    -- When its owner was told of it, or was not to be: it is older than the account is connected.
    told_at     timestamptz,
    CONSTRAINT leads_account FOREIGN KEY (account) REFERENCES marketing.accounts (id),
    CONSTRAINT leads_once UNIQUE (account, lead_id),
    CONSTRAINT leads_source CHECK (source IN ('webhook', 'catch_up'))
);
CREATE INDEX leads_of_account ON marketing.leads (account, id);
CREATE INDEX leads_of_tenant ON marketing.leads (tenant, id);
CREATE INDEX leads_of_form ON marketing.leads (form_id, id) WHERE form_id IS NOT NULL;
CREATE INDEX leads_received ON marketing.leads (received_at);

-- Leads of people who wanted to be forgotten: the platform goes on telling of them for 90 days, and none may come back.
CREATE TABLE marketing.forgotten_leads (
    account uuid NOT NULL,
    lead_id text COLLATE "C" NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT forgotten_leads_pkey PRIMARY KEY (account, lead_id)
);

-- Comments, reactions, posts, mentions and messages. What was taken away stays, without what it said, so that news of it
-- that come later do not bring it back.
CREATE TABLE marketing.social_engagements (
    account     uuid NOT NULL,
    kind        text COLLATE "C" NOT NULL,
    -- The platform's; a reaction has none and is known by what it is to and whose it is.
    id          text COLLATE "C" NOT NULL,
    post_id     text,
    parent_id   text,
    author_id   text,
    author_name text,
    -- The account's own.
    is_own      boolean NOT NULL,
    text        text,
    text_at     timestamptz,
    -- like, love, haha, wow, sad, angry or care.
    reaction    text,
    is_hidden   boolean NOT NULL,
    hidden_at   timestamptz,
    created_at  timestamptz,
    -- When the last event of it was sent; beside them when the last one was that told the text, or whether it is hidden.
    changed_at  timestamptz NOT NULL,
    removed_at  timestamptz,
    first_seen  timestamptz NOT NULL DEFAULT now(),
    -- What that event said, with what this release does not know of.
    raw         json NOT NULL,
    CONSTRAINT social_engagements_pkey PRIMARY KEY (account, kind, id),
    CONSTRAINT social_engagements_kind CHECK (kind IN ('comment', 'reaction', 'post', 'mention', 'message'))
);
CREATE INDEX social_engagements_first_seen ON marketing.social_engagements (first_seen);

-- Pages that events are asked for, and up to when all their leads have been read.
CREATE TABLE marketing.page_subscriptions (
    account       uuid PRIMARY KEY,
    -- NULL: the platform was not asked with success yet.
    subscribed_at timestamptz,
    leads_read_to timestamptz,
    CONSTRAINT page_subscriptions_account FOREIGN KEY (account) REFERENCES marketing.accounts (id)
);
