-- Why: what is marked again before it was rolled up has waited since it was marked first. When each mark began anew, months that
-- nobody rolled up never looked old, since their days are read every day. A mark that is there is still written again, so that
-- whoever is rolling it up at this moment and has not seen these figures does not take it away.
CREATE OR REPLACE FUNCTION marketing.mark_rollups() RETURNS trigger LANGUAGE plpgsql AS $$
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
    ON CONFLICT ON CONSTRAINT rollups_due_pkey DO UPDATE SET marked_at = due.marked_at;
    RETURN NULL;
END
$$;
