// The page that agents' desks of the old world open or frame: asks for the nine
// digits, or takes them from its fragment, and then is a session's window
// (viewer/session.js). In a frame of another site browsers send none of the
// cookies by which the join page comes back; so this page keeps a user token and
// gets a new join token with it for each connection. docs/slave-page.md describes
// the fragment.

import { $, setup, silence, text, write } from '../viewer/page.js';
import { makeSession, storage } from '../viewer/session.js';
import { find, group, read, tidy } from './digits.js';

const patience = 15_000; // ms for an answer
const longestName = 256; // characters that the service takes
const key = 'cobridge.slave';
const streams = '/api/v2/cobrowse/sessions/';

// Where this page lies, and what a gateway may have put in front of all paths.
const here = location.pathname.replace(/\/slave\.html\/?$/i, '');
const front = here.endsWith(setup.base) ? here.slice(0, here.length - setup.base.length) : '';

const place = {
	digits: '', // of the session
	user: '', // token of this user in it
	session: '', // its id
	bearer: '', // the agent's access token; in memory only
	name: '',
	input: true, // the digits may be typed in
	silent: false,
	/** @type {import('../viewer/session.js').Entry | null} that is not used yet */
	entry: null,
	came: false, // the stream of this session was open
};

const input = /** @type {HTMLInputElement} */ ($('digits'));
let before = ''; // what stood in it
let pause = 0; // timer; until then no other number is tried

// --- The address -------------------------------------------------------------

const isSet = (value) => value !== null && !['', '0', 'false', 'no'].includes(value.toLowerCase());

/**
 * Keeps what a reload needs, and takes a fragment off the address. The access token
 * is not kept: it can do more than be in a session. In a frame of another site some
 * browsers refuse storage; the entry of the history is there always.
 */
function keep() {
	const { digits, user, name, silent } = place;
	const kept = JSON.stringify({ digits, user, name, silent, input: place.input });
	storage.set(key, kept);
	history.replaceState({ [key]: kept }, '', location.pathname + location.search);
}

function readKept() {
	try {
		const kept = JSON.parse(storage.get(key) || history.state?.[key] || '{}');
		for (const part of ['digits', 'user', 'name']) if (typeof kept[part] === 'string') place[part] = kept[part];
		place.input = kept.input !== false;
		place.silent = kept.silent === true;
	} catch { /* nothing of ours */ }
}

/**
 * Takes what the desk says out of the fragment. The digits of before, with their
 * user token, are still good if it names no others.
 */
function readAddress() {
	const fragment = new URLSearchParams(location.hash.slice(1));
	if ([...fragment].length === 0) return;
	const { digits, wrong } = read(fragment.get('sid') ?? '');
	if (wrong === '' && digits !== place.digits) {
		place.digits = digits;
		place.user = '';
	} else if (wrong !== '' && wrong !== 'empty') {
		input.value = fragment.get('sid');
	}
	place.user = fragment.get('user') ?? place.user;
	place.bearer = fragment.get('token') ?? place.bearer;
	place.name = [...(fragment.get('name') ?? place.name)].slice(0, longestName).join('');
	place.input = !isSet(fragment.get('nosidinput'));
	place.silent = isSet(fragment.get('nonotifications'));
}

/** The page in another language, which the server writes. Reports whether it is on its way. */
function speaks() {
	const wanted = (new URLSearchParams(location.hash.slice(1)).get('lang') ?? '').toLowerCase().split('-')[0];
	if (!setup.languages.includes(wanted) || wanted === document.documentElement.lang) return false;
	const query = new URLSearchParams(location.search);
	if (query.get('lang') === wanted) return false;
	query.set('lang', wanted);
	location.replace(`?${query}${location.hash}`);
	return true;
}

/** A page of its own for a session: with its policy, and without anything of the session before. */
function reopen(session) {
	const query = new URLSearchParams(location.search);
	query.set('session', session);
	const fragment = new URLSearchParams({ sid: place.digits, user: place.user, name: place.name });
	if (place.bearer) fragment.set('token', place.bearer);
	if (!place.input) fragment.set('nosidinput', '1');
	if (place.silent) fragment.set('nonotifications', '1');
	location.replace(`?${query}#${fragment}`);
}

