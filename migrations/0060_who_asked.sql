-- Why: a history of changes that does not say who asked for them answers half of what it is read for. Jobs know no people; whoever
-- orders changes says for whom: an app by its own word, a rule by who accepted what it found.
ALTER TABLE marketing.campaign_changes ADD COLUMN requested_by text;
