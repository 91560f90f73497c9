-- Why: a year of a hundred accounts is 36,500 of their days but 1,200 of their months. Who asks for months, or for one figure of
-- a long time, is told from these, and only the days of months that are not whole, or are behind, are read beside them.

-- Months of whole accounts by their clock: the sums of account_days, always, since who changes those makes these anew.
CREATE TABLE marketing.account_months (
    account           uuid NOT NULL,
    level             text COLLATE "C" NOT NULL,
    -- Its first day.
    month             date NOT NULL,
    currency          text COLLATE "C" NOT NULL,
    -- How many rows of entities' days there were.
    entities          bigint NOT NULL,
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
    -- Of the one row; NULL where there are several: people are not added up.
    reach             bigint,
    reporting_spend   numeric,
    reporting_revenue numeric,
    CONSTRAINT account_months_pkey PRIMARY KEY (account, level, month, currency)
);

-- Makes these months anew from their days.
CREATE FUNCTION marketing.sum_account_months(account_asked uuid, level_asked text, months_asked date[]) RETURNS void
LANGUAGE sql AS $$
    DELETE FROM marketing.account_months m
     WHERE m.account = account_asked AND m.level = level_asked AND m.month = ANY (months_asked);
    INSERT INTO marketing.account_months
           (account, level, month, currency, entities, impressions, clicks, link_clicks, views, likes, comments, shares, spend,
            conversions, revenue, leads, reach, reporting_spend, reporting_revenue)
    SELECT d.account, d.level, asked.month, d.currency, sum(d.entities), sum(d.impressions)::bigint, sum(d.clicks)::bigint,
           sum(d.link_clicks)::bigint, sum(d.views)::bigint, sum(d.likes)::bigint, sum(d.comments)::bigint,
           sum(d.shares)::bigint, sum(d.spend), sum(d.conversions), sum(d.revenue), sum(d.leads),
           CASE WHEN sum(d.entities) = 1 THEN max(d.reach) END,
           CASE WHEN bool_and(d.reporting_spend IS NOT NULL) THEN sum(d.reporting_spend) END,
           CASE WHEN bool_and(d.reporting_revenue IS NOT NULL) THEN sum(d.reporting_revenue) END
      FROM unnest(months_asked) AS asked (month)
      JOIN marketing.account_days d
        ON d.account = account_asked AND d.level = level_asked
       AND d.date >= asked.month AND d.date < (asked.month + interval '1 month')::date
     GROUP BY d.account, d.level, asked.month, d.currency;
$$;

-- Whoever changes days holds the lock of their account and level, so that nobody else makes the same months at this moment.
CREATE FUNCTION marketing.follow_account_days() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM marketing.sum_account_months(c.account, c.level, array_agg(DISTINCT c.month))
       FROM (SELECT account, level, date_trunc('month', date::timestamp)::date AS month FROM changed) c
      GROUP BY c.account, c.level;
    RETURN NULL;
END
$$;
CREATE TRIGGER account_days_added AFTER INSERT ON marketing.account_days
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION marketing.follow_account_days();
CREATE TRIGGER account_days_changed AFTER UPDATE ON marketing.account_days
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION marketing.follow_account_days();
CREATE TRIGGER account_days_removed AFTER DELETE ON marketing.account_days
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION marketing.follow_account_days();

-- What was rolled up before there were months.
SELECT marketing.sum_account_months(d.account, d.level, array_agg(DISTINCT date_trunc('month', d.date::timestamp)::date))
  FROM marketing.account_days d GROUP BY d.account, d.level;
