// The customer script: one global, Cobridge. It asks the customer, connects,
// records, and shows what is going on. docs/protocol.md has the frames.

import { emit, off, on } from './events.js';
import { makePointers, reportPointer } from './pointers.js';
import { makePolicy, pageOf, region } from './policy.js';
import { framed, options, part, takeToken } from './options.js';
import { focused, listen, quiet } from './quiet.js';
import { makeRecorder } from './recorder.js';
import { load, makeTabs, newID, save } from './resume.js';
import { failure, getSettings, sessionOf, startSession } from './service.js';
import { makeStream } from './stream.js';
import { dialogOf, panelOf, primary, secondary, wordsOf } from './view.js';
import { makeWidget } from './widget.js';

const version = '0.1.0';
const actEvery = 10_000; // ms between two reports of input
const lookEvery = 500; // ms between two looks at the address, our host element and the locks
const corners = ['bottom-right', 'bottom-left', 'top-left', 'top-right'];

// --- What there is while nothing is shared ----------------------------------

/** @type {'off'|'asking'|'waiting'|'live'|'paused'|'reconnecting'|'ended'} */
let state = 'off';
let settings = null; // of the deployment
let policy = null;
let widget = null;
let pointers = null;
let token = ''; // join token from the address that has not been used
let note = null; // panel that says something final: {tone, head, text, buttons}
let answerConsent = null; // ends the question whether to share
let starting = null; // promise of start

// --- The session ------------------------------------------------------------

/** @type {import('./resume.js').Kept|null} */
let kept = null;
/** @type {import('./resume.js').Kept|null} */
let spare = null; // of the session that another tab shares
let stream = null;
let recorder = null;
let rules = null;
let take = false; // the other tab is to be replaced
let began = null; // {resolve, reject} of start
let peers = [];
let grants = [];
let asks = []; // of viewers, oldest first
let serverState = '';
let skew = 0; // server's clock minus ours, ms
let takenBack = 0; // when all permissions were, by the server's clock
let owed = false; // the server has not heard of that yet
let pausedFor = ''; // 'customer', 'page' or nothing
let tooLarge = false;
let lost = false;
let toldPage = '';
let secretFocus = 0; // id of the private field with the focus
let lastAct = 0;

const setState = (to) => {
	if (state === to) return;
	state = to;
	emit('state', state);
};

const text = (key, values) => wordsOf(settings, key, values);
const nameOf = (id) => {
	const peer = peers.find((p) => p.id === id);
	return peer?.name || text(`role.${peer?.role ?? 'agent'}`);
};
const others = () => peers.filter((p) => p.id !== kept?.participant);
const inForce = () => grants.filter((g) => g.kind !== 'sharing' && !(Date.parse(g.expiresAt) < Date.now() + skew));
const granted = (kind, participant) => !pausedFor && inForce().some((g) => g.kind === kind && g.participant === participant);

// --- What is shown ----------------------------------------------------------

const closeNote = () => {
	note = null;
	if (state === 'ended') setState('off');
	render();
	if (!settings) widget = null; // its words were not the page's
};

const render = quiet(() => {
	if (!settings && !note && !widget) return;
	if (!widget) {
		const at = Math.max(0, corners.indexOf(options.button));
		widget = makeWidget({
			text, corner: kept?.corner ?? at, small: !!kept?.small,
			onStart: () => { start().catch(() => {}); },
			onMove(corner, small) {
				if (kept) save(Object.assign(kept, { corner, small }));
			},
		});
		pointers = makePointers({ layer: widget.layer, getNode: (id) => recorder?.getNode(id), nameOf });
	}
	const busy = kept || state === 'asking';
	widget.show({
		start: settings && options.button !== 'none' && !busy && !note,
		frame: !!kept && !lost && !pausedFor && inForce().some((g) => g.kind === 'control'),
		panel: note || kept && panelOf(
			{ text, nameOf, lost, welcomed: !!serverState, pausedFor, tooLarge, others: others(), grants: inForce(), number: kept.number },
			{ stop, pause, resume, takeBack },
		),
		dialog: dialogOf({ text, nameOf, sharing: answerConsent && settings.consent.sharing, ask: asks[0] }, { agree: (ok) => !(ok && acting) && answerConsent?.(ok), answer }),
	});
});

