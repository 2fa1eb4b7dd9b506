-- The first schema. What is added later must not break programs that know less: new tables, and new columns that may be null.

-- +goose Up
CREATE TABLE meta (
	one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	revision INTEGER NOT NULL, -- of tenants and keys
	entry    INTEGER NOT NULL, -- the last of audit
	head     BLOB NOT NULL, -- its hash
	pruned   INTEGER NOT NULL -- microseconds since 1970, like all times here; of what is older, some is no longer there
) STRICT;
INSERT INTO meta VALUES (1, 0, 0, x'', 0);

CREATE TABLE tenants (
	id       TEXT NOT NULL PRIMARY KEY,
	spec     TEXT NOT NULL,
	revision INTEGER NOT NULL, -- of spec
	changed  INTEGER NOT NULL, -- the revision when anything of it changed
	deleted  INTEGER NOT NULL
) STRICT;
CREATE INDEX tenants_changed ON tenants (changed);

CREATE TABLE keys (
	tenant   TEXT NOT NULL,
	name     TEXT NOT NULL,
	digest   TEXT NOT NULL UNIQUE,
	spec     TEXT NOT NULL,
	revision INTEGER NOT NULL,
	created  INTEGER NOT NULL,
	expires  INTEGER,
	used     INTEGER,
	PRIMARY KEY (tenant, name)
) STRICT;

CREATE TABLE families (
	tenant    TEXT NOT NULL,
	id        TEXT NOT NULL,
	key_name  TEXT NOT NULL,
	user_name TEXT NOT NULL,
	scope     TEXT NOT NULL,
	created   INTEGER NOT NULL,
	expires   INTEGER NOT NULL,
	revoked   INTEGER,
	PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX families_key ON families (tenant, key_name);
CREATE INDEX families_expires ON families (expires);

CREATE TABLE tokens (
	tenant TEXT NOT NULL,
	digest BLOB NOT NULL,
	family TEXT NOT NULL,
	used   INTEGER,
	client TEXT,   -- who used it
	sealed BLOB, -- its successor, encrypted
	PRIMARY KEY (tenant, digest)
) STRICT;
CREATE INDEX tokens_family ON tokens (tenant, family);

CREATE TABLE ledger (
	tenant    TEXT NOT NULL,
	id        BLOB NOT NULL,
	at        INTEGER NOT NULL,
	key_name  TEXT NOT NULL,
	user_name TEXT NOT NULL,
	request   TEXT NOT NULL,
	model     TEXT NOT NULL,
	provider  TEXT NOT NULL,
	outcome   TEXT NOT NULL,
	cost      INTEGER,          -- picodollars, like all money here; null if it is not known
	charge    INTEGER NOT NULL,
	rest      TEXT NOT NULL,    -- JSON: what nobody asks for by itself
	PRIMARY KEY (tenant, id)
) STRICT;
CREATE INDEX ledger_id ON ledger (id, tenant);

CREATE TABLE prices (
	version  INTEGER NOT NULL PRIMARY KEY,
	provider TEXT NOT NULL,
	model    TEXT NOT NULL,
	rates    TEXT NOT NULL
) STRICT;

CREATE TABLE usage_hours (
	tenant      TEXT NOT NULL,
	at          INTEGER NOT NULL, -- when it begins
	key_name    TEXT NOT NULL,
	model       TEXT NOT NULL,
	provider    TEXT NOT NULL,
	attempts    INTEGER NOT NULL,
	cached      INTEGER NOT NULL,
	failed      INTEGER NOT NULL,
	input       INTEGER NOT NULL,
	cache_read  INTEGER NOT NULL,
	cache_write INTEGER NOT NULL,
	output      INTEGER NOT NULL,
	reasoning   INTEGER NOT NULL,
	cost        INTEGER NOT NULL,
	charge      INTEGER NOT NULL,
	unpriced    INTEGER NOT NULL,
	PRIMARY KEY (tenant, at, key_name, model, provider)
) STRICT;
CREATE INDEX usage_hours_at ON usage_hours (at);

CREATE TABLE usage_days (
	tenant      TEXT NOT NULL,
	at          INTEGER NOT NULL, -- when it begins
	key_name    TEXT NOT NULL,
	model       TEXT NOT NULL,
	provider    TEXT NOT NULL,
	attempts    INTEGER NOT NULL,
	cached      INTEGER NOT NULL,
	failed      INTEGER NOT NULL,
	input       INTEGER NOT NULL,
	cache_read  INTEGER NOT NULL,
	cache_write INTEGER NOT NULL,
	output      INTEGER NOT NULL,
	reasoning   INTEGER NOT NULL,
	cost        INTEGER NOT NULL,
	charge      INTEGER NOT NULL,
	unpriced    INTEGER NOT NULL,
	PRIMARY KEY (tenant, at, key_name, model, provider)
) STRICT;
CREATE INDEX usage_days_at ON usage_days (at);

CREATE TABLE spends (
	tenant TEXT NOT NULL,
	kind   INTEGER NOT NULL, -- of scope: 0 tenant, 1 key, 2 user, 3 model
	name   TEXT NOT NULL,
	day    INTEGER NOT NULL,
	node   TEXT NOT NULL,
	charge INTEGER NOT NULL,
	PRIMARY KEY (tenant, kind, name, day, node)
) STRICT;

CREATE TABLE audit (
	seq      INTEGER NOT NULL PRIMARY KEY,
	at       INTEGER NOT NULL,
	tenant   TEXT NOT NULL, -- '*': nobody's
	who      TEXT NOT NULL,
	role     TEXT NOT NULL,
	address  TEXT NOT NULL,
	action   TEXT NOT NULL,
	object   TEXT NOT NULL,
	was      TEXT NOT NULL,
	became   TEXT NOT NULL,
	revision INTEGER NOT NULL,
	hash     BLOB NOT NULL -- of the one before and this
) STRICT;
CREATE INDEX audit_tenant ON audit (tenant, seq);
