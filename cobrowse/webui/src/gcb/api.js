// The object that onReady gets: what the old product's pages know of a session,
// told by the events of the customer script.

import { edition } from './edition.js';
import { reasonOf, reasonOfFailure } from './reasons.js';
import { makeSignal } from './signals.js';
import { serviceAttribute } from './scrubber.js';

const noticed = 6000; // ms that a notification stands in the panel

/** What the script cannot do without. */
export const isSupported = () => {
	try {
		return typeof WebSocket === 'function' && typeof MutationObserver === 'function' && typeof crypto.getRandomValues === 'function'
			&& typeof Object.hasOwn === 'function' && typeof Element.prototype.attachShadow === 'function' && Boolean(new CSSStyleSheet());
	} catch {
		return false;
	}
};

/**
 * What a page in a frame gets.
 * @param {Record<string, any>} configuration
 * @param {() => void} renew has viewers get a new picture
 */
export const makeChildAPI = (configuration, renew) => {
	/** @param {Element} el */
	const markServiceElement = (el) => {
		el?.setAttribute?.(serviceAttribute, 'true');
		renew();
	};
	const masked = makeSignal({ all: true });
	const api = Object.freeze({ isTopContext: false, configuration, isBrowserSupported: isSupported, markServiceElement, onMaskedElement: masked.signal });
	return { api, masked };
};

/**
 * What a page that is not in a frame gets.
 * @param {object} parts
 * @param {any} parts.cobridge the customer script's global
 * @param {import('./config.js').Config} parts.config
 * @param {import('./media.js').Media} parts.media
 * @param {boolean} parts.restoring a session of an earlier page goes on
 * @param {boolean} parts.supported by this browser
 * @param {Promise<any>} parts.booted the customer script knows its deployment
 * @param {(text: string) => void} parts.log
 */
