-- Why: the history of an account is read once, when it is new. That this was asked for is kept, so that no account is
-- forgotten and none is read again and again. The release before this one does not look at it.

-- When its history was asked for; NULL: it was not.
ALTER TABLE marketing.accounts ADD COLUMN history_asked_at timestamptz;
