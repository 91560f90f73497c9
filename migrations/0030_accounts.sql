-- Why: accounts at ad platforms, and the grants by which they are reached. Tokens lie here sealed and nowhere else in any
-- form; what became of an account is kept. Beside that, a held account may be let go by time alone, and an account has a budget
-- that its jobs draw on: claims heed it without knowing what a platform is.

-- NULL: until somebody lets it go. The release before this one reads over the end and keeps such jobs until the leader
-- has taken the ended hold away, a minute later.
ALTER TABLE millpond.holds ADD COLUMN until timestamptz;

-- The budget that jobs of an account draw on where their kind names none. The release before this one starts such jobs
-- whatever is left of it.
CREATE TABLE millpond.account_budgets (
    account text NOT NULL,
    budget  text NOT NULL,
    CONSTRAINT account_budgets_pkey PRIMARY KEY (account)
);

-- Accounts of whose jobs, where their kinds name no budget, those of this priority and all behind it are not to start now:
-- they are held, or their budget is dry, which keeps urgent jobs (0 and 1) only where nothing is left for those either. It is
-- NULL where nothing keeps any. To be asked for one account: it joins nothing, so that no setting of a session makes a hash
-- of all, and finds each of the two rows that there may be by its own key, however many others are dry.
CREATE VIEW millpond.stopped_accounts (account, from_priority) AS
    SELECT account, 0 FROM millpond.holds WHERE until IS NULL OR until > now()
     UNION ALL
    SELECT a.account, (SELECT min(CASE WHEN b.paused_until > now() OR b.dry_for_urgent THEN 0 ELSE 2 END)
                         FROM (SELECT paused_until, dry_until, dry_for_urgent
                                 FROM millpond.budgets WHERE name = a.budget AND account = ''
                                UNION ALL
                               SELECT paused_until, dry_until, dry_for_urgent
                                 FROM millpond.budgets WHERE name = a.budget AND account = a.account) AS b
                        WHERE b.paused_until > now() OR b.dry_until > now())
      FROM millpond.account_budgets a;

-- One grant: what a person gave us access with.
CREATE TABLE marketing.connections (
    id                     uuid PRIMARY KEY,
    platform               text NOT NULL,
    -- '' where it belongs to no tenant.
    tenant                 text NOT NULL,
    -- The platform's id of whoever gave access, where it is known.
    subject                text,
    scopes                 text[] NOT NULL DEFAULT '{}',
    status                 text NOT NULL DEFAULT 'active',
    -- The manager account through which access is given (Google Ads).
    manager                text,
    -- Given for all that it reaches: what is found later is switched on. Else only what was named is.
    for_all                boolean NOT NULL DEFAULT true,
    owner_email            text,
    -- What the owner wants to hear of; what is missing is wanted.
    notifications          jsonb NOT NULL DEFAULT '{}',
    -- Sealed, each for marketing.connections:id:column.
    access_token           bytea,
    refresh_token          bytea,
    token_secret           bytea,
    -- Grows with every change of the tokens; whoever changes them, or says that they are spent, names the one he saw.
    token_version          bigint NOT NULL DEFAULT 1,
    expires_at             timestamptz,
    refresh_expires_at     timestamptz,
    -- When the right to the data ends although the token lives on (Meta).
    data_access_expires_at timestamptz,
    refreshed_at           timestamptz NOT NULL DEFAULT now(),
    -- Which end the owner was told of.
    warned_of              timestamptz,
    -- Who refreshes the tokens, and from when on somebody else may. No transaction waits for a platform.
    refresher              uuid,
    refresher_until        timestamptz,
    -- When its accounts were listed last, to the end of the list.
    discovered_at          timestamptz,
    created_at             timestamptz NOT NULL DEFAULT now(),
    updated_at             timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT connections_platform CHECK (platform IN ('meta', 'google_ads', 'linkedin', 'tiktok', 'x')),
    CONSTRAINT connections_status CHECK (status IN ('active', 'expiring', 'needs_reauth', 'disconnected')),
    -- What is disconnected has no secret left.
    CONSTRAINT connections_secrets CHECK (CASE status WHEN 'disconnected'
        THEN num_nonnulls(access_token, refresh_token, token_secret) = 0 ELSE access_token IS NOT NULL END),
    CONSTRAINT connections_refresher CHECK ((refresher IS NULL) = (refresher_until IS NULL))
);
CREATE UNIQUE INDEX connections_subject ON marketing.connections (tenant, platform, subject) WHERE subject IS NOT NULL;

-- What a grant reaches. The text of the id is the key of millpond.holds.
CREATE TABLE marketing.accounts (
    id                uuid PRIMARY KEY,
    connection        uuid NOT NULL,
    -- As of the connection.
    platform          text NOT NULL,
    tenant            text NOT NULL,
    -- The platform's id, without prefixes.
    external_id       text NOT NULL,
    kind              text NOT NULL,
    name              text NOT NULL,
    currency          text,
    time_zone         text,
    manager           text,
    -- What the platform calls its state.
    platform_status   text,
    status            text NOT NULL DEFAULT 'active',
    status_changed_at timestamptz NOT NULL DEFAULT now(),
    sync_enabled      boolean NOT NULL DEFAULT true,
    discovered_at     timestamptz NOT NULL DEFAULT now(),
    -- Since when the grant does not reach it any more.
    vanished_at       timestamptz,
    updated_at        timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT accounts_connection FOREIGN KEY (connection) REFERENCES marketing.connections (id),
    CONSTRAINT accounts_external UNIQUE (tenant, platform, external_id, kind),
    CONSTRAINT accounts_kind CHECK (kind IN ('ad_account', 'page', 'instagram_account', 'business')),
    CONSTRAINT accounts_status CHECK (status IN ('active', 'expiring', 'needs_reauth', 'disconnected'))
);
CREATE INDEX accounts_of_connection ON marketing.accounts (connection);

CREATE TABLE marketing.account_history (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account uuid NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    actor   text NOT NULL,
    -- NULL: it was not known before.
    was     text,
    became  text NOT NULL,
    reason  text NOT NULL,
    CONSTRAINT account_history_account_fkey FOREIGN KEY (account) REFERENCES marketing.accounts (id)
);
CREATE INDEX account_history_account ON marketing.account_history (account, id);

-- People who are away at a platform, to give access there. Each row is used once.
CREATE TABLE marketing.oauth_states (
    id          uuid PRIMARY KEY,
    -- SHA-256: what lies here opens no door.
    state_hash  bytea NOT NULL,
    platform    text NOT NULL,
    tenant      text NOT NULL,
    -- The PKCE verifier, sealed for marketing.oauth_states:id:verifier.
    verifier    bytea NOT NULL,
    return_to   text,
    owner_email text,
    actor       text NOT NULL,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT oauth_states_hash UNIQUE (state_hash)
);
CREATE INDEX oauth_states_expiry ON marketing.oauth_states (expires_at);

-- What a platform asked us to delete of a person, for the page on which that person sees that it was done. Nothing here
-- says who it was.
CREATE TABLE marketing.data_deletions (
    code         text PRIMARY KEY,
    platform     text NOT NULL,
    connections  integer NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now()
);
