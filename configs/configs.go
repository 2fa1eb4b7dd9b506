// Package configs holds the example configuration and the JSON Schemas, as the files beside it have them.
package configs

import _ "embed"

// Gateway is the example of a gateway file.
//
//go:embed sluice.yaml
var Gateway string

// Tenant is the example of a tenant file. Its id is acme.
//
//go:embed tenants/acme.yaml
var Tenant string

// GatewaySchema is the JSON Schema of the gateway file, with the settings of the plugins that come with Sluice.
//
//go:embed schema/sluice.schema.json
var GatewaySchema string

// TenantSchema is the JSON Schema of a tenant file.
//
//go:embed schema/tenant.schema.json
var TenantSchema string
