//! Emporium: the whole shop in one process on an embedded PostgreSQL.
