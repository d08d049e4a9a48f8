// What is said to the customer in each situation: from what is known of the
// session to what the widget shows. It touches no page.

/**
 * @typedef {object} Situation
 * @property {(key: string, values?: Record<string, string>) => string} text
 * @property {(id: string) => string} nameOf a participant, or the word for its role
 * @property {boolean} lost the connection is being repaired
 * @property {boolean} welcomed the service has let this page in
 * @property {string} pausedFor 'customer', 'page' or nothing
 * @property {boolean} tooLarge the page has no picture that may be sent
 * @property {any[]} others everybody invited but the sharer, as in the peers frame
 * @property {any[]} grants in force
 * @property {string} [number] nine digits
 */

/**
 * @typedef {object} Acts what the buttons do
 * @property {() => void} stop
 * @property {() => void} pause
 * @property {() => void} resume
 * @property {() => void} takeBack
 */

/**
 * @param {Situation} now
 * @param {Acts} acts
 * @returns {NonNullable<import('./widget.js').View['panel']>}
 */
export const panelOf = ({ text, nameOf, lost, welcomed, pausedFor, tooLarge, others, grants, number }, acts) => {
	/** @type {import('./widget.js').Button} */
	const stop = ['stop', acts.stop, 'stop'];
	/** @type {import('./widget.js').Button} */
	const pause = pausedFor === 'customer' ? ['resume', acts.resume, 'yes'] : ['pause', acts.pause];
	const seeing = others.filter((p) => p.connected);
	const people = seeing.map((p) => (p.name ? text('person', { name: p.name, role: text(`role.${p.role}`) }) : text(`role.${p.role}`)));
	const say = (head, body, tone, more) => ({ tone, head: text(head), text: text(body), buttons: [stop], ...more });
	if (lost) return say('reconnecting.head', 'reconnecting.text', 'warn');
	if (!welcomed) return say('connecting.head', '', '');
	// Paused, nobody can do anything here: that comes before who is in control.
	if (pausedFor) return say('paused.head', `paused.${pausedFor}`, 'warn', { people, buttons: pausedFor === 'customer' ? [pause, stop] : [stop] });
	const control = grants.find((g) => g.kind === 'control');
	if (control) {
		return {
			tone: 'bad', head: text('control.head', { name: nameOf(control.participant) }), text: text('control.text'), people,
			buttons: [['back', acts.takeBack, 'yes'], pause, stop],
		};
	}
	if (tooLarge) return say('large.head', 'large.text', 'warn', { people });
	if (!seeing.length) {
		// Who has been here comes back without the number.
		const kind = number && !others.length ? 'number' : 'waiting';
		return say(`${kind}.head`, `${kind}.text`, '', kind === 'number' ? { number } : {});
	}
	const may = grants.map((g) => text(`may.${g.kind}`, { name: nameOf(g.participant) }));
	return say('live.head', 'live.text', 'good', { people: [...people, ...may], buttons: [...may.length ? [['withdraw', acts.takeBack]] : [], pause, stop] });
};

/** A button that is one of several. */
export const secondary = (key, act) => [key, act];

/** The button that most people will press. */
export const primary = (key, act) => [key, act, 'yes'];

/**
 * What the customer is asked, if anything.
 * @param {{text: Situation['text'], nameOf: Situation['nameOf'], sharing?: string|null, ask?: any}} now sharing are the words of the consent that is asked for
 * @param {{agree: (ok: boolean) => void, answer: (ok: boolean) => void}} acts
 * @returns {import('./widget.js').View['dialog']}
 */
export const dialogOf = ({ text, nameOf, sharing, ask }, { agree, answer }) => {
	if (sharing) {
		return {
			head: text('consent.head'), text: sharing, more: [text('consent.hidden'), text('consent.control'), text('consent.stop')],
			no: secondary('notNow', () => agree(false)), yes: primary('agree', () => agree(true)),
		};
	}
	return ask && {
		head: text(`ask.${ask.kind}`, { name: ask.name || nameOf(ask.from) }), text: text(`ask.${ask.kind}.text`),
		no: secondary('deny', () => answer(false)), yes: primary('allow', () => answer(true)),
	};
};

/** What is said when even the words cannot be loaded. */
const fallback = { language: 'en', texts: { 'failed.head': 'This page cannot be shared', 'failed.': 'Nothing is shown. Please try again later.', close: 'Close' } };

/** A text of the settings, with {names} filled in; "lang" is their language. */
export const wordsOf = (settings, key, values = {}) => (key === 'lang' ? (settings ?? fallback).language : (settings ?? fallback).texts[key] ?? '')
	.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
