package maskproof

import _ "embed" // of the report

//go:embed report.html
var reportText string
