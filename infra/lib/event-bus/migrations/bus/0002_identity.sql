-- Made with the bus's data and lost with it: by it a publisher notices that this is another bus than the one it knew.
ALTER TABLE bus_head ADD COLUMN id uuid NOT NULL DEFAULT gen_random_uuid();
-- The owners whose histories the group is built from, such as `/users`.
ALTER TABLE bus_group ADD COLUMN sources text[] NOT NULL DEFAULT '{}';

-- Publishers may neither read the log nor touch groups. These functions do for them, as the bus's owner, the little they need.

-- Where an event is; NULL when it is not on the bus.
CREATE FUNCTION bus_position(event uuid) RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS
$$ SELECT position FROM bus_log WHERE id = event $$;

-- Whether the event that was at this position is still there, or was trimmed with everything before it.
CREATE FUNCTION bus_holds(event uuid, at bigint) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT at <= (SELECT position FROM bus_head)
       AND (EXISTS (SELECT FROM bus_log WHERE id = event AND position = at)
            OR NOT EXISTS (SELECT FROM bus_log WHERE position <= at))
$$;

-- Every group that is built from the history of `missing` has to be rebuilt. A service's role speaks for its own source only.
CREATE FUNCTION bus_missed(missing text) RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    UPDATE bus_group SET rebuilding = true, member = NULL, leased_until = NULL, updated_at = now()
    WHERE missing = ANY (sources)
      AND (session_user = current_user OR missing = '/' || split_part(session_user, '_', 2))
$$;

-- No table that a caller makes may stand in for the bus's own.
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION bus_position(uuid) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION bus_holds(uuid, bigint) SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION bus_missed(text) SET search_path = %I, pg_temp', current_schema());
END $$;
