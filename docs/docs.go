package docs

import _ "embed"

// OpenAPI is docs/openapi.yaml: OpenAPI 3.1, YAML, UTF-8. It is only read.
//
//go:embed openapi.yaml
var OpenAPI []byte

// SwaggerJS is the script of swagger-ui-dist 5.35.0, compressed with gzip. It is only
// read. Source and licence stand in docs/swagger-ui.
//
//go:embed swagger-ui/swagger-ui-bundle.js.gz
var SwaggerJS []byte

// SwaggerCSS is the style sheet of swagger-ui-dist 5.35.0, compressed with gzip. It
// is only read.
//
//go:embed swagger-ui/swagger-ui.css.gz
var SwaggerCSS []byte
