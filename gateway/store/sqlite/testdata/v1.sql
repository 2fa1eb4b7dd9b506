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
CREATE TABLE meta (
	one      INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
	revision INTEGER NOT NULL, -- of tenants and keys
	entry    INTEGER NOT NULL, -- the last of audit
	head     BLOB NOT NULL, -- its hash
	pruned   INTEGER NOT NULL -- microseconds since 1970, like all times here; of what is older, some is no longer there
) STRICT;
CREATE TABLE prices (
	version  INTEGER NOT NULL PRIMARY KEY,
	provider TEXT NOT NULL,
	model    TEXT NOT NULL,
	rates    TEXT NOT NULL
) STRICT;
CREATE TABLE sluice_schema (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
CREATE TABLE spends (
	tenant TEXT NOT NULL,
	kind   INTEGER NOT NULL, -- of scope: 0 tenant, 1 key, 2 user, 3 model
	name   TEXT NOT NULL,
	day    INTEGER NOT NULL,
	node   TEXT NOT NULL,
	charge INTEGER NOT NULL,
	PRIMARY KEY (tenant, kind, name, day, node)
) STRICT;
CREATE TABLE tenants (
	id       TEXT NOT NULL PRIMARY KEY,
	spec     TEXT NOT NULL,
	revision INTEGER NOT NULL, -- of spec
	changed  INTEGER NOT NULL, -- the revision when anything of it changed
	deleted  INTEGER NOT NULL
) STRICT;
CREATE TABLE tokens (
	tenant TEXT NOT NULL,
	digest BLOB NOT NULL,
	family TEXT NOT NULL,
	used   INTEGER,
	client TEXT,   -- who used it
	sealed BLOB, -- its successor, encrypted
	PRIMARY KEY (tenant, digest)
) STRICT;
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
CREATE INDEX audit_tenant ON audit (tenant, seq);
CREATE INDEX families_expires ON families (expires);
CREATE INDEX families_key ON families (tenant, key_name);
CREATE INDEX ledger_id ON ledger (id, tenant);
CREATE INDEX tenants_changed ON tenants (changed);
CREATE INDEX tokens_family ON tokens (tenant, family);
CREATE INDEX usage_days_at ON usage_days (at);
CREATE INDEX usage_hours_at ON usage_hours (at);
INSERT INTO audit VALUES (1, 1795435200000000, 'acme', 'ops', 'admin', '127.0.0.1', 'tenant.create', 'it', 'a', 'b', 1, X'0327E343BAF0C6C930FC6F3D8956E51D173653C3FD52D055CEDC8980AB0A992D');
INSERT INTO audit VALUES (2, 1795435200000000, 'acme', 'ops', 'admin', '127.0.0.1', 'key.create', 'it', 'a', 'b', 2, X'08F12C4B0CE395F0A67DBB50056EF45049DF5417D3C729112BEE3C81E6FF90DC');
INSERT INTO audit VALUES (3, 1795435200000000, 'bolt', 'ops', 'admin', '127.0.0.1', 'tenant.create', 'it', 'a', 'b', 3, X'02EE4FDEB1612058B71F102C3E644CD88C2B9AB69F70E00C2E9620B8C988BC1A');
INSERT INTO audit VALUES (4, 1795435200000000, 'bolt', 'ops', 'admin', '127.0.0.1', 'key.create', 'it', 'a', 'b', 4, X'9196891A4936EE297DAE11377927050CFAC22335998EDDF9948ECD61D92C0762');
INSERT INTO audit VALUES (5, 1795435200000000, 'bolt', 'ops', 'admin', '127.0.0.1', 'family.revoke', 'it', 'a', 'b', 4, X'89D50028A11B3541E3A3A375932F317D1F7617107014FC4B473C8742DC28CBFA');
INSERT INTO families VALUES ('acme', 'f1', 'ci', 'ann', 'gpt-* o3', 1795435200000000, 1795438800000000, NULL);
INSERT INTO families VALUES ('acme', 'f2', 'ci', 'ann', 'gpt-* o3', 1795435200000000, 1795438800000000, NULL);
INSERT INTO families VALUES ('bolt', 'f1', 'ci', 'ann', 'gpt-* o3', 1795435200000000, 1795438800000000, NULL);
INSERT INTO families VALUES ('bolt', 'f2', 'ci', 'ann', 'gpt-* o3', 1795435200000000, 1795438800000000, 1795435200000000);
INSERT INTO keys VALUES ('acme', 'ci', 'd1', '{}', 2, 1795435200000000, NULL, 1795435200000000);
INSERT INTO keys VALUES ('bolt', 'ci', 'd2', '{}', 4, 1795435200000000, NULL, NULL);
INSERT INTO ledger VALUES ('acme', X'01A20846FE007735B1D4B9C0131F2723', 1795435200000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 0, 0, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('acme', X'01A2087DEC8077D98D39C4C81C7E37F2', 1795438800000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 2, 1, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('acme', X'01A208B4DB00735AB5D2EB6A88830BCA', 1795442400000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 4, 2, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('acme', X'01A208EBC9807E2FB5B57CE0D849D529', 1795446000000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 6, 3, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('acme', X'01A20922B8007286A8BB31544876DD9B', 1795449600000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 8, 4, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('bolt', X'01A20846FE00701A82AE4347A84FD507', 1795435200000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 2, 1, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('bolt', X'01A2087DEC80706CBC9D938874702723', 1795438800000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 4, 2, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('bolt', X'01A208B4DB00735AAD309394758BA1A9', 1795442400000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 6, 3, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('bolt', X'01A208EBC9807710B5DA26EE4C0D3D07', 1795446000000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 8, 4, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO ledger VALUES ('bolt', X'01A20922B8007D4691A134A1383E5F5D', 1795449600000000, 'ci', 'ann', 'req_1', 'gpt-5', 'openai', 'complete', 10, 5, '{"node":"n1","endpoint":"chat.completions","dialect":"openai","asked":"fast","account":"main","target":"gpt-5-2026","attempt":1,"flags":64,"status":200,"total_us":1000000,"provenance":"reported","input":10,"output":5}');
INSERT INTO meta VALUES (1, 4, 5, X'89D50028A11B3541E3A3A375932F317D1F7617107014FC4B473C8742DC28CBFA', 0);
INSERT INTO prices VALUES (1, 'openai', 'gpt-5', '[]');
INSERT INTO sluice_schema VALUES (1, 0, 1, '2026-11-23 19:39:34');
INSERT INTO sluice_schema VALUES (2, 1, 1, '2026-11-23 19:39:34');
INSERT INTO spends VALUES ('acme', 0, '', 1795392000000000, 'n1', 10);
INSERT INTO spends VALUES ('acme', 1, 'ci', 1795392000000000, 'n1', 10);
INSERT INTO spends VALUES ('acme', 2, 'ann', 1795392000000000, 'n1', 10);
INSERT INTO spends VALUES ('acme', 3, 'gpt-5', 1795392000000000, 'n1', 10);
INSERT INTO spends VALUES ('bolt', 0, '', 1795392000000000, 'n1', 15);
INSERT INTO spends VALUES ('bolt', 1, 'ci', 1795392000000000, 'n1', 15);
INSERT INTO spends VALUES ('bolt', 2, 'ann', 1795392000000000, 'n1', 15);
INSERT INTO spends VALUES ('bolt', 3, 'gpt-5', 1795392000000000, 'n1', 15);
INSERT INTO tenants VALUES ('acme', '{}', 1, 2, 0);
INSERT INTO tenants VALUES ('bolt', '{}', 3, 4, 0);
INSERT INTO tokens VALUES ('acme', X'0100000000000000000000000000000000000000000000000000000000000000', 'f1', 1795435200000000, 'c', X'74776F');
INSERT INTO tokens VALUES ('acme', X'0300000000000000000000000000000000000000000000000000000000000000', 'f2', NULL, NULL, NULL);
INSERT INTO tokens VALUES ('bolt', X'0100000000000000000000000000000000000000000000000000000000000000', 'f1', NULL, NULL, NULL);
INSERT INTO tokens VALUES ('bolt', X'0300000000000000000000000000000000000000000000000000000000000000', 'f2', NULL, NULL, NULL);
INSERT INTO tokens VALUES ('acme', X'0200000000000000000000000000000000000000000000000000000000000000', 'f1', NULL, NULL, NULL);
INSERT INTO usage_days VALUES ('acme', 1795392000000000, 'ci', 'gpt-5', 'openai', 5, 0, 0, 50, 0, 0, 25, 0, 20, 10, 0);
INSERT INTO usage_days VALUES ('bolt', 1795392000000000, 'ci', 'gpt-5', 'openai', 5, 0, 0, 50, 0, 0, 25, 0, 30, 15, 0);
INSERT INTO usage_hours VALUES ('acme', 1795435200000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 0, 0, 0);
INSERT INTO usage_hours VALUES ('acme', 1795438800000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 2, 1, 0);
INSERT INTO usage_hours VALUES ('acme', 1795442400000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 4, 2, 0);
INSERT INTO usage_hours VALUES ('acme', 1795446000000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 6, 3, 0);
INSERT INTO usage_hours VALUES ('acme', 1795449600000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 8, 4, 0);
INSERT INTO usage_hours VALUES ('bolt', 1795435200000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 2, 1, 0);
INSERT INTO usage_hours VALUES ('bolt', 1795438800000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 4, 2, 0);
INSERT INTO usage_hours VALUES ('bolt', 1795442400000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 6, 3, 0);
INSERT INTO usage_hours VALUES ('bolt', 1795446000000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 8, 4, 0);
INSERT INTO usage_hours VALUES ('bolt', 1795449600000000, 'ci', 'gpt-5', 'openai', 1, 0, 0, 10, 0, 0, 5, 0, 10, 5, 0);
