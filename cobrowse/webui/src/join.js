// The join page: redeems the join token, opens the stream, and shows what the
// stream says; to viewers, the sharer's page as well (viewer/view.js). Everything
// that came from elsewhere is written as text, never as markup. docs/protocol.md
// describes the frames and close codes.

import { $, say, setup, text, write } from './viewer/page.js';
import { showPeers, showTime } from './viewer/panel.js';
import { makeView } from './viewer/view.js';

const actEvery = 10_000; // ms between two reports of input
const backoff = { first: 250, most: 10_000 }; // ms

// Base of all paths: the page may lie behind a gateway's prefix.
const base = location.pathname.replace(/\/cobrowse\/join\/?$/, '');

const state = {
	token: '', // join token that has not been redeemed
	session: '',
	participant: '',
	sharer: false,
	role: '',
	screen: 'connecting',
	over: false, // nothing follows by itself
	phase: 'waiting',
	deadline: 0, // ms since 1970, by the server's clock
	skew: 0, // the server's clock minus ours, ms
	grace: 120_000, // how long a lost connection is worth repairing, ms
	lostAt: 0, // when the connection was lost; 0 = it is not
	attempt: 0,
	retry: 0, // timer
	lastAct: 0,
};

/** @type {WebSocket | null} */
let socket = null;

/** @type {ReturnType<typeof makeView> | null} of a viewer */
let view = null;

// --- What is kept between reloads -------------------------------------------

// Storage may be switched off; the page then works until it is reloaded.
const storage = {
	get(key) {
		try { return sessionStorage.getItem(key) ?? ''; } catch { return ''; }
	},
	set(key, value) {
		try { sessionStorage.setItem(key, value); } catch { /* see above */ }
	},
	remove(key) {
		try { sessionStorage.removeItem(key); } catch { /* see above */ }
	},
};

function tab() {
	let id = storage.get('cobridge.tab');
	if (!id) {
		// randomUUID is missing on plain http outside of loopback.
		id = Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
		storage.set('cobridge.tab', id);
	}
	return id;
}
const thisTab = tab();
const secretKey = () => `cobridge.resume.${state.session}.${state.participant}`;

// --- What is shown ----------------------------------------------------------

// pills are the screens whose pill has another name than the screen.
const pills = { full: 'refused', busy: 'refused', warning: 'refused', lost: 'reconnecting', sharerLost: 'reconnecting' };

/**
 * Shows a screen. With focus, readers are led to its headline.
 * @param {{screen: string, tone?: string, head?: string, text?: string, next?: string, again?: string, focus?: boolean}} s
 */
function show(s) {
	state.screen = s.screen;
	document.body.dataset.screen = s.tone ?? s.screen;
	const pill = text(`state.${pills[s.screen] ?? s.screen}`) || text('state.refused');
	write('pill', pill);
	document.title = `${pill} – ${text('title')}`;
	write('headline', s.head ?? text(`${s.screen}.head`));
	write('text', s.text ?? text(`${s.screen}.text`));
	write('next', s.next ?? '');
	write('again', s.again ?? '');
	if (s.focus) $('headline').focus();
}

function showState() {
	if (state.phase === 'live') {
		show({ screen: 'live', text: text(state.sharer ? 'live.sharer' : 'live.viewer') });
	} else if (state.phase === 'paused' || state.phase === 'reconnecting') {
		const screen = state.phase === 'paused' ? 'paused' : 'sharerLost';
		show({ screen, tone: state.phase, head: text(`${screen}.head`), text: text(`${screen}.text`) });
	} else {
		show({ screen: 'waiting' });
	}
	view?.trouble('');
	write('note', '');
	$('panel').hidden = false;
	write('timeHint', text(state.phase === 'live' ? 'time.live' : 'time.waiting'));
	write('exit', text(state.role === 'supervisor' ? 'exit.leave' : 'exit.end'));
	$('exit').disabled = false;
}

/** The last screen: nothing happens by itself any more. */
function finish(s) {
	state.over = true;
	clearTimeout(state.retry);
	socket?.close();
	socket = null;
	if ($('confirm').open) $('confirm').close();
	view?.close();
	$('panel').hidden = true;
	$('page').hidden = true;
	write('note', '');
	show({ focus: true, ...s });
}

function finishEnded(why) {
	storage.remove(secretKey());
	finish({ screen: 'ended', text: text(`ended.${why}`) || text('ended.unknown'), next: text('ended.next') });
}