export const makeTopAPI = ({ cobridge, config, media, restoring, supported, booted, log }) => {
	const { api: child, masked } = makeChildAPI(config.effective, () => {}); // the scrubber sees it
	const names = ['onInitialized', 'onSessionStarted', 'onAgentJoined', 'onSessionEnded', 'onAgentNavigated', 'onNavigationFailed', 'onWriteModeRequested', 'onModeChanged'];
	const signals = Object.fromEntries(names.map((name) => [name, makeSignal()]));
	const fire = (name, ...args) => {
		log(name);
		signals[name].fire(...args);
	};

	let initialized = false;
	let trying = false; // startSession has begun
	/** @type {{token: string, agents: object[]}|null} */
	let session = null;
	let restored = false; // the session is an earlier page's, and nobody was told of it yet
	/** @type {Map<string, object>} */
	let agents = new Map(); // by participant; those who have gone, too
	let peers = [];
	let mode = 'pointer';
	let inControl = '';

	const initialize = (it) => {
		if (initialized) return;
		initialized = true;
		restoring = false;
		fire('onInitialized', it);
	};
	const notice = (key, id) => {
		const name = peers.find((p) => p.id === id)?.name;
		edition.notice = name ? { head: edition.text(key, { name }), until: Date.now() + noticed } : null;
	};

	const setMode = (to) => {
		if (mode === to) return;
		mode = to;
		fire('onModeChanged', mode);
	};
	const over = (reason) => {
		const was = session;
		const known = session || trying || restoring || restored;
		session = null;
		trying = restored = false;
		agents = new Map();
		edition.sent = false;
		setMode('pointer');
		if (!initialized) initialize(null);
		if (!known) return;
		for (const name of ['onSessionStarted', 'onAgentJoined', 'onWriteModeRequested']) signals[name].forget();
		masked.forget();
		fire('onSessionEnded', { ...was, reason });
	};

	cobridge.on('session', ({ sessionToken }) => {
		session = { token: sessionToken ?? '', agents: [] };
		agents = new Map();
		signals.onSessionEnded.forget();
		restored = restoring && !initialized;
		if (restored) return; // until it is known who is there
		trying = false;
		initialize(null);
		if (edition.sent && !(session.token && media.send(session.token))) edition.sent = false;
		fire('onSessionStarted', session);
	});
	cobridge.on('peers', (list) => {
		peers = list;
		if (!session) return;
		const there = list.filter((p) => p.connected && !/^(customer|controller)$/.test(p.role));
		const came = there.filter((p) => !agents.has(p.id));
		for (const p of came) agents.set(p.id, {});
		session.agents.splice(0, Infinity, ...there.map((p) => /** @type {object} */ (agents.get(p.id))));
		if (restored) {
			restored = false;
			initialize(session);
			return;
		}
		for (const p of came) {
			notice('joined', p.id);
			fire('onAgentJoined', agents.get(p.id), session);
		}
	});
	cobridge.on('grants', (list) => {
		const control = list.find((g) => g.kind === 'control');
		if (!control && inControl) notice('pointer', inControl);
		inControl = control?.participant ?? '';
		setMode(control ? 'write' : 'pointer');
	});
	cobridge.on('ended', ({ why }) => over(reasonOf(why)));
	cobridge.on('error', ({ code }) => {
		// Others are of one frame, not of the session.
		if (cobridge.state === 'ended') over(reasonOfFailure(code));
	});
	cobridge.on('state', (state) => {
		if (state !== 'off') return;
		// It goes on in another tab, to which the customer has moved it.
		if (session) over('self');
		else initialize(null);
	});
	cobridge.on('action', ({ kind, ok, why }) => {
		if (/^(back|forward|reload|goto)$/.test(kind)) fire(ok ? 'onAgentNavigated' : 'onNavigationFailed', { kind, ...why ? { why } : {} });
	});

	edition.onIdle = () => initialize(null);
	edition.onAsk = (() => {
		let waits = '';
		return (ask, answer) => {
			const mine = ask ? JSON.stringify([ask.from, ask.kind, ask.n]) : '';
			if (mine === waits) return;
			waits = mine;
			signals.onWriteModeRequested.forget();
			if (!ask) return;
			const reply = (ok) => () => {
				// It may have been taken back, or have gone with its viewer.
				if (waits === mine) answer(ok);
			};
			fire('onWriteModeRequested', { kind: ask.kind, agent: agents.get(ask.from) ?? {}, accept: reply(true), decline: reply(false) });
		};
	})();

	/** Asks whether the customer is in contact with an agent; resolves to the answer, null without one. */
	const question = () => new Promise((resolve) => {
		edition.hint = null;
		edition.question = {
			head: 'question.head', text: 'question.text', no: 'question.no', yes: 'question.yes',
			answer(ok) {
				edition.question = null;
				resolve(ok);
			},
		};
		edition.refresh();
	});
	const hint = () => {
		edition.hint = {
			head: 'hint.head', text: 'hint.text',
			close() {
				edition.hint = null;
				edition.refresh();
			},
		};
		edition.refresh();
	};

	/** Brings a session of another tab here, if there is one: the customer wants this tab. */
	const moved = async () => {
		const here = () => edition.view.panel?.buttons.find(([key]) => key === 'here');
		// The customer script offers it as soon as the other tab has answered.
		if (!here() && await edition.tabs?.ask('shared')) for (let tries = 20; tries && !here(); tries -= 1) await new Promise((resolve) => { setTimeout(resolve, 50); });
		const found = here();
		found?.[1]();
		return Boolean(found);
	};

	const begin = async () => {
		if (!supported) {
			trying = true;
			over('error');
			return;
		}
		await booted;
		if (edition.headless && await moved()) return;
		if (edition.agree) {
			edition.agree(true);
			return;
		}
		await media.ready();
		const connected = media.connected();
		const asked = edition.headless || connected || await question();
		if (!asked) {
			if (asked === false) hint();
			return;
		}
		edition.hint = null;
		edition.sent = connected;
		edition.wanted = trying = true;
		try {
			await cobridge.start();
		} catch (problem) {
			if (/^(declined|busy)$/.test(problem?.code)) trying = edition.sent = false;
			else if (trying) over(reasonOfFailure(problem?.code));
		} finally {
			edition.wanted = false;
			edition.refresh();
		}
	};
	let starting = false;
	const startSession = () => {
		if (session || starting || restoring || restored) return;
		starting = true;
		begin().catch((problem) => log(`startSession failed: ${problem?.code ?? 'error'}`)).finally(() => { starting = false; });
	};
	edition.onStart = startSession;

	const api = Object.freeze({
		...child,
		isTopContext: true,
		...Object.fromEntries(names.map((name) => [name, signals[name].signal])),
		startSession,
		exitSession() {
			edition.question?.answer(null);
			edition.hint = null;
			cobridge.stop();
		},
		switchToPointerMode() {
			if (mode === 'write') edition.takeBack();
		},
	});
	return {
		api, masked, initialize,
		sharing: () => session !== null,
	};
};
