package contract_test

import (
	"fmt"
	"slices"

	"github.com/cobridge/cobridge/mocks/contract"
)

// What keeps a row of the checklist?
func ExampleCases() {
	for _, c := range contract.Cases() {
		if slices.Contains(c.Rows(), "T21") {
			fmt.Println(c.Name)
		}
	}
	// Output: T21 409 names the live session
}