/**
 * Whether this page cannot show a session: it has shown another one, or its policy,
 * which names where pictures may come from, is that of another one.
 */
async function isOfAnother(session) {
	if (setup.session === session) return false;
	if (shown.visited()) return place.session !== session;
	try {
		const response = await fetch(`${here}/slave.html?${new URLSearchParams({ session })}`, { method: 'HEAD', signal: AbortSignal.timeout(patience) });
		return response.ok && response.headers.get('Content-Security-Policy') !== setup.policy;
	} catch {
		return false; // then some pictures are missing
	}
}

// --- Coming in ---------------------------------------------------------------

/** Why the service does not let in, by the status of its answer and what that says more. */
function whyNot(status, reason) {
	switch (status) {
		case 400: return 'malformed';
		case 401: return 'signin';
		case 403: return reason === 'cobrowse.role.taken' ? 'taken' : 'denied';
		case 404: return 'unknown';
		case 409: return reason === 'cobrowse.agent.busy' ? 'busy' : 'taken';
		case 410: return 'ended';
		case 429: return 'tries';
		case 502: case 503: case 504: return 'away';
		default: return 'failed';
	}
}

/**
 * Asks to be let into the session with these digits.
 * @returns {Promise<{why: string, wait: number, body: any}>} why is empty if it was; wait in seconds
 */
async function ask() {
	try {
		const response = await fetch(`${here}/rest/live/sessions/${place.digits}/join`, {
			method: 'POST',
			credentials: 'include', // the cookie that names the desk
			headers: { 'Content-Type': 'application/json', Accept: 'application/json', ...(place.bearer ? { Authorization: `Bearer ${place.bearer}` } : {}) },
			body: JSON.stringify({ role: 2, ...(place.name ? { name: place.name } : {}), ...(place.user ? { userToken: place.user } : {}) }),
			signal: AbortSignal.timeout(patience),
		});
		const body = await response.json().catch(() => ({}));
		if (response.ok && body.joinToken) return { why: '', wait: 0, body };
		return { why: whyNot(response.status, body.reason), wait: Number(response.headers.get('Retry-After')) || 0, body };
	} catch {
		return { why: 'away', wait: 0, body: {} };
	}
}

/** Takes the answer that lets in. */
function take(body) {
	place.user = body.userToken ?? place.user;
	keep();
	return { address: `${front}${streams}${encodeURIComponent(body.sessionHistoryId)}/stream`, hello: { token: body.joinToken } };
}

function forget() {
	place.digits = '';
	place.user = '';
	place.entry = null;
	keep();
}

const shown = makeSession({
	start,
	renews: true,
	async enter() {
		const { entry } = place;
		place.entry = null;
		if (entry) return entry;
		const { why, wait, body } = await ask();
		if (shown.state.over) return null;
		if (why === '') return take(body);
		if (['away', 'tries', 'failed'].includes(why)) shown.again(shown.connect, wait * 1000);
		else refuse(why, wait);
		return null;
	},
	async refused() {
		try {
			const response = await fetch(`${front}${streams}${encodeURIComponent(place.session)}/stream/check`, { signal: AbortSignal.timeout(patience) });
			return { 404: 'not.found', 410: 'cobrowse.session.ended' }[response.status] ?? '';
		} catch { // offline, or the service is not there
			return '';
		}
	},
	mayConnect: () => true,
	welcomed() {
		place.came = true;
	},
	ended: forget,
	finished: () => showForm(place.input),
});

async function join() {
	shown.state.over = false;
	showForm(false);
	shown.show({ screen: 'connecting' });
	const { why, wait, body } = await ask();
	if (why !== '') {
		refuse(why, wait);
		return;
	}
	place.entry = take(body);
	if (await isOfAnother(body.sessionHistoryId)) {
		reopen(body.sessionHistoryId);
		return;
	}
	place.session = body.sessionHistoryId;
	place.came = false;
	shown.begin();
	shown.connect();
}