/** Ends with the words for a refusal: a code of the API, or of docs/protocol.md. */
function refuse(code) {
	if (code === 'cobrowse.session.ended') return finishEnded('');
	const known = text(`${code}.head`) ? code : 'failed';
	const again = known === 'failed' || known === 'busy' || known === 'full' ? text('again') : '';
	return finish({
		screen: 'refused', head: text(`${known}.head`), text: text(`${known}.text`), next: text(`${known}.next`), again,
	});
}

function showPage(frame) {
	$('page').hidden = !frame.url;
	write('pageTitle', frame.title ?? '');
	write('pageURL', frame.url ?? '');
	view?.page(frame);
}

// --- Coming in --------------------------------------------------------------

/** Takes token and names out of the address, and the token off it. */
function readAddress() {
	const query = new URLSearchParams(location.search);
	const fragment = new URLSearchParams(location.hash.slice(1));
	state.token = fragment.get('token') ?? query.get('token') ?? '';
	state.session = query.get('session') ?? setup.session ?? '';
	state.participant = query.get('participant') ?? setup.participant ?? '';
	replaceAddress();
}

function replaceAddress() {
	const names = state.session && state.participant ? `?${new URLSearchParams({ session: state.session, participant: state.participant })}` : '';
	history.replaceState(null, '', location.pathname + names);
}

async function start() {
	state.over = false;
	show({ screen: 'connecting' });
	if (state.token) return redeem();
	if (state.session && state.participant) return connect();
	return refuse('missing');
}

async function redeem() {
	let response;
	try {
		response = await fetch(`${base}/api/v2/cobrowse/join`, {
			method: 'POST',
			headers: { 'Content-Type': 'application/json', Accept: 'application/json' },
			body: JSON.stringify({ token: state.token, tab: thisTab }),
		});
	} catch {
		return again(redeem);
	}
	const body = await response.json().catch(() => ({}));
	if (response.status === 429 || response.status === 503) return again(redeem, Number(response.headers.get('Retry-After')) * 1000);
	if (!response.ok) return refuse(response.status === 409 ? 'busy' : body.code);
	state.token = '';
	state.session = body.sessionId;
	state.participant = body.participantId;
	replaceAddress();
	if (body.resume) storage.set(secretKey(), body.resume);
	else if (setup.session !== body.sessionId) {
		// The page came without the token, and so without the policy of this session,
		// which names where the pictures of the sharer's page may come from.
		location.replace(location.href);
		return undefined;
	}
	state.attempt = 0;
	state.lostAt = 0;
	return connect();
}

function connect() {
	clearTimeout(state.retry);
	const secret = storage.get(secretKey());
	const address = new URL(`${base}/api/v2/cobrowse/sessions/${encodeURIComponent(state.session)}/stream`, location.href);
	address.protocol = address.protocol.replace('http', 'ws');
	if (!secret) address.search = new URLSearchParams({ participant: state.participant, tab: thisTab });
	const mine = new WebSocket(address, ['cobridge.v1']);
	let opened = false;
	socket = mine;
	mine.onopen = () => {
		opened = true;
		send({ t: 'hello', v: 1, tab: thisTab, ...(secret ? { participant: state.participant, resume: { token: secret } } : {}) });
	};
	mine.onmessage = (event) => {
		if (mine === socket) receive(event.data);
	};
	mine.onclose = (event) => {
		if (mine !== socket) return;
		socket = null;
		if (opened) closed(event.code, event.reason);
		else explain(secret);
	};
}

/** A browser does not tell why a WebSocket was refused, so the server is asked. */
async function explain(secret) {
	const names = secret ? '' : `?${new URLSearchParams({ participant: state.participant, tab: thisTab })}`;
	try {
		const response = await fetch(`${base}/api/v2/cobrowse/sessions/${encodeURIComponent(state.session)}/stream/check${names}`);
		if ([401, 403, 404, 410].includes(response.status)) {
			const body = await response.json().catch(() => ({}));
			return refuse(body.code);
		}
	} catch { /* offline, or the service is not there: try again */ }
	return again(connect);
}

/** Tries again after a pause that grows, until the grace time is over. */
function again(what, least = 0) {
	if (state.over) return;
	state.lostAt ||= Date.now();
	if (Date.now() - state.lostAt > state.grace) {
		finish({ screen: 'lost', tone: 'warning', again: text('again') });
		return;
	}
	const pause = Math.min(backoff.most, backoff.first * 2 ** state.attempt);
	state.attempt += 1;
	clearTimeout(state.retry);
	state.retry = setTimeout(what, Math.max(least || 0, pause * (0.75 + Math.random() / 2)));
	showTrouble();
}

