-- Why: providers' quotas, which every worker of the fleet draws on. The rows of this file are the one truth; processes
-- lease small chunks of them, so that a call seldom touches the database, and what a crashed one had leased counts as
-- used. The release before this one keeps no count of its calls.

-- A budget of one account, or of a provider as a whole. Whoever changes what is left of it holds its row.
CREATE TABLE millpond.budgets (
    name           text NOT NULL,
    -- '' is the provider as a whole; '-' stands for calls that name no account where each account has a budget.
    account        text NOT NULL,
    -- Under the rate: when all calls so far will have had their time.
    free_at        timestamptz,
    -- Nothing is called until then. For '' that holds for every account.
    paused_until   timestamptz,
    pause_reason   text,
    -- What the provider said last: the share that is used, the calls that are left, and how long that means something.
    used_share     double precision,
    remaining      bigint,
    told_until     timestamptz,
    -- Until then there is nothing for jobs of ordinary priority. It is known once somebody asked in vain or took the last.
    dry_until      timestamptz,
    dry_detail     text,
    -- Whether there is nothing for urgent jobs either.
    dry_for_urgent boolean,
    -- The limits under which it is dry: under others it may not be.
    dry_under      text,
    asked_at       timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT budgets_pkey PRIMARY KEY (name, account),
    CONSTRAINT budgets_pause CHECK ((paused_until IS NULL) = (pause_reason IS NULL)),
    CONSTRAINT budgets_told CHECK ((told_until IS NULL) = (used_share IS NULL AND remaining IS NULL)),
    CONSTRAINT budgets_dry CHECK ((dry_until IS NULL) = (dry_detail IS NULL)
                                  AND (dry_until IS NULL) = (dry_for_urgent IS NULL)
                                  AND (dry_until IS NULL) = (dry_under IS NULL))
) WITH (fillfactor = 50);
-- What the gate of claims looks for. Rows are in it seldom, so that most changes touch no index.
CREATE INDEX budgets_stopped ON millpond.budgets (name, account)
    WHERE paused_until IS NOT NULL OR dry_until IS NOT NULL;

-- Calls that count against a day, by the five minutes in which they were leased.
CREATE TABLE millpond.budget_usage (
    name    text NOT NULL,
    account text NOT NULL,
    slot    timestamptz NOT NULL,
    used    bigint NOT NULL,
    CONSTRAINT budget_usage_pkey PRIMARY KEY (name, account, slot),
    CONSTRAINT budget_usage_used CHECK (used >= 0)
) WITH (fillfactor = 50);
CREATE INDEX budget_usage_slot ON millpond.budget_usage (slot);

-- Which processes draw on a budget, and how many calls each may have in flight: places that it holds by a lease, so that a
-- crash frees them.
CREATE TABLE millpond.budget_holders (
    name        text NOT NULL,
    account     text NOT NULL,
    -- Random, new at every start of a process.
    holder      uuid NOT NULL,
    places      integer NOT NULL,
    -- Until when it counts as one that waits for a place.
    waits_until timestamptz,
    expires_at  timestamptz NOT NULL,
    CONSTRAINT budget_holders_pkey PRIMARY KEY (name, account, holder),
    CONSTRAINT budget_holders_places CHECK (places >= 0)
) WITH (fillfactor = 50);

-- Budgets from which no call can be made now for a job of ordinary priority: of one account, or of all where it is NULL.
CREATE OR REPLACE VIEW millpond.dry_budgets (budget, account, until, detail, for_urgent) AS
    SELECT name, NULLIF(account, ''), paused_until, pause_reason, true
      FROM millpond.budgets WHERE paused_until > now()
     UNION ALL
    SELECT name, NULLIF(account, ''), dry_until, dry_detail, dry_for_urgent
      FROM millpond.budgets WHERE dry_until > now();
