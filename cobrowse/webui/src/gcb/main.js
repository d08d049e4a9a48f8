// gcb.min.js: our script for pages that were made for the old product. It is the
// customer script, ../sdk/main.js, with the old way in: the snippet, _genesys, the
// object that onReady gets. docs/gcb-script.md has the contract.

import { isSupported, makeChildAPI, makeTopAPI } from './api.js';
import { handReady, readConfig } from './config.js';
import { edition } from './edition.js';
import { makeMedia } from './media.js';
import { taken } from './once.js';
import { options } from './options.js';
import { appOf, findScript } from './place.js';
import { maskedIn } from './policy.js';
import { localise } from './words.js';
import { renew, serviceSelector } from './scrubber.js';
import { quiet } from '../sdk/quiet.js';
import { load } from '../sdk/resume.js';
import '../sdk/main.js';

const patience = 3000; // ms that the page's words may take to come
const lookEvery = 1000; // ms between two looks for masked elements

const script = findScript(document); // now, while the browser still says which it is
const page = /** @type {any} */ (window);
const warn = (text, ...more) => console.warn(`co-browse: ${text}`, ...more);

/** The page's options: a global, also one that was declared with const or let, which window does not have. */
const genesys = () => {
	try {
		// @ts-ignore
		return typeof _genesys === 'undefined' ? undefined : _genesys;
	} catch {
		return undefined; // not yet
	}
};

/** They may stand before the script or after it. */
const genesysThere = () => genesys() !== undefined || document.readyState !== 'loading' || new Promise((resolve) => {
	document.addEventListener('DOMContentLoaded', resolve, { once: true });
});

/** Of the application: which deployment its pages belong to, and where the service is. */
const getStart = async () => {
	const answer = await fetch(`${edition.app}/js/gcb.json`, { credentials: 'omit', referrerPolicy: 'strict-origin' });
	const start = answer.ok ? await answer.json() : {};
	if (!start.deployment || !start.base) throw new Error(`gcb.json: ${answer.status}`);
	return start;
};

/** The page's words: an object, or the address of one. */
const getWords = async (given) => {
	if (typeof given !== 'string' || !given) return given;
	const gaveUp = new AbortController();
	const late = setTimeout(() => gaveUp.abort(), patience);
	try {
		const answer = await fetch(new URL(given, document.baseURI), { credentials: 'omit', signal: gaveUp.signal });
		if (!answer.ok) throw new Error(`${answer.status}`);
		return await answer.json();
	} catch (problem) {
		warn('the words at cobrowse.localization cannot be loaded; ours are used', problem);
		return undefined;
	} finally {
		clearTimeout(late);
	}
};

/** Tells the page of each masked element once, as long as it is shared. */
const watchMasked = (masked, find) => {
	let told = new WeakSet();
	setInterval(quiet(() => {
		if (!masked.heard()) return;
		const found = find();
		if (!found) told = new WeakSet();
		for (const el of found ?? []) {
			if (told.has(el)) continue;
			told.add(el);
			masked.fire(el);
		}
	}), lookEvery);
};

const runTop = async (config) => {
	const log = (text) => { if (config.debug) console.log(`co-browse: ${text}`); };
	const media = makeMedia(config.media, warn);
	const supported = isSupported();
	if (!supported) warn('this browser cannot share a page');
	Object.assign(edition, { headless: config.headless, side: config.side, button: config.button && supported });
	let ready = () => {};
	const booted = new Promise((resolve) => { ready = () => resolve(undefined); });
	const restoring = supported && load() !== null;
	const { api, masked, initialize, sharing } = makeTopAPI({ cobridge: page.Cobridge, config, media, restoring, supported, booted, log });
	edition.onFailed = (problem) => {
		warn(problem?.selector ? `a selector of the rules is none, so nothing is shared: ${problem.selector}` : `nothing can be shared: ${problem?.code ?? problem}`);
		initialize(null);
	};
	watchMasked(masked, () => (sharing() ? maskedIn(document) : null));
	// Frames of the same origin are part of the picture, and have no rules of their own.
	Object.assign(page.Cobridge, { __masked: (frame) => (sharing() ? maskedIn(frame) : null), __renew: () => sharing() && renew() });
	for (const owner of config.owners) handReady(owner, (fn) => { if (typeof fn === 'function') call(fn, api, true); });
	if (!supported) {
		initialize(null);
		return;
	}
	try {
		const [start, words] = await Promise.all([getStart(), getWords(config.localization)]);
		const refused = localise(words);
		if (refused.length) warn(`words of cobrowse.localization that are not taken: ${refused.join(', ')}`);
		page.Cobridge.configure({
			base: start.base.replace(/\/+$/, ''), deployment: start.deployment, block: [options.block, serviceSelector].filter(Boolean),
		});
	} catch (problem) {
		edition.onFailed(problem);
	}
	ready();
};

const call = (fn, ...args) => {
	try {
		fn(...args);
	} catch (problem) {
		console.error('co-browse: a handler of the page failed', problem);
	}
};

const run = async () => {
	if (taken) {
		warn('another script shares this page already; this one does nothing');
		return;
	}
	await genesysThere();
	const config = readConfig(genesys(), script?.src);
	if (!config.enabled) return;
	for (const note of config.notes) console.info(note);
	edition.app = appOf(script, genesys(), document.baseURI);
	if (!edition.app) {
		warn('neither data-gcb-url nor the address of the script says where the application is');
		return;
	}
	if (window === window.top) {
		await runTop(config);
		return;
	}
	const ofTop = (name, ...args) => {
		try {
			return /** @type {any} */ (window.top).Cobridge[name](...args);
		} catch {
			return null; // of another site: not shared
		}
	};
	const { api, masked } = makeChildAPI(config.effective, () => ofTop('__renew'));
	watchMasked(masked, () => ofTop('__masked', document));
	for (const owner of config.owners) handReady(owner, (fn) => { if (typeof fn === 'function') call(fn, api, false); });
};
quiet(run)();
