-- When the store from which this user's news was moved here would have forgotten it. Nothing is forgotten here for that; but it
-- is not moved on after that time. NULL for news that came here.
ALTER TABLE sessions_account ADD COLUMN forgotten_at timestamptz;
