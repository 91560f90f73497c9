-- Why: figures of hours become figures of days, days become months, and an account's entities become one row a day, so that
-- a year of many accounts is read in milliseconds. What has to be rolled up anew is marked in the transaction that changes
-- what it is rolled up from: nothing is rolled up twice for nothing, nothing that a platform restates is missed, and
-- whoever reads knows which rows are behind. The release before this one writes no marks of its own: triggers do.

-- Months by the account's clock: the sums of its days.
CREATE TABLE marketing.insights_monthly (
    account           uuid NOT NULL,
    level             text COLLATE "C" NOT NULL,
    -- Its first day.
    month             date NOT NULL,
    entity_id         text COLLATE "C" NOT NULL,
    breakdown         text COLLATE "C" NOT NULL DEFAULT '',
    breakdowns        text COLLATE "C" NOT NULL DEFAULT '',
    -- Of spend and revenue; '' where nobody says it. An account that changes its currency has two rows that month.
    currency          text COLLATE "C" NOT NULL,
    -- On how many days there were figures.
    days              smallint NOT NULL,
    impressions       bigint NOT NULL,
    clicks            bigint NOT NULL,
    link_clicks       bigint NOT NULL,
    views             bigint NOT NULL,
    likes             bigint NOT NULL,
    comments          bigint NOT NULL,
    shares            bigint NOT NULL,
    spend             numeric NOT NULL,
    conversions       numeric NOT NULL,
    revenue           numeric NOT NULL,
    leads             numeric NOT NULL,
    -- At the rate of each day; NULL where one is missing.
    reporting_spend   numeric,
    reporting_revenue numeric,
    rolled_at         timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT insights_monthly_pkey PRIMARY KEY (account, level, month, entity_id, breakdown, currency),
    CONSTRAINT insights_monthly_level CHECK (level IN ('account', 'campaign', 'ad_set', 'ad')),
    CONSTRAINT insights_monthly_month CHECK (extract(day FROM month) = 1)
) PARTITION BY RANGE (month);
SELECT marketing.make_insight_months('insights_monthly', now()::date, (now() + interval '2 months')::date);

-- What all entities of an account and level come to on a day, in one form for all platforms.
CREATE TABLE marketing.account_days (
    account           uuid NOT NULL,
    level             text COLLATE "C" NOT NULL,
    date              date NOT NULL,
    currency          text COLLATE "C" NOT NULL,
    -- How many entities there were figures of.
    entities          integer NOT NULL,
    impressions       bigint NOT NULL,
    clicks            bigint NOT NULL,
    link_clicks       bigint NOT NULL,
    views             bigint NOT NULL,
    likes             bigint NOT NULL,
    comments          bigint NOT NULL,
    shares            bigint NOT NULL,
    spend             numeric NOT NULL,
    conversions       numeric NOT NULL,
    revenue           numeric NOT NULL,
    leads             numeric NOT NULL,
    -- Of the one entity; NULL where there are several: people are not added up.
    reach             bigint,
    reporting_spend   numeric,
    reporting_revenue numeric,
    rolled_at         timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT account_days_pkey PRIMARY KEY (account, level, date, currency),
    CONSTRAINT account_days_level CHECK (level IN ('account', 'campaign', 'ad_set', 'ad'))
);

-- What is behind what it is rolled up from.
CREATE TABLE marketing.rollups_due (
    -- day: from hours. month: from days. account_day: from the days of entities.
    grain      text COLLATE "C" NOT NULL,
    account    uuid NOT NULL,
    level      text COLLATE "C" NOT NULL,
    breakdowns text COLLATE "C" NOT NULL DEFAULT '',
    -- The day, or the first day of the month.
    bucket     date NOT NULL,
    marked_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rollups_due_pkey PRIMARY KEY (grain, account, level, breakdowns, bucket),
    CONSTRAINT rollups_due_grain CHECK (grain IN ('day', 'month', 'account_day'))
) WITH (fillfactor = 85);

-- Marks what follows from days that were read. A mark that is there is written again, so that whoever is rolling it up at
-- this moment and has not seen these figures does not take it away.
CREATE FUNCTION marketing.mark_rollups() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO marketing.rollups_due AS due (grain, account, level, breakdowns, bucket)
    SELECT 'day', n.account, n.level, n.breakdowns, n.date
      FROM noted n WHERE n.granularity = 'hour' AND NOT n.pruned
     UNION
    SELECT 'month', n.account, n.level, n.breakdowns, date_trunc('month', n.date::timestamp)::date
      FROM noted n WHERE n.granularity = 'day'
     UNION
    SELECT 'account_day', n.account, n.level, '', n.date
      FROM noted n WHERE n.granularity = 'day' AND n.breakdowns = ''
     ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT ON CONSTRAINT rollups_due_pkey DO UPDATE SET marked_at = now();
    RETURN NULL;