/** Says why nothing is shared, and what to do. */
const fail = (code) => {
	note = {
		tone: 'bad', head: text('failed.head'), text: text(`failed.${code}`) || text('failed.'),
		buttons: [...code === 'lost' ? [primary('again', () => reconnect(spare))] : [], secondary('close', closeNote)],
	};
	emit('error', { code });
	render();
};

// --- Starting ---------------------------------------------------------------

const pageRules = () => ({ text: options.text, mask: options.mask, show: options.show, block: options.block, readonly: options.readonly });

const prepare = async () => {
	settings ??= await getSettings();
	// Rules that cannot be followed are known before anybody is asked.
	usePolicy(settings.rules);
};
const usePolicy = (given) => {
	try {
		policy = makePolicy(given, pageRules());
		rules = given;
	} catch (problem) {
		throw Object.assign(failure('rules'), { selector: problem.selector });
	}
};

/** Asks the customer; resolves to what was answered. */
const consent = () => new Promise((resolve) => {
	setState('asking');
	answerConsent = (ok) => {
		answerConsent = null;
		resolve(ok);
	};
	render();
});

const begin = async ({ name } = {}) => {
	note = null;
	try {
		await prepare();
		const session = token && sessionOf(token);
		if (token && !session) {
			token = '';
			throw failure('join.token.invalid');
		}
		if (!await consent()) throw failure('declined');
		kept = { session, participant: '', secret: '', tab: newID(), epoch: 0, agreed: settings.consent.version };
		if (!token) {
			const made = await startSession(name);
			token = made.token;
			Object.assign(kept, { session: made.sessionId ?? made.id, participant: made.participantId, number: made.sessionToken });
		}
		const number = kept.number;
		tabs.claim(kept.tab);
		await new Promise((resolve, reject) => {
			began = { resolve, reject };
			connect();
		});
		return { sessionId: kept.session, sessionToken: number };
	} catch (problem) {
		kept = null;
		if (problem.code === 'declined') {
			setState('off');
			render();
		} else if (!note) {
			setState('ended');
			fail(problem.code ?? '');
		}
		throw problem;
	}
};
const start = (how) => {
	if (kept) return Promise.reject(failure('busy'));
	starting ??= begin(how).finally(() => { starting = null; });
	return starting;
};

/** Goes on with a session that this tab, or another one, had. */
const reconnect = async (from) => {
	note = spare = null;
	kept = { ...from };
	setState('reconnecting');
	connect();
};

/** Goes on after a reload, or on another page of the site. */
const goOn = async (from) => {
	await prepare();
	if (from.agreed !== settings.consent.version) {
		// Other words need another answer.
		if (!await consent()) return ended('');
		from.agreed = settings.consent.version;
	}
	return reconnect(from);
};

// --- Connected --------------------------------------------------------------

const connect = () => {
	lost = false;
	serverState = '';
	peers = [];
	grants = [];
	asks = [];
	toldPage = '';
	tooLarge = false;
	pausedFor = kept.paused ? 'customer' : '';
	stream = makeStream({
		address: `${options.base}/api/v2/cobrowse/sessions/${encodeURIComponent(kept.session)}/stream`,
		epoch: kept.epoch + 1,
		hello: () => ({
			...token ? { token } : { participant: kept.participant, resume: { token: kept.secret } },
			tab: kept.tab, ...take ? { take } : {}, sdk: version, vw: innerWidth, vh: innerHeight,
		}),
		onFrame: receive,
		onLost() {
			lost = true;
			setState('reconnecting');
			render();
		},
		onOver: over,
		full: () => recorder?.full(),
	});
	stream.connect();
	render();
};

/** Stops sharing in this tab, whatever becomes of the session. */
const leave = (after) => {
	stream?.close(after);
	recorder?.stop();
	pointers?.clear();
	save(null);
	const last = kept;
	stream = recorder = kept = null;
	take = lost = false;
	asks = [];
	grants = [];
	return last;
};

