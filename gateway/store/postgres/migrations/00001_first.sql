-- The first schema. What is added later must not break programs that know less: new tables, and new columns that may be null.

-- +goose Up
CREATE TABLE meta (
	one      BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
	revision BIGINT NOT NULL, -- of tenants and keys
	entry    BIGINT NOT NULL, -- the last of audit
	head     BYTEA NOT NULL, -- its hash
	pruned   TIMESTAMPTZ NOT NULL   -- of what is older, some is no longer there
);
INSERT INTO meta VALUES (1, 0, 0, '', 'epoch');

CREATE TABLE tenants (
	id       TEXT NOT NULL PRIMARY KEY,
	spec     JSON NOT NULL,
	revision BIGINT NOT NULL, -- of spec
	changed  BIGINT NOT NULL, -- the revision when anything of it changed
	deleted  BOOLEAN NOT NULL
);
CREATE INDEX tenants_changed ON tenants (changed);

CREATE TABLE keys (
	tenant   TEXT NOT NULL,
	name     TEXT NOT NULL,
	digest   TEXT NOT NULL UNIQUE,
	spec     JSON NOT NULL,
	revision BIGINT NOT NULL,
	created  TIMESTAMPTZ NOT NULL,
	expires  TIMESTAMPTZ,
	used     TIMESTAMPTZ,
	PRIMARY KEY (tenant, name)
);

CREATE TABLE families (
	tenant    TEXT NOT NULL,
	id        TEXT NOT NULL,
	key_name  TEXT NOT NULL,
	user_name TEXT NOT NULL,
	scope     TEXT NOT NULL,
	created   TIMESTAMPTZ NOT NULL,
	expires   TIMESTAMPTZ NOT NULL,
	revoked   TIMESTAMPTZ,
	PRIMARY KEY (tenant, id)
);
CREATE INDEX families_key ON families (tenant, key_name);
CREATE INDEX families_expires ON families (expires);

CREATE TABLE tokens (
	tenant TEXT NOT NULL,
	digest BYTEA NOT NULL,
	family TEXT NOT NULL,
	used   TIMESTAMPTZ,
	client TEXT,   -- who used it
	sealed BYTEA, -- its successor, encrypted
	PRIMARY KEY (tenant, digest)
);
CREATE INDEX tokens_family ON tokens (tenant, family);

CREATE TABLE ledger (
	tenant    TEXT NOT NULL,
	id        UUID NOT NULL,
	at        TIMESTAMPTZ NOT NULL,
	key_name  TEXT NOT NULL,
	user_name TEXT NOT NULL,
	request   TEXT NOT NULL,
	model     TEXT NOT NULL,
	provider  TEXT NOT NULL,
	outcome   TEXT NOT NULL,
	cost      BIGINT,          -- picodollars, like all money here; null if it is not known
	charge    BIGINT NOT NULL,
	rest      JSONB NOT NULL,  -- what nobody asks for by itself
	PRIMARY KEY (tenant, id)
);
CREATE INDEX ledger_id ON ledger (id, tenant);

CREATE TABLE prices (
	version  BIGINT NOT NULL PRIMARY KEY,
	provider TEXT NOT NULL,
	model    TEXT NOT NULL,
	rates    JSON NOT NULL
);

CREATE TABLE usage_hours (
	tenant      TEXT NOT NULL,
	at          TIMESTAMPTZ NOT NULL, -- when it begins
	key_name    TEXT NOT NULL,
	model       TEXT NOT NULL,
	provider    TEXT NOT NULL,
	attempts    BIGINT NOT NULL,
	cached      BIGINT NOT NULL,
	failed      BIGINT NOT NULL,
	input       BIGINT NOT NULL,
	cache_read  BIGINT NOT NULL,
	cache_write BIGINT NOT NULL,
	output      BIGINT NOT NULL,
	reasoning   BIGINT NOT NULL,
	cost        BIGINT NOT NULL,
	charge      BIGINT NOT NULL,
	unpriced    BIGINT NOT NULL,
	PRIMARY KEY (tenant, at, key_name, model, provider)
);
CREATE INDEX usage_hours_at ON usage_hours (at);