END
$$;
CREATE TRIGGER insight_days_noted AFTER INSERT ON marketing.insight_days
    REFERENCING NEW TABLE AS noted FOR EACH STATEMENT EXECUTE FUNCTION marketing.mark_rollups();
CREATE TRIGGER insight_days_noted_again AFTER UPDATE ON marketing.insight_days
    REFERENCING NEW TABLE AS noted FOR EACH STATEMENT EXECUTE FUNCTION marketing.mark_rollups();

-- What was read before there were marks.
INSERT INTO marketing.rollups_due (grain, account, level, breakdowns, bucket)
SELECT 'day', d.account, d.level, d.breakdowns, d.date
  FROM marketing.insight_days d WHERE d.granularity = 'hour' AND NOT d.pruned
 UNION
SELECT 'month', d.account, d.level, d.breakdowns, date_trunc('month', d.date::timestamp)::date
  FROM marketing.insight_days d WHERE d.granularity = 'day'
 UNION
SELECT 'account_day', d.account, d.level, '', d.date
  FROM marketing.insight_days d WHERE d.granularity = 'day' AND d.breakdowns = '';

-- What one unit of a currency was worth in the reporting currency on a day, as operators load it.
CREATE TABLE marketing.rates (
    currency  text COLLATE "C" NOT NULL,
    day       date NOT NULL,
    rate      numeric NOT NULL,
    loaded_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT rates_pkey PRIMARY KEY (currency, day),
    CONSTRAINT rates_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT rates_rate CHECK (rate > 0)
);

-- Into which currency the rates lead: a row or none.
CREATE TABLE marketing.reporting (
    singleton boolean PRIMARY KEY DEFAULT true,
    currency  text NOT NULL,
    set_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reporting_singleton CHECK (singleton),
    CONSTRAINT reporting_currency CHECK (currency ~ '^[A-Z]{3}$')
);

-- The rate of a day: that of the day, or the last one of the seven days before it, since markets rest at weekends. NULL:
-- there is none.
CREATE FUNCTION marketing.rate_on(currency_asked text, day_asked date) RETURNS numeric LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN currency_asked = (SELECT p.currency FROM marketing.reporting p) THEN 1::numeric
                ELSE (SELECT r.rate FROM marketing.rates r
                       WHERE r.currency = currency_asked AND r.day BETWEEN day_asked - 7 AND day_asked
                       ORDER BY r.day DESC LIMIT 1) END
$$;

CREATE VIEW marketing.bi_account_days AS
SELECT d.date, NULLIF(a.tenant, '') AS tenant, a.platform, d.account AS account_id, a.name AS account_name, d.level, d.entities,
       d.impressions, d.clicks, d.link_clicks, d.views, d.likes, d.comments, d.shares, d.spend, d.conversions, d.revenue, d.leads,
       d.reach, NULLIF(d.currency, '') AS currency, d.reporting_spend, d.reporting_revenue,
       (SELECT p.currency FROM marketing.reporting p) AS reporting_currency, d.rolled_at
  FROM marketing.account_days d
  JOIN marketing.accounts a ON a.id = d.account;
COMMENT ON VIEW marketing.bi_account_days IS
    'Figures of whole accounts by the day of their clock, as aggregate.cross_platform left them. Each level tells the whole: '
    'choose one with level = ''account''. Ratios: divide sums, never average.';
COMMENT ON COLUMN marketing.bi_account_days.reporting_spend IS
    'In reporting_currency, at the rate of the day; NULL where none was loaded for it.';
COMMENT ON COLUMN marketing.bi_account_days.reach IS 'Never to be added up.';

CREATE VIEW marketing.bi_insights_monthly AS
SELECT m.month, NULLIF(a.tenant, '') AS tenant, a.platform, m.account AS account_id, a.name AS account_name, m.level,
       m.entity_id, CASE m.level WHEN 'account' THEN a.name ELSE e.name END AS entity_name,
       CASE m.level WHEN 'campaign' THEN m.entity_id ELSE e.campaign END AS campaign_id, m.days,
       m.impressions, m.clicks, m.link_clicks, m.views, m.likes, m.comments, m.shares, m.spend, m.conversions, m.revenue,
       m.leads, NULLIF(m.currency, '') AS currency, m.reporting_spend, m.reporting_revenue,
       (SELECT p.currency FROM marketing.reporting p) AS reporting_currency, m.rolled_at
  FROM marketing.insights_monthly m
  JOIN marketing.accounts a ON a.id = m.account
  LEFT JOIN marketing.entities e ON e.account = m.account AND e.kind = m.level AND e.id = m.entity_id
 WHERE m.breakdowns = '';
COMMENT ON VIEW marketing.bi_insights_monthly IS
    'Months by the account''s clock: the sums of bi_insights_daily, as aggregate.monthly left them. Choose one level.';
COMMENT ON COLUMN marketing.bi_insights_monthly.days IS 'On how many of its days there were figures.';