const otherTab = (head, body, act) => {
	note = { tone: 'warn', head: text(head), text: text(body), buttons: [primary('here', act), secondary('close', closeNote)] };
	render();
};

const ended = (why, after) => {
	leave(after);
	setState('ended');
	note = { head: text('ended.head'), text: text(`ended.${why}`) || text('ended.'), buttons: [secondary('close', closeNote)] };
	emit('ended', { why });
	began?.reject(failure('ended'));
	began = null;
	render();
};

/** The stream is over: a close code, or a code of the API. */
const over = quiet((code, reason) => {
	if (code === 1000) return ended(reason);
	if (code === 4409) {
		spare = leave();
		setState('off');
		otherTab(...reason === 'otherTab' ? ['other.head', 'other.text'] : ['moved.head', 'moved.text'], takeOver);
		began?.reject(failure('otherTab'));
		began = null;
		return;
	}
	spare = leave();
	if (code !== 'lost') token = '';
	setState('ended');
	const codes = { 4401: reason, 4403: reason === 'removed' ? reason : 'not.authorized', 4404: 'not.found', 4410: 'cobrowse.session.ended' };
	fail(codes[code] ?? (typeof code === 'string' ? code : ''));
	began?.reject(failure(codes[code] ?? `${code}`));
	began = null;
});

const receive = (f) => {
	switch (f.t) {
		case 'welcome': welcome(f); break;
		case 'state':
			serverState = f.state;
			if (f.state === 'ended') return ended(f.why);
			break;
		case 'peers':
			peers = f.list;
			for (const p of others()) if (!p.connected) pointers.gone(p.id);
			asks = asks.filter((a) => peers.some((p) => p.id === a.from && p.connected));
			emit('peers', peers);
			break;
		case 'grants':
			// Older news than the customer's word do not count.
			grants = f.list.filter((g) => Date.parse(g.grantedAt) > takenBack);
			if (inForce().length) control();
			emit('grants', inForce());
			// Those that end by themselves leave the panel, too.
			for (const g of grants) if (g.expiresAt) setTimeout(render, Math.max(0, Date.parse(g.expiresAt) - Date.now() - skew) + 50);
			break;
		case 'ask':
			asks = [...asks.filter((a) => a.from !== f.from || a.kind !== f.kind), f];
			control();
			break;
		case 'ctl': control(f); return;
		case 'ptr': pointers.ptr(f); return;
		case 'draw': pointers.draw(f); return;
		case 'err': emit('error', { code: f.code }); return;
		default: return; // of a later version of the protocol
	}
	const seen = others().some((p) => p.connected);
	setState(pausedFor ? 'paused' : serverState === 'live' || seen ? 'live' : 'waiting');
	render();
};

const welcome = (f) => {
	token = '';
	take = lost = false;
	Object.assign(kept, { participant: f.participant, secret: f.resume?.token ?? kept.secret });
	serverState = f.state;
	skew = Date.parse(f.now) - Date.now() || 0;
	stream.send({ t: 'consent', kind: 'sharing', ok: true, text: kept.agreed });
	if (owed) owed = !stream.send({ t: 'revoke' });
	if (!recorder) {
		try {
			if (f.rules) usePolicy(f.rules);
		} catch {
			over('rules', '');
			return;
		}
		recorder = makeRecorder({
			policy, limits: f.limits,
			send(frame) {
				// A private page that came without a load is noticed before its content leaves.
				look();
				if (!pausedFor) stream.events(frame);
				if (frame.k === 'full' && tooLarge) {
					tooLarge = false;
					render();
				}
			},
			onError: quiet(({ code }) => {
				if (code !== 'too_large') return over('', '');
				tooLarge = true;
				render();
			}),
		});
		emit('session', { sessionId: kept.session, sessionToken: kept.number });
	}
	toldPage = '';
	secretFocus = 0;
	pausedFor = '';
	if (f.state === 'paused' && !whyPaused()) stream.send({ t: 'pause', on: false, why: 'page' });
	look();
	stream.send({ t: 'vis', hidden: document.hidden });
	onFocus();
	// The stream knows the epoch when this task is done.
	queueMicrotask(quiet(() => {
		kept.epoch = stream.epoch();
		save(kept);
		recorder.start();
	}));
	began?.resolve();
	began = null;
};

