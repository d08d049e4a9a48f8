package stream

import (
	"context"
	"errors"
	"slices"

	"github.com/cobridge/cobridge"
	"github.com/cobridge/cobridge/cobrowse"
	"github.com/cobridge/cobridge/cobrowse/relay"
)

// receive takes an ev frame of the sharer, and reports whether there may be more.
func (l *link) receive(data []byte) bool {
	r := l.room
	if !r.mayShare(l, l.hub.clock.Now()) {
		if !r.isSharer(l) {
			return true // replaced a moment ago; it will hear of it
		}
		err := &cobridge.Error{Code: cobridge.CodeNotAuthorized, Message: "The sharer must have agreed to share before the first ev frame."}
		l.fail(newErrFrame(err, true), closeConsentMissing, "")
		return false
	}
	err := r.picture.Receive(slices.Clone(data)) // data will be overwritten
	switch masking, ok := errors.AsType[*relay.MaskingError](err); {
	case err == nil, errors.Is(err, relay.ErrPaused): // what was on its way when the page paused is of no interest
		return true
	case ok:
		l.violated(masking.Path)
	case errors.Is(err, relay.ErrTooLarge):
		l.fail(newErrFrame(&cobridge.Error{Code: cobridge.CodeBadRequest, Message: "The ev frame is too large."}, true), closeTooLarge, "")
	default:
		l.fail(newErrFrame(errFrameRefused(), true), closeBadFrame, "")
	}
	return false
}

// violated ends a session in whose picture a private field had a value.
func (l *link) violated(path string) {
	l.room.picture.Pause(true) // whatever becomes of the rest
	l.hub.log.Error("masked content on the wire, session ended", "sessionId", string(l.member.session), "path", path)
	call(l.hub.metrics.Violated)
	var err error
	for range closeAttempts {
		ctx, cancel := l.hub.detached()
		if err = l.hub.service.Violate(ctx, l.member.session, path); err == nil {
			l.hub.refresh(ctx, l.member.session)
		}
		cancel()
		if err == nil {
			return
		}
	}
	l.hub.log.Error("violation not stored", "sessionId", string(l.member.session), "err", err)
	l.shut(closeInternal, "")
}

// handle does what a frame asks for; body is what decodeFrame made of it, within
// tells whether it keeps to the rate of its kind.
func (l *link) handle(kind string, body any, within bool) {
	if l.quick(kind, body) {
		return
	}
	ctx, cancel := l.hub.detached()
	defer cancel()
	service, m := l.hub.service, l.member
	var err error
	switch f := body.(type) {
	case *hello:
		if m.session == "" {
			l.introduce(ctx, *f)
		}
		return // a second hello says nothing new
	case *pageVisit:
		err = service.VisitPage(ctx, m.session, m.participant, m.number, f.URL, f.Title)
	case *consent:
		err = l.consent(ctx, *f)
	case *revoke:
		err = l.revoke(ctx, *f)
	case *ask:
		l.ask(ctx, *f, within)
		return
	case *ctl:
		l.steer(ctx, *f, within)
		return
	case *done:
		l.done(ctx, *f)
		return
	default:
		switch kind {
		case kindAct:
			err = service.Activity(ctx, m.session)
		case kindEnd:
			err = service.Leave(ctx, m.session, m.participant, m.number)
		default:
			return // of a later version of the protocol
		}
	}
	if err != nil {
		l.complain(ctx, err)
		return
	}
	l.hub.refresh(ctx, m.session)
}

// complain tells the client that a frame was refused, and goes on.
func (l *link) complain(ctx context.Context, err error) {
	l.report(ctx, err)
	l.tell(kindErr, newErrFrame(err, false))
}

// sharerOnly complains if this is not the sharer.
func (l *link) sharerOnly() bool {
	if !l.member.sharer {
		l.tell(kindErr, newErrFrame(notAllowed("Only the sharer sends this."), false))
	}
	return l.member.sharer
}

// quick does what no service is needed for, and reports whether that was all.
func (l *link) quick(kind string, body any) bool {
	r := l.room
	switch f := body.(type) {
	case *focus:
		if l.sharerOnly() {
			r.focused(l, *f)
		}
	case *vis:
		f.T = kindVis
		if l.member.sharer {
			r.shown(l, *f)
		} else {
			r.picture.Hide(l.out, f.Hidden)
		}
	case *pause:
		if l.sharerOnly() {
			r.pause(l, *f)
		}
	case *ptr:
		f.T, f.From = kindPtr, l.member.participant
		r.pass(l, kindPtr, f)
	case *draw:
		f.T, f.From = kindDraw, l.member.participant
		r.pass(l, kindDraw, f)
	default:
		if kind != kindNeed {
			return false
		}
		if !l.member.sharer {
			r.picture.Resync(l.out)
		}
	}
	return true
}

// consent records the sharer's answer and passes it on to who asked.
func (l *link) consent(ctx context.Context, c consent) error {
	service, m := l.hub.service, l.member
	if !m.sharer {
		return notAllowed("Only the sharer can agree to something.")
	}
	if !c.OK {
		if c.Kind == cobrowse.GrantSharing {
			return service.Revoke(ctx, m.session, m.participant, m.number, c.Kind, "")
		}
		l.room.answer(c, whyDeclined, l.hub.clock.Now())
		return nil
	}
	err := service.Grant(ctx, m.session, m.participant, m.number, cobrowse.GrantRequest{
		Kind: c.Kind, To: c.To, TextVersion: c.Text, TTL: c.ttl(),
	})
	if err != nil {
		l.room.answer(c, whyNotAllowed, l.hub.clock.Now())
		return err
	}
	l.hub.refresh(ctx, m.session) // the grant first, then the answer
	l.room.answer(c, "", l.hub.clock.Now())
	return nil
}

func (l *link) revoke(ctx context.Context, f revoke) error {
	m := l.member
	return l.hub.service.Revoke(ctx, m.session, m.participant, m.number, f.Kind, f.Participant)
}

// ask passes a viewer's question on to the sharer, or answers it with no.
func (l *link) ask(ctx context.Context, f ask, within bool) {
	m := l.member
	f.T, f.From, f.Name, f.Role = kindAsk, m.participant, m.name, m.role
	no := answerFrame{T: kindAnswer, N: f.N, Kind: f.Kind, Why: whyNotAllowed}
	if m.sharer {
		l.tell(kindAnswer, no)
		return
	}
	s, err := l.hub.service.Look(ctx, m.session)
	var may []cobrowse.GrantKind
	if err == nil {
		may, err = l.hub.service.MayAsk(ctx, s, m.participant)
	}
	switch {
	case err != nil:
		l.complain(ctx, err)
	case !slices.Contains(may, f.Kind):
		l.tell(kindAnswer, no)
	case !within || !l.room.ask(f, l.hub.clock.Now()):
		no.Why = whyBusy
		l.tell(kindAnswer, no)
	}
}
