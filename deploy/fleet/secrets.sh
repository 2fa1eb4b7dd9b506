#!/bin/sh
# Fresh secrets for compose.yaml: ./secrets.sh > .env
set -eu
for name in POSTGRES_PASSWORD SLUICE_DB_PASSWORD SLUICE_PEPPER; do
  echo "$name=$(openssl rand -hex 32)"
done
token=$(openssl rand -hex 32) # yours; the gateways get its digest alone
echo "SLUICE_ADMIN_TOKEN=$token"
echo "SLUICE_ADMIN_DIGEST=sha256:$(printf %s "$token" | openssl dgst -sha256 -r | cut -d ' ' -f 1)"