const whyPaused = () => (kept.paused ? 'customer' : policy.paused(location.href) ? 'page' : '');

/** Looks where the customer is: pauses, goes on, and tells the page. */
const look = () => {
	recorder?.look();
	if (!kept || !recorder || lost) return;
	const why = whyPaused();
	if (why !== pausedFor) {
		const was = pausedFor;
		pausedFor = why;
		if (why) {
			recorder.pause();
			stream.send({ t: 'pause', on: true, why });
			pointers.clear();
			asks = [];
		} else {
			stream.send({ t: 'pause', on: false, why: was });
			recorder.resume();
		}
		setState(why ? 'paused' : others().some((p) => p.connected) ? 'live' : 'waiting');
		render();
	}
	const page = { t: 'page', ...pageOf(policy, why) };
	const told = JSON.stringify(page);
	if (told !== toldPage && stream.send(page)) {
		if (JSON.parse(toldPage || '{}').url !== page.url) tooLarge && recorder.full();
		toldPage = told;
	}
};

/** Tells that the customer is in a private field, or has left it; never which or what. */
const onFocus = () => {
	if (!kept || !recorder || pausedFor) return;
	const el = focused();
	const id = el && el !== document.body && policy.isPrivate(el) && !el.matches('.rr-block') ? recorder.getId(region(policy, el)) : 0;
	const now = id > 0 ? id : 0;
	if (now === secretFocus) return;
	stream.send({ t: 'focus', e: stream.epoch(), id: now || secretFocus, masked: !!now });
	secretFocus = now;
};

// --- Permissions ------------------------------------------------------------

const answer = (ok) => {
	if (ok && acting) return; // a viewer may have pressed it, where the page has a button of its own for that
	const { n, kind, from } = asks.shift();
	stream.send({ t: 'consent', kind, ok, to: from, n, text: settings.consent.version });
	render();
};

/** Takes every permission back, at once and without waiting for the server. */
const takeBack = () => {
	grants = [];
	takenBack = Date.now() + skew;
	owed = !stream.send({ t: 'revoke' });
	emit('grants', []);
	render();
};

let run = null;
let acting = false; // a viewer does something in the page, or it has just done so
const control = quiet(async (f) => {
	run ??= (async () => (await part(api, 'control'))[0]({
		epoch: () => stream.epoch(), getNode: (id) => recorder.getNode(id), policy: () => policy, rules: () => rules, granted,
	}))();
	if (!f) return;
	const act = await run.catch(() => () => ({ ok: false, why: 'error', path: '' }));
	acting = true;
	const { ok, why, path, then } = act(f);
	setTimeout(() => { acting = false; }); // what the page has put off until later in this task is the viewer's as well
	stream.send({ t: 'done', to: f.from, n: f.n, ok, ...why ? { why } : {}, path });
	emit('action', { from: f.from, kind: f.k, ok, why, path });
	// The answer is on its way before the page goes.
	if (then) setTimeout(quiet(then), 50);
});

// --- What the customer does -------------------------------------------------

const setPaused = (paused) => {
	if (!kept) return;
	save(Object.assign(kept, { paused }));
	look();
};
const pause = () => setPaused(true);
const resume = () => setPaused(false);
const stop = () => {
	answerConsent?.(false);
	if (!kept) return;
	stream.send({ t: 'end' });
	// The server closes the connection; but nothing more leaves the page from here on.
	ended('', 2000);
};

const here = () => kept && stream && { session: kept.session };
const tabs = makeTabs((question) => {
	if (question === 'shared') return here();
	if (question !== 'give' || !here()) return undefined;
	const given = leave();
	spare = given;
	setState('off');
	otherTab('moved.head', 'moved.text', takeOver);
	return given;
});

