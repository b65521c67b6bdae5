-- Which bus the events up to `published` went to, and where the last of them is there; see outbox.rs. No bus yet: NULL.
ALTER TABLE {prefix}_outbox_head
    ADD COLUMN bus          uuid,
    ADD COLUMN bus_event    uuid,
    ADD COLUMN bus_position bigint;
