-- The PostgreSQL search index: a projection of the active products. Nothing here is truth.

-- What lists are filtered and sorted by. `version` is that of the change applied last.
CREATE TABLE catalog_search_entry (
    product_id uuid PRIMARY KEY,
    version    bigint NOT NULL,
    name       text NOT NULL,
    sort_name  text COLLATE "C" NOT NULL,
    category   text NOT NULL,
    brand      text,
    price      bigint NOT NULL,
    in_stock   boolean NOT NULL,
    popularity bigint NOT NULL,
    created_at timestamptz NOT NULL
) WITH (fillfactor = 90);
CREATE INDEX catalog_search_entry_popular ON catalog_search_entry (in_stock, popularity, product_id);
CREATE INDEX catalog_search_entry_newest ON catalog_search_entry (created_at, product_id);
CREATE INDEX catalog_search_entry_price ON catalog_search_entry (price, product_id);
CREATE INDEX catalog_search_entry_name ON catalog_search_entry (sort_name, product_id);
CREATE INDEX catalog_search_entry_category ON catalog_search_entry (category, in_stock, popularity, product_id);
CREATE INDEX catalog_search_entry_category_price ON catalog_search_entry (category, price, product_id);
CREATE INDEX catalog_search_entry_brand ON catalog_search_entry (brand, in_stock, popularity, product_id);

-- The words. Apart from the entry, so that sales (which move entries) never rewrite the inverted index.
-- The pending lists are kept short, because every search reads them from end to end.
CREATE TABLE catalog_search_text (
    product_id uuid PRIMARY KEY,
    words      tsvector NOT NULL,
    facts      text[] NOT NULL,
    terms      text[] NOT NULL
);
CREATE INDEX catalog_search_text_words ON catalog_search_text USING gin (words) WITH (gin_pending_list_limit = 512);
CREATE INDEX catalog_search_text_facts ON catalog_search_text USING gin (facts) WITH (gin_pending_list_limit = 512);

-- The vocabulary: how many products have a word. It gives each word its weight and typing errors their correction.
CREATE TABLE catalog_search_term (
    term      text COLLATE "C" PRIMARY KEY,
    stem      text COLLATE "C" NOT NULL,
    frequency bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX catalog_search_term_stem ON catalog_search_term (stem);

-- Each word, and each word with one letter left out (SymSpell): two words within one edit of each other share a row here.
CREATE TABLE catalog_search_deletion (
    deletion text COLLATE "C" NOT NULL,
    term     text COLLATE "C" NOT NULL,
    PRIMARY KEY (deletion, term)
);

-- How many active products there are in all and by category, brand and price range.
CREATE TABLE catalog_search_count (
    kind   text COLLATE "C" NOT NULL,
    value  text COLLATE "C" NOT NULL,
    label  text NOT NULL,
    folded text COLLATE "C" NOT NULL,
    count  bigint NOT NULL,
    PRIMARY KEY (kind, value)
);
CREATE INDEX catalog_search_count_top ON catalog_search_count (kind, count DESC, value);
CREATE INDEX catalog_search_count_folded ON catalog_search_count (kind, folded);
