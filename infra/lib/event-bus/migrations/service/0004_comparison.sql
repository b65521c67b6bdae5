-- What comparing the two generations gave, from then until the switch: a projection that is brought over in steps looks otherwise
-- after the first of them.
ALTER TABLE {prefix}_projections ADD COLUMN comparison jsonb;
