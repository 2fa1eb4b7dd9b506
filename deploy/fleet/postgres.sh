#!/bin/sh
# The gateways' role is no superuser: row level security holds for it, and keeps tenants apart once more.
set -eu
psql --quiet --set ON_ERROR_STOP=1 --set password="$SLUICE_DB_PASSWORD" --username "${POSTGRES_USER:-postgres}" <<'SQL'
CREATE ROLE sluice LOGIN PASSWORD :'password';
CREATE DATABASE sluice OWNER sluice;
SQL
