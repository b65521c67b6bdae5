//! The statements. Every one begins at an index whose first key is `build`, and says in its last line how much it reads at most.
//!
//! An index gives its order only if `ORDER BY` names all of its keys, in one direction, and if each of them has a predicate:
//! hence `IS NOT NULL` and the keys that are the same in all rows.

use super::client::Statement;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $label:literal: $text:expr;)+) => {
        $($(#[$doc])* pub(super) const $name: Statement = Statement { name: $label, text: $text };)+
    };
}

/// What a [`GoodRow`](super::rows::GoodRow) is made of.
macro_rules! good {
    ($before:literal) => {
        concat!(
            $before,
            " RETURN g.id AS id, g.version AS version, g.active AS active, g.baskets AS baskets,
        g.season_even_era AS season_even_era, g.season_even AS season_even,
        g.season_odd_era AS season_odd_era, g.season_odd AS season_odd,
        g.week_even_era AS week_even_era, g.week_even AS week_even,
        g.week_odd_era AS week_odd_era, g.week_odd AS week_odd"
        )
    };
}

// Control.
statements! {
    /// Who holds it numbers shops.
    LOCK_COUNTER = "lock counter": "MERGE (c:Counter {name: 'shops'}) ON CREATE SET c.value = 0 SET c.lock = true";
    NEXT_SHOP = "next shop": "MATCH (c:Counter {name: 'shops'}) SET c.value = c.value + 1 RETURN c.value AS shop";
    SHOP = "shop": "MATCH (s:State {name: $name}) RETURN s.shop AS shop";
    CREATE_SHOP = "create shop":
        "CREATE (:State {name: $name, shop: $shop, value: $value})
        CREATE (:Moment {name: $name, version: 0, filled: 0, build: $build})";
    /// `SET` of what it is already takes the lock; `REMOVE` of a property that no node ever had would not.
    LOCK_STATE = "lock state": "MATCH (s:State {name: $name}) SET s.lock = true";
    /// Version and state are one property, since two of a node that is being changed may be of two moments.
    READ_STATE = "read state": "MATCH (s:State {name: $name}) RETURN s.value AS value";
    WRITE_STATE = "write state": "MATCH (s:State {name: $name}) SET s.value = $value";
    LOCK_MOMENT = "lock moment": "MATCH (m:Moment {name: $name}) SET m.lock = true";
    READ_MOMENT = "read moment":
        "MATCH (m:Moment {name: $name}) RETURN m.version AS version, m.filled AS filled, m.build AS build";
    NEXT_MOMENT = "next moment": "MATCH (m:Moment {name: $name}) SET m.version = m.version + 1, m.build = $build";
    NEXT_FILLED = "next filled": "MATCH (m:Moment {name: $name}) SET m.filled = m.filled + 1";
}

// Whether the graph serves, is left, or is filled by a move.
statements! {
    LOCK_STANDING = "lock standing": "MERGE (s:Standing {name: $name}) SET s.lock = true";
    READ_STANDING = "read standing": "MATCH (s:Standing {name: $name}) WHERE s.value IS NOT NULL RETURN s.value AS value";
    WRITE_STANDING = "write standing": "MATCH (s:Standing {name: $name}) SET s.value = $value";
}

// Effects. Rows are in the order of their keys.
statements! {
    CLAIMED = "claimed":
        "UNWIND $events AS event MATCH (c:Claim {build: $build, event: event}) RETURN c.event AS id";
    /// Gives those that were not claimed. They are named once each.
    CLAIM = "claim":
        "UNWIND $events AS e OPTIONAL MATCH (c:Claim {build: $build, event: e.id}) WITH e, c WHERE c IS NULL
        CREATE (:Claim {build: $build, event: e.id, at: e.at}) RETURN e.id AS id";
    KNOWN_BASKETS = "known baskets":
        "UNWIND $ids AS id MATCH (b:Basket {build: $build, id: id}) RETURN b.id AS id";
    PUT_GOODS = "put goods":
        "UNWIND $rows AS row MERGE (g:Good {build: $build, id: row.id}) SET g += row";
    /// `goods` of an order are empty when it has so many that they say nothing of pairs.
    ADD_BASKETS = "add baskets":
        "UNWIND $rows AS row
        CREATE (b:Basket {build: $build, id: row.id, customer: row.customer, at: row.at, size: row.size,
            goods: row.packed, units: row.units})
        WITH b, row UNWIND row.goods AS good
        MATCH (g:Good {build: $build, id: good})
        CREATE (b)-[:HAS {build: $build, good: good, at: row.at, id: row.id}]->(g)";
    RETURNED_BEFORE = "returned before":
        "UNWIND $rows AS row MATCH (r:Return {build: $build, customer: row.customer, good: row.good})
        RETURN r.customer AS customer, r.good AS good, r.units AS units";
    PUT_RETURNS = "put returns":
        "UNWIND $rows AS row MERGE (r:Return {build: $build, customer: row.customer, good: row.good})
        SET r.units = row.units";
}

// Shelves.
statements! {
    NOW = "now":
        "MATCH (b:Basket) WHERE b.build = $build AND b.at <= $clock
        RETURN b.at AS at ORDER BY b.build DESC, b.at DESC LIMIT 1";
    /// The newest baskets of each good, down the index of relationships: as much for what everybody bought as for any other.
    BASKETS = "baskets":
        "UNWIND $goods AS good
        CALL (good) {
            MATCH (b)-[r:HAS]->()
            WHERE r.build = $build AND r.good = good AND r.at IS NOT NULL AND r.id IS NOT NULL
            WITH r, b ORDER BY r.build DESC, r.good DESC, r.at DESC, r.id DESC LIMIT $newest
            RETURN b
        }
        WITH DISTINCT b RETURN b.id AS id, b.at AS at, b.goods AS goods";
    GOODS = "goods": good!("UNWIND $ids AS id MATCH (g:Good {build: $build, id: id})");
    BOUGHT_SIZES = "bought sizes":
        "MATCH (b:Basket)
        WHERE b.build = $build AND b.customer = $customer AND b.at IS NOT NULL AND b.id IS NOT NULL
        RETURN b.size AS size ORDER BY b.build DESC, b.customer DESC, b.at DESC, b.id DESC LIMIT $max";
    BOUGHT = "bought":
        "MATCH (b:Basket)
        WHERE b.build = $build AND b.customer = $customer AND b.at IS NOT NULL AND b.id IS NOT NULL
        RETURN b.at AS at, b.goods AS goods, b.units AS units
        ORDER BY b.build DESC, b.customer DESC, b.at DESC, b.id DESC LIMIT $max";
    STAMP_CUSTOMER = "stamp of a customer":
        "MATCH (b:Basket)
        WHERE b.build = $build AND b.customer = $customer AND b.at IS NOT NULL AND b.id IS NOT NULL
        WITH b ORDER BY b.build DESC, b.customer DESC, b.at DESC, b.id DESC LIMIT $max
        RETURN count(b) AS orders, head(collect(b.id)) AS newest";
    STAMP_PRODUCT = "stamp of a product":
        "MATCH (g:Good {build: $build, id: $id}) RETURN g.baskets AS baskets";
    RETURNED = "returned":
        "UNWIND $goods AS good MATCH (r:Return {build: $build, customer: $customer, good: good})
        RETURN r.customer AS customer, r.good AS good, r.units AS units";
    SOLD = "sold":
        "UNWIND $ids AS id MATCH (g:Good {build: $build, id: id}) WHERE g.active RETURN count(g) AS count";
    /// The step of the good at a place. Cypher has no `WITH TIES`: the step first, then all from it on.
    WEEK_STEP = "step of what sells":
        "MATCH (g:Good) WHERE g.build = $build AND g.active = true AND g.week_step >= $least
        RETURN g.week_step AS step ORDER BY g.build DESC, g.active DESC, g.week_step DESC SKIP $skip LIMIT 1";
    SELLING = "selling":
        good!("MATCH (g:Good) WHERE g.build = $build AND g.active = true AND g.week_step >= $least");
    BASKETS_STEP = "step of what was bought":
        "MATCH (g:Good) WHERE g.build = $build AND g.active = true AND g.baskets_step >= $least
        RETURN g.baskets_step AS step ORDER BY g.build DESC, g.active DESC, g.baskets_step DESC SKIP $skip LIMIT 1";
    MOST_BOUGHT = "most bought":
        good!("MATCH (g:Good) WHERE g.build = $build AND g.active = true AND g.baskets_step >= $least");
}

// Generations: all of it in pages by key.
statements! {
    PAGE_BASKETS = "page of baskets":
        "MATCH (b:Basket) WHERE b.build = $build AND b.id > $after
        RETURN b.id AS id, b.customer AS customer, b.at AS at, b.size AS size, b.goods AS goods, b.units AS units
        ORDER BY b.build, b.id LIMIT $max";
    /// The relationships themselves, of a page of baskets, so that one that is missing is seen.
    PAGE_PURCHASES = "page of purchases":
        "UNWIND $ids AS id MATCH (b:Basket {build: $build, id: id})-[r:HAS]->(g:Good)
        RETURN r.good AS good, r.at AS at, r.id AS id, r.build = $build AND g.id = r.good AND g.build = $build AS whole";
    PAGE_GOODS = "page of goods":
        good!("MATCH (g:Good) WHERE g.build = $build AND g.id > $after WITH g ORDER BY g.build, g.id LIMIT $max");
    PAGE_RETURNS = "page of returns":
        "MATCH (r:Return) WHERE r.build = $build AND r.customer >= $customer AND r.good IS NOT NULL
            AND (r.customer > $customer OR r.good > $good)
        RETURN r.customer AS customer, r.good AS good, r.units AS units
        ORDER BY r.build, r.customer, r.good LIMIT $max";
    /// Events of one build that the other one lacks.
    LACKING = "lacking":
        "MATCH (c:Claim) WHERE c.build = $has AND c.at > $since
            AND NOT EXISTS { MATCH (d:Claim {build: $lacks, event: c.event}) }
            AND (c.event IN $these) = $among
        RETURN c.event AS id LIMIT $max";
    REAP = "reap":
        "MATCH (c:Claim) WHERE c.build = $build AND c.at < $before WITH c LIMIT $max
        DELETE c RETURN count(*) AS count";
    REMOVE_BASKETS = "remove baskets":
        "MATCH (b:Basket) WHERE b.build = $build WITH b LIMIT $max DETACH DELETE b RETURN count(*) AS count";
    REMOVE_RETURNS = "remove returns":
        "MATCH (r:Return) WHERE r.build = $build WITH r LIMIT $max DELETE r RETURN count(*) AS count";
    REMOVE_CLAIMS = "remove claims":
        "MATCH (c:Claim) WHERE c.build = $build WITH c LIMIT $max DELETE c RETURN count(*) AS count";
    /// After their baskets, so that none has relationships any more.
    REMOVE_GOODS = "remove goods":
        "MATCH (g:Good) WHERE g.build = $build WITH g LIMIT $max DETACH DELETE g RETURN count(*) AS count";
}