/** Shares this tab instead of the other one, which hands over what it has. */
const takeOver = quiet(async () => {
	const from = await tabs.ask('give') || spare;
	if (!from) return closeNote();
	await prepare();
	take = true;
	from.tab = newID();
	tabs.claim(from.tab);
	return reconnect(from);
});

let offered = ''; // session about which this tab was asked
/** Asks whether the shared tab is to be this one, which has come to the front. */
const offer = quiet(async () => {
	if (kept || starting || note || document.hidden) return;
	const other = await tabs.ask('shared');
	if (!other || kept || starting || offered === other.session) return;
	await prepare();
	offered = other.session;
	otherTab('other.head', 'other.text', takeOver);
});

listen(window, 'pointerdown pointermove wheel keydown', (event) => {
	if (!event.isTrusted || !kept || Date.now() - lastAct < actEvery) return;
	lastAct = Date.now();
	stream.send({ t: 'act' });
});
listen(window, 'keydown', (event) => {
	if (event.isTrusted && event.key === 'Escape' && kept && inForce().some((g) => g.kind === 'control')) takeBack();
});
listen(window, 'focusin focusout', () => setTimeout(quiet(onFocus)));
listen(window, 'popstate hashchange', look);
listen(document, 'securitypolicyviolation', (event) => {
	if (stream && event.effectiveDirective === 'connect-src' && event.blockedURI.startsWith(options.base.replace(/^http/, 'ws'))) over('blocked', '');
});
listen(window, 'online', () => stream?.hurry());
listen(window, 'pageshow', (event) => {
	if (!event.persisted || !kept) return;
	// Another page of this tab may have gone on with the session.
	const newest = load();
	if (!newest) {
		ended('');
		return;
	}
	Object.assign(kept, newest);
	stream.connect();
});
listen(document, 'visibilitychange', () => (kept ? stream.send({ t: 'vis', hidden: document.hidden }) : options.deployment && offer()));
reportPointer(
	(ptr) => stream.send(ptr), (el) => recorder.getId(el),
	(el) => !kept || !recorder || !!pausedFor || policy.isPrivate(el),
);
setInterval(quiet(() => {
	widget?.keep();
	look();
	if (!pointers) return;
	const shown = kept && recorder && !lost && !pausedFor;
	pointers.locks(shown ? [...document.querySelectorAll('input,textarea,select')].filter(policy.isPrivate) : []);
}), lookEvery);

// --- The global -------------------------------------------------------------

const api = {
	version,
	get state() { return state; },
	/** Asks the customer and starts a session. @param {{name?: string}} [how] @returns {Promise<{sessionId: string, sessionToken?: string}>} */
	start,
	stop: quiet(stop),
	pause: quiet(pause),
	resume: quiet(resume),
	/** @param {'state'|'session'|'peers'|'grants'|'ended'|'error'|'action'} event @param {(detail: any) => void} fn */
	on(event, fn) {
		on(event, fn);
		return api;
	},
	off(event, fn) {
		off(event, fn);
		return api;
	},
	/** @param {import('./options.js').Options} more */
	configure(more) {
		Object.assign(options, more);
		boot();
		return api;
	},
	/** Lists every field and attribute of the page with the rule that shows or hides it. @param {Element} [container] where to show it; else the console */
	async lint(container) {
		await prepare();
		const [lint, renderLint] = await part(api, 'lint');
		const rows = lint(document, policy);
		if (container) renderLint(rows, container);
		else console.table(rows);
		return rows;
	},
};

let booted = false;
const boot = quiet(async () => {
	if (booted || !options.deployment || !options.base || framed()) return;
	booted = true;
	if (document.prerendering) await new Promise((resolve) => { document.addEventListener('prerenderingchange', resolve); });
	if (token) {
		await start();
		return;
	}
	const before = load();
	if (before) {
		if (await tabs.claim(before.tab)) return await goOn(before);
		// A copy of the tab that is shared: window.open has copied what it keeps.
		spare = before;
		save(null);
	}
	if (options.button !== 'none' || spare) {
		await prepare();
		render();
	}
	await offer();
});

if (!window.Cobridge) {
	window.Cobridge = api;
	token = takeToken();
	boot();
}
