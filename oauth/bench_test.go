package oauth_test

import (
	"testing"

	"github.com/cobridge/cobridge/oauth"
)

func BenchmarkGrant(b *testing.B) {
	for _, algorithm := range []oauth.Algorithm{oauth.EdDSA, oauth.RS256} {
		b.Run("alg="+string(algorithm), func(b *testing.B) {
			w := newWorld(b, algorithm)
			id, secret := w.client(b, orgA, oauth.ScopeCobrowseWrite, oauth.ScopeCobrowseRead, oauth.ScopeConversationsRead, oauth.ScopeUserRead)
			req := oauth.GrantRequest{ClientID: id, ClientSecret: secret, GrantType: oauth.GrantTypeClientCredentials}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Grant(b.Context(), req); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	for _, algorithm := range []oauth.Algorithm{oauth.EdDSA, oauth.RS256} {
		w := newWorld(b, algorithm)
		id, secret := w.client(b, orgA, oauth.ScopeCobrowseWrite, oauth.ScopeCobrowseRead, oauth.ScopeConversationsRead, oauth.ScopeUserRead)
		raw := token(b, w.Service, id, secret).Raw
		b.Run("alg="+string(algorithm)+"/remembered=true", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Verify(b.Context(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("alg="+string(algorithm)+"/remembered=false", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				oauth.ForgetSignatures(w.Service)
				if _, err := w.Verify(b.Context(), raw); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkVerifyParallel(b *testing.B) {
	w := newWorld(b, oauth.EdDSA)
	id, secret := w.client(b, orgA)
	raw := token(b, w.Service, id, secret).Raw
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := w.Verify(b.Context(), raw); err != nil {
				b.Error(err)
				return
			}
		}
	})
}
