// What this participant may ask for: control of the page, drawing on it, and
// navigation; what was answered, and giving it back.

import { $, element, say, text, write } from './page.js';

const kinds = ['control', 'draw', 'navigate'];
const patience = 125_000; // ms; the server gives up a question after two minutes

/**
 * @param {(frame: object) => void} send
 * @param {() => void} changed what is granted to this participant
 */
export function makeGrants(send, changed) {
	let may = [];
	let list = [];
	let me = '';
	let who = ''; // the sharer's name
	let number = 0;
	let live = false;
	/** @type {Map<string, {n: number, timer: number}>} */
	const asked = new Map();
	/** @type {Map<string, string>} why the last question had no success, by kind */
	const refused = new Map();
	/** @type {Map<string, {row: HTMLElement, state: HTMLElement, button: HTMLButtonElement}>} */
	const rows = new Map();

	const mine = (kind) => list.some((grant) => grant.kind === kind && grant.participant === me);

	for (const kind of kinds) {
		const row = element('li', '', '');
		row.dataset.kind = kind;
		const state = element('p', 'hint', '');
		const button = document.createElement('button');
		button.type = 'button';
		button.id = `ask-${kind}`;
		state.id = `state-${kind}`;
		button.setAttribute('aria-describedby', state.id);
		button.addEventListener('click', () => (mine(kind) ? giveBack(kind) : ask(kind)));
		row.append(button, state);
		$('grants').append(row);
		rows.set(kind, { row, state, button });
	}

	function ask(kind) {
		number += 1;
		const n = number;
		refused.delete(kind);
		asked.set(kind, { n, timer: setTimeout(() => answer({ n, kind, ok: false, why: 'noAnswer' }), patience) });
		send({ t: 'ask', n, kind });
		say(text(`ask.${kind}.asked`, who));
		show();
	}

	function settle(kind) {
		clearTimeout(asked.get(kind)?.timer);
		asked.delete(kind);
	}

	function giveBack(kind) {
		if (!mine(kind)) return;
		send({ t: 'revoke', kind });
		list = list.filter((grant) => grant.kind !== kind || grant.participant !== me);
		say(text(`ask.${kind}.back`, who));
		show();
		changed();
	}

	function answer(frame) {
		const question = asked.get(frame.kind);
		if (!question || question.n !== frame.n) return;
		settle(frame.kind);
		if (!frame.ok) {
			refused.set(frame.kind, text(`ask.why.${frame.why}`, who) || text('ask.why.declined', who));
			say(refused.get(frame.kind));
		}
		show();
	}

	function show() {
		$('doing').hidden = may.length === 0;
		for (const [kind, { row, state, button }] of rows) {
			row.hidden = !may.includes(kind);
			const how = mine(kind) ? 'granted' : asked.has(kind) ? 'asked' : refused.has(kind) ? 'refused' : 'idle';
			row.dataset.state = how;
			button.disabled = how === 'asked' || how !== 'granted' && !live;
			const label = text(how === 'granted' ? `ask.${kind}.give` : `ask.${kind}`);
			if (button.textContent !== label) button.textContent = label;
			const words = how === 'refused' ? refused.get(kind) : text(`ask.${kind}.${how}`, who);
			if (state.textContent !== words) state.textContent = words;
		}
		write('doingHint', text(mine('control') ? 'doing.control' : mine('draw') ? 'doing.draw' : 'doing.look', who));
	}

	return {
		/** @param {string[]} kindsToAsk @param {string} participant */
		welcome(kindsToAsk, participant) {
			may = kinds.filter((kind) => kindsToAsk.includes(kind));
			me = participant;
			for (const kind of kinds) settle(kind); // answers went to the connection before
			show();
		},
		/** Questions reach somebody only while the session is live. */
		setLive(on, name) {
			live = on;
			who = name;
			show();
		},
		answer,
		set(grants) {
			const before = kinds.filter(mine);
			list = Array.isArray(grants) ? grants : [];
			for (const kind of kinds) {
				if (mine(kind) === before.includes(kind)) continue;
				if (mine(kind)) {
					settle(kind);
					refused.delete(kind);
				}
				say(text(mine(kind) ? `ask.${kind}.granted` : `ask.${kind}.gone`, who));
			}
			show();
			changed();
		},
		mine,
		/** What a participant is allowed to do now. */
		of: (participant) => kinds.filter((kind) => list.some((grant) => grant.kind === kind && grant.participant === participant)),
		giveBack,
	};
}
