-- A list takes one core. The planner would start workers for broad words, which costs more than it saves: tens of
-- milliseconds for a page that one core has in five, and other requests wait for the cores meanwhile.
ALTER TABLE catalog_search_entry SET (parallel_workers = 0);
ALTER TABLE catalog_search_text SET (parallel_workers = 0);
