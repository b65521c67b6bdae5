-- An operator's word: nobody gets the group's events until it is taken back.
ALTER TABLE bus_group ADD COLUMN paused boolean NOT NULL DEFAULT false;
