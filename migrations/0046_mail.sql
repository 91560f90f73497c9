-- Why: whoever gets mails of a sort may end them by one click, without an account here. Receipts of mails grow, and are deleted
-- when no business key is likely to come again. The release before this one asks for none of it.

-- Who wants no more mails of a sort. It stays until an owner's preferences turn the sort on again: a person who said no once is
-- not asked again.
CREATE TABLE marketing.mail_optouts (
    -- '' where it belongs to no tenant.
    tenant  text NOT NULL,
    -- SHA-256 of the address in lower case: the address itself is nobody's to read here.
    address bytea NOT NULL,
    topic   text NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mail_optouts_pkey PRIMARY KEY (tenant, address, topic),
    CONSTRAINT mail_optouts_topic CHECK (topic IN ('token_expiry', 'sync_errors', 'alerts', 'digest'))
);

CREATE INDEX email_sends_by_start ON marketing.email_sends (begun_at);