/** Says why there is no session: beside the form while the agent tries numbers, else on the last screen. */
function refuse(why, wait) {
	const head = text(`digits.${why}.head`);
	const how = why === 'tries' && wait > 90 ? 'minutes' : why === 'tries' && wait > 0 ? 'seconds' : 'text';
	const words = text(`digits.${why}.${how}`, String(how === 'minutes' ? Math.ceil(wait / 60) : wait));
	const { digits } = place;
	if (place.came && ['ended', 'unknown'].includes(why)) {
		shown.finishEnded('');
		return;
	}
	if (['ended', 'unknown', 'malformed'].includes(why)) forget();
	if (place.came || !place.input) {
		const again = ['busy', 'taken', 'tries', 'away', 'failed'].includes(why) ? text('again') : '';
		shown.finish({ screen: 'refused', head, text: words, again });
		return;
	}
	shown.state.over = true;
	if (!['busy', 'taken', 'away', 'failed', 'tries'].includes(why) || !place.user) forget();
	showForm(true);
	shown.show({ screen: 'form' });
	input.value = before = group(digits);
	wrong(`${head} ${words}`);
	if (why === 'tries') rest(wait || 5);
}

// --- The form ----------------------------------------------------------------

function showForm(on) {
	$('form').hidden = !on;
	if (!on) return;
	input.value = before = '';
	wrong('');
}

/** Says what is wrong with the number, and leads there. */
function wrong(words) {
	write('wrong', words);
	if (words === '') {
		input.removeAttribute('aria-invalid');
		return;
	}
	input.setAttribute('aria-invalid', 'true');
	input.focus();
	input.select();
}

/** No other number for so many seconds. */
function rest(seconds) {
	clearTimeout(pause);
	$('join').disabled = true;
	pause = setTimeout(() => {
		$('join').disabled = false;
		wrong('');
	}, seconds * 1000);
}

input.addEventListener('input', (event) => {
	if (event.isComposing) return;
	const { text: value, cursor } = tidy(input.value, input.selectionStart ?? input.value.length, before, event.inputType);
	if (input.value !== value) {
		input.value = value;
		input.setSelectionRange(cursor, cursor);
	}
	before = value;
	if (!$('join').disabled) wrong('');
});

input.addEventListener('paste', (event) => {
	const digits = find(event.clipboardData?.getData('text') ?? '');
	if (!digits) return; // goes where the cursor is
	event.preventDefault();
	input.value = before = group(digits);
	if (!$('join').disabled) wrong('');
});

$('form').addEventListener('submit', (event) => {
	event.preventDefault();
	if ($('join').disabled) return;
	const { digits, wrong: how } = read(input.value);
	if (how) {
		wrong(text(`form.${how}`, String(digits.length)));
		return;
	}
	if (digits !== place.digits) place.user = '';
	place.digits = digits;
	place.came = false;
	join();
});

// --- Beginning ---------------------------------------------------------------

function start() {
	if (place.silent) silence();
	if (place.digits) {
		join();
	} else if (place.input) {
		const typed = input.value;
		showForm(true);
		shown.state.over = true;
		shown.show({ screen: 'form' });
		if (typed) {
			input.value = before = typed;
			wrong(text(`form.${read(typed).wrong}`, String(read(typed).digits.length)));
		} else if (window.top === window) {
			input.focus(); // a frame does not take the focus away from its desk
		}
	} else {
		shown.finish({ screen: 'nosession', tone: 'form', focus: false });
	}
}

/** Begins with what the fragment or the tab has. */
function begin() {
	if (speaks()) return;
	readAddress();
	keep();
	start();
}

// A desk that has framed the page says more by changing the fragment. While a
// session is on it is left alone: it has to end first.
addEventListener('hashchange', () => {
	if (!location.hash) return;
	if (shown.state.over) begin();
	else keep();
});

readKept();
begin();
