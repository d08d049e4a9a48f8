// A participant's window of a session: opens the stream and opens it again, shows
// what the stream says, and to viewers the sharer's page as well (view.js). How one
// gets in is the page's own matter. Everything that came from elsewhere is written
// as text, never as markup. docs/protocol.md describes the frames and close codes.

import { $, say, text, write } from './page.js';
import { showPeers, showTime } from './panel.js';
import { makeView } from './view.js';

const actEvery = 10_000; // ms between two reports of input
const backoff = { first: 250, most: 10_000 }; // ms

// --- What is kept between reloads -------------------------------------------

// Storage may be switched off; the page then works until it is reloaded.
export const storage = {
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

/** Names this tab to the server. */
export const thisTab = tab();

/**
 * @typedef {object} Entry what opens the stream
 * @property {string} address of the stream, http or https
 * @property {Record<string, string>} [query] of the address
 * @property {object} hello members of the first frame besides version and tab
 */

/**
 * @typedef {object} Door how a page gets in
 * @property {() => void} start begins, at first or because somebody wants to try again
 * @property {() => Entry | null | Promise<Entry | null>} enter before each connection; null: the page has said why not, or tries again itself
 * @property {() => Promise<string>} refused why the stream was not opened: a code of the API; empty: it is worth trying again
 * @property {() => boolean} mayConnect whether connecting is the next thing to do after a loss
 * @property {(frame: object) => void} welcomed the stream is there
 * @property {boolean} [renews] each entry has a token of its own: a used or late one is worth another try
 * @property {() => void} ended nothing that was kept is of use any more
 * @property {() => void} [finished] the last screen is shown
 */

/** @param {Door} door */
export function makeSession(door) {
	const state = {
		sharer: false,
		role: '',
		me: '', // this participant
		screen: 'connecting',
		over: false, // nothing follows by itself
		phase: 'waiting',
		invited: false, // whose page is shared has never been here
		deadline: 0, // ms since 1970, by the server's clock
		skew: 0, // the server's clock minus ours, ms
		grace: 120_000, // how long a lost connection is worth repairing, ms
		lostAt: 0, // when the connection was lost; 0 = it is not
		attempt: 0,
		retry: 0, // timer
		entering: 0, // counts attempts, so that only the last one counts
		lastAct: 0,
	};

	/** @type {WebSocket | null} */
	let socket = null;

	/** @type {ReturnType<typeof makeView> | null} of a viewer */
	let view = null;

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
		} else if (state.phase === 'paused' || state.phase === 'reconnecting' && !state.invited) {
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
		state.entering += 1;
		clearTimeout(state.retry);
		socket?.close();
		socket = null;
		if ($('confirm').open) $('confirm').close();
		view?.close();
		$('panel').hidden = true;
		$('page').hidden = true;
		write('note', '');
		show({ focus: true, ...s });
		door.finished?.();
	}

	function finishEnded(why) {
		door.ended();
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

	// --- Connecting -------------------------------------------------------------

	/** Begins anew: what was lost or over is not any more. */
	function begin() {
		state.over = false;
		state.attempt = 0;
		state.lostAt = 0;
	}

	async function connect() {
		clearTimeout(state.retry);
		state.entering += 1;
		const attempt = state.entering;
		const entry = await door.enter();
		if (!entry || attempt !== state.entering) return;
		const address = new URL(entry.address, location.href);
		address.protocol = address.protocol.replace('http', 'ws');
		address.search = new URLSearchParams(entry.query);
		const mine = new WebSocket(address, ['cobridge.v1']);
		let opened = false;
		socket = mine;
		mine.onopen = () => {
			opened = true;
			send({ t: 'hello', v: 1, tab: thisTab, ...entry.hello });
		};
		mine.onmessage = (event) => {
			if (mine === socket) receive(event.data);
		};
		mine.onclose = (event) => {
			if (mine !== socket) return;
			socket = null;
			if (opened) closed(event.code, event.reason);
			else explain();
		};
	}

	/** A browser does not tell why a WebSocket was refused, so the server is asked. */
	async function explain() {
		const why = await door.refused();
		if (why) refuse(why);
		else again(connect);
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
				return door.renews ? again(connect) : refuse(reason);
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
				state.me = frame.participant;
				state.sharer = frame.cobrowseRole === 'sharer';
				state.grace = (frame.limits?.graceSeconds ?? 120) * 1000;
				state.attempt = 0;
				state.lostAt = 0;
				door.welcomed(frame);
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
				meet(frame.list);
				if (view) view.peers(frame.list);
				else showPeers(frame.list, state.me, () => []);
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

	/** In sessions of the old product agents may be the first to come. */
	function meet(list) {
		const invited = list.some((peer) => peer.cobrowseRole === 'sharer' && peer.state === 'invited');
		if (invited === state.invited) return;
		state.invited = invited;
		if (state.phase === 'reconnecting') showState();
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
		begin();
		door.start();
	});

	function hurry() {
		if (state.over || document.hidden) return;
		if (socket?.readyState === WebSocket.OPEN && state.role) {
			showState();
		} else if (!socket && state.lostAt && door.mayConnect()) {
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

	return { state, show, finish, refuse, again, connect, begin, finishEnded, visited: () => view !== null };
}
