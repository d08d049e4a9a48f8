// What a tab keeps, so that a reload or another page of the site goes on with
// the session; and how tabs of one site agree which of them is shared.

import { quiet } from './quiet.js';

const key = 'cobridge.session';

/**
 * @typedef {object} Kept
 * @property {string} session
 * @property {string} participant
 * @property {string} secret for the next connection
 * @property {string} tab
 * @property {number} epoch
 * @property {string} [number] nine digits, while they may have to be read out
 * @property {string} [agreed] version of the text that was agreed to
 * @property {boolean} [paused] by the customer
 * @property {number} [corner] where the panel is
 * @property {boolean} [small] the panel is collapsed
 */

/** @returns {Kept|null} */
export const load = () => {
	try {
		const kept = JSON.parse(sessionStorage.getItem(key));
		return kept?.session && kept.secret ? kept : null;
	} catch {
		return null; // switched off, or not ours
	}
};

/** @param {Kept|null} kept */
export const save = (kept) => {
	try {
		if (kept) sessionStorage.setItem(key, JSON.stringify(kept));
		else sessionStorage.removeItem(key);
	} catch { /* the session then lasts until the next page */ }
};

/** @returns {string} 32 hexadecimal digits; randomUUID is missing on plain http */
export const newID = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');

/**
 * @typedef {object} Tabs
 * @property {(question: string, about?: string) => Promise<any>} ask resolves to the first answer, or null
 * @property {(tab: string) => Promise<boolean>} claim false when another page has this tab id: window.open copies sessionStorage
 */

/**
 * @param {(question: string) => any} answer what this page answers to the others; nothing if it is silent
 * @returns {Tabs}
 */
export function makeTabs(answer) {
	const patience = 400; // ms
	let mine = ''; // tab id of this page
	/** @type {Record<string, (answer: any) => void>} */
	const asked = {};
	/** @type {BroadcastChannel|undefined} */
	let channel;
	try {
		channel = new BroadcastChannel('cobridge');
		channel.onmessage = quiet(({ data }) => {
			if (data.question) {
				const said = data.question === 'tab' ? data.about === mine : answer(data.question);
				if (said) channel.postMessage({ to: data.by, said });
			} else {
				asked[data.to]?.(data.said);
			}
		});
	} catch { /* each tab is then on its own */ }

	const ask = (question, about) => new Promise((resolve) => {
		const by = newID();
		asked[by] = resolve;
		channel?.postMessage({ question, about, by });
		setTimeout(() => {
			delete asked[by];
			resolve(null);
		}, channel ? patience : 0);
	});

	const claim = async (tab) => {
		let free;
		try {
			const gaveUp = new AbortController();
			const got = new Promise((resolve, reject) => {
				navigator.locks.request(`cobridge.tab.${tab}`, { signal: gaveUp.signal }, () => {
					resolve(true);
					return new Promise(() => {}); // held until the page goes
				}).catch(reject);
			});
			// The page before lets go of the lock some time after this one has begun, on
			// a busy machine seconds later. Another tab answers, a page that goes does not.
			for (let tries = 25; tries && free === undefined; tries -= 1) {
				free = await Promise.race([got, ask('tab', tab).then((taken) => (taken ? false : undefined))]);
			}
			if (!free) {
				got.catch(() => {});
				gaveUp.abort();
			}
		} catch {
			free = !(await ask('tab', tab));
		}
		if (free) mine = tab;
		return !!free;
	};

	return { ask, claim };
}