CREATE TABLE usage_days (
	tenant      TEXT NOT NULL,
	at          TIMESTAMPTZ NOT NULL, -- when it begins
	key_name    TEXT NOT NULL,
	model       TEXT NOT NULL,
	provider    TEXT NOT NULL,
	attempts    BIGINT NOT NULL,
	cached      BIGINT NOT NULL,
	failed      BIGINT NOT NULL,
	input       BIGINT NOT NULL,
	cache_read  BIGINT NOT NULL,
	cache_write BIGINT NOT NULL,
	output      BIGINT NOT NULL,
	reasoning   BIGINT NOT NULL,
	cost        BIGINT NOT NULL,
	charge      BIGINT NOT NULL,
	unpriced    BIGINT NOT NULL,
	PRIMARY KEY (tenant, at, key_name, model, provider)
);
CREATE INDEX usage_days_at ON usage_days (at);

CREATE TABLE spends (
	tenant TEXT NOT NULL,
	kind   SMALLINT NOT NULL, -- of scope: 0 tenant, 1 key, 2 user, 3 model
	name   TEXT NOT NULL,
	day    TIMESTAMPTZ NOT NULL,
	node   TEXT NOT NULL,
	charge BIGINT NOT NULL,
	PRIMARY KEY (tenant, kind, name, day, node)
);

CREATE TABLE audit (
	seq      BIGINT NOT NULL PRIMARY KEY,
	at       TIMESTAMPTZ NOT NULL,
	tenant   TEXT NOT NULL, -- '*': nobody's
	who      TEXT NOT NULL,
	role     TEXT NOT NULL,
	address  TEXT NOT NULL,
	action   TEXT NOT NULL,
	object   TEXT NOT NULL,
	was      TEXT NOT NULL,
	became   TEXT NOT NULL,
	revision BIGINT NOT NULL,
	hash     BYTEA NOT NULL -- of the one before and this
);
CREATE INDEX audit_tenant ON audit (tenant, seq);

-- A second wall: a transaction says whose things it is about, by sluice.tenant, and sees and writes nothing else; '*' is
-- everybody's. It holds for the tables' owner too, but not for superusers. The condition is a CASE, because of one with OR or
-- IN the planner thinks that next to nothing is left, and so it sorts whole tables for the first page.
ALTER TABLE keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE keys FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON keys USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE tenant = (SELECT current_setting('sluice.tenant', true)) END);
ALTER TABLE families ENABLE ROW LEVEL SECURITY;
ALTER TABLE families FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON families USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE tenant = (SELECT current_setting('sluice.tenant', true)) END);
ALTER TABLE tokens ENABLE ROW LEVEL SECURITY;
ALTER TABLE tokens FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON tokens USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE tenant = (SELECT current_setting('sluice.tenant', true)) END);
ALTER TABLE ledger ENABLE ROW LEVEL SECURITY;
ALTER TABLE ledger FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON ledger USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE tenant = (SELECT current_setting('sluice.tenant', true)) END);
ALTER TABLE usage_hours ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_hours FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON usage_hours USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE tenant = (SELECT current_setting('sluice.tenant', true)) END);
ALTER TABLE usage_days ENABLE ROW LEVEL SECURITY;
ALTER TABLE usage_days FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON usage_days USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE tenant = (SELECT current_setting('sluice.tenant', true)) END);
ALTER TABLE spends ENABLE ROW LEVEL SECURITY;
ALTER TABLE spends FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON spends USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE tenant = (SELECT current_setting('sluice.tenant', true)) END);
ALTER TABLE audit ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON audit USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE tenant = (SELECT current_setting('sluice.tenant', true)) END);
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY whose ON tenants USING (CASE (SELECT current_setting('sluice.tenant', true)) WHEN '*' THEN TRUE ELSE id = (SELECT current_setting('sluice.tenant', true)) END);
