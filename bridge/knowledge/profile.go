package knowledge

import "slices"

// Profile is the version of the legacy server whose behaviour is offered.
type Profile string

// The profiles. No public copy of the page of 8.5.2 and 8.5.3 is known; they are taken
// to be like 8.5.1.
const (
	Profile850 Profile = "8.5.0"
	Profile851 Profile = "8.5.1"
	Profile90  Profile = "9.0"
)

// Profiles returns every profile, the oldest first.
func Profiles() []Profile { return []Profile{Profile850, Profile851, Profile90} }

// Known reports whether p is one of [Profiles].
func (p Profile) Known() bool { return slices.Contains(Profiles(), p) }

// createsOnRetrieve tells what becomes of a retrieve of an unknown session: it is
// created with the id that was asked for, or it is not found. The reference says
// "created automatically" for 8.5.0 and 9.0, and "Session not found" for 8.5.1; that
// the new session has the requested id is ours.
func (p Profile) createsOnRetrieve() bool { return p != Profile851 }

// needsTenant tells whether each call names a tenant. The reference of 9.0 says so
// for create and retrieve; that update needs it too is ours. In the other profiles
// whatever a call names is ignored.
func (p Profile) needsTenant() bool { return p == Profile90 }
