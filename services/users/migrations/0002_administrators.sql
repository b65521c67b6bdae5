-- The administrators who may sign in, whom every blocking of one of them locks: one has to stay.
CREATE INDEX users_account_administrators ON users_account (id) WHERE role = 'admin' AND active;
