#!/bin/sh
# Fresh secrets for compose.yaml: ./secrets.sh > .env
set -eu
for name in POSTGRES_PASSWORD SLUICE_DB_PASSWORD SLUICE_PEPPER; do
  echo "$name=$(openssl rand -hex 32)"
done
