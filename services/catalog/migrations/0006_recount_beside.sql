-- Popularity is a projection with two generations now, of which the live one is `catalog_stock.popularity` itself and the other one
-- is counted aside; see store/recount.rs. What was claimed is what the live one has.
INSERT INTO catalog_inbox (consumer, event_id, handled_at)
SELECT 'catalog/0', event_id, handled_at FROM catalog_inbox WHERE consumer = 'catalog';
DELETE FROM catalog_inbox WHERE consumer = 'catalog';

-- A recount of the kind that there was had forgotten what products had counted: it is made again, and finds what is missing.
INSERT INTO catalog_projections (projection, rebuild, cause, started_at)
SELECT 'catalog', gen_random_uuid(), 'bus', now() FROM catalog_recount WHERE id IS NOT NULL;
DROP TABLE catalog_recount;