function showTrouble() {
	const offline = !navigator.onLine;
	// A socket looks open for a while after the network has gone.
	if (state.over || !offline && socket?.readyState === WebSocket.OPEN) return;
	const screen = offline ? 'offline' : 'reconnecting';
	document.body.dataset.screen = screen;
	write('pill', text(`state.${screen}`));
	write('note', text(`${screen}.note`));
	view?.trouble(offline ? 'offline' : 'reconnecting');
	$('exit').disabled = true;
}

/** What the close codes of docs/protocol.md mean to this page. */
function closed(code, reason) {
	switch (code) {
		case 1000:
			return reason === 'left' ? finish({ screen: 'left' }) : finishEnded(reason);
		case 4410:
			return finishEnded('');
		case 4401:
			return refuse(reason);
		case 4403:
			return refuse(reason === 'removed' ? 'removed' : 'not.authorized');
		case 4404:
			return refuse('not.found');
		case 4409:
			// The cookie of a viewer belongs to the whole browser, so this window can take over again.
			return finish({ screen: 'replaced', again: state.sharer ? '' : text('here') });
		case 4423:
			return refuse('busy');
		case 1009:
		case 4400:
			return refuse('failed');
		case 1001: {
			let retryMs = 0;
			try { retryMs = JSON.parse(reason).retryMs; } catch { /* a browser's own 1001 has no reason */ }
			return again(connect, retryMs);
		}
		case 4429:
		case 4503:
			return again(connect, 5000);
		default:
			return again(connect);
	}
}

// --- The stream -------------------------------------------------------------

function send(frame) {
	if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(frame));
}

function receive(data) {
	const frame = JSON.parse(data);
	switch (frame.t) {
		case 'welcome':
			state.skew = Date.parse(frame.now) - Date.now();
			state.role = frame.role;
			state.sharer = frame.cobrowseRole === 'sharer';
			state.grace = (frame.limits?.graceSeconds ?? 120) * 1000;
			state.attempt = 0;
			state.lostAt = 0;
			if (state.sharer && frame.resume) storage.set(secretKey(), frame.resume.token);
			if (!state.sharer) {
				view ??= makeView(send, showState);
				view.welcome(frame);
			}
			setState(frame);
			break;
		case 'state':
			setState(frame);
			break;
		case 'peers':
			if (view) view.peers(frame.list);
			else showPeers(frame.list, state.participant, () => []);
			break;
		case 'page':
			showPage(frame);
			break;
		case 'err':
			if (!frame.fatal) {
				say(text('failed.head'));
				$('exit').disabled = false;
			}
			break;
		default: // the picture, or of a later version of the protocol
			view?.receive(frame);
	}
}

function setState(frame) {
	if (frame.state === 'ended') {
		finishEnded(frame.why);
		return;
	}
	state.phase = frame.state;
	state.deadline = frame.deadline ? Date.parse(frame.deadline) : 0;
	view?.state(frame);
	showState();
	tick();
}

function tick() {
	if (!state.over) showTime(state.deadline, Date.now() + state.skew);
}

// --- What people do ---------------------------------------------------------

function act() {
	const now = Date.now();
	if (now - state.lastAct < actEvery || socket?.readyState !== WebSocket.OPEN) return;
	state.lastAct = now;
	send({ t: 'act' });
}
for (const kind of ['pointerdown', 'pointermove', 'wheel', 'keydown']) addEventListener(kind, act, { passive: true });

$('exit').addEventListener('click', () => {
	const kind = state.role === 'supervisor' ? 'leave' : 'end';
	write('confirmHead', text(`confirm.${kind}.head`));
	write('confirmText', text(`confirm.${kind}.text`));
	write('confirmYes', text(`exit.${kind}`));
	$('confirm').showModal();
});
$('confirmNo').addEventListener('click', () => $('confirm').close());
$('confirmYes').addEventListener('click', () => {
	$('confirm').close();
	$('exit').disabled = true;
	send({ t: 'end' });
});
$('again').addEventListener('click', () => {
	state.attempt = 0;
	state.lostAt = 0;
	start();
});

function hurry() {
	if (state.over || document.hidden) return;
	if (socket?.readyState === WebSocket.OPEN && state.role) {
		showState();
	} else if (!socket && state.lostAt && !state.token) {
		state.attempt = 0;
		connect();
	}
}
addEventListener('online', hurry);
addEventListener('offline', showTrouble);
document.addEventListener('visibilitychange', () => {
	view?.visible(!document.hidden);
	hurry();
});
setInterval(tick, 500);

readAddress();
start();
