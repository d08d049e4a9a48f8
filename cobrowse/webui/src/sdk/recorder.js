// Records the page with rrweb, scrubs every event and hands them over as
// frames. Nothing leaves before start, nor while it is paused.

import { record } from '../../third_party/rrweb/record.js';
import { makeCanvases } from './canvas.js';
import { cleanUrl, makeScrubber } from './scrubber.js';

const apart = 2000; // ms between two full snapshots: each costs the page up to 0.1 s
const moveWait = 50; // ms that pointer and scroll positions may wait for more
const giveUp = 5; // errors, each less than a minute after the one before

/**
 * @typedef {object} Frame
 * @property {''|'full'|'move'} k full: exactly [Meta, FullSnapshot]; move: only positions, may be lost
 * @property {boolean} fresh with a full frame: events were lost before it, or rules changed, so viewers that have a picture need this one too. Number it as the first of a new epoch
 * @property {any[]} events
 * @property {string} json of the events, made once: the b member of the ev frame
 */

/**
 * @typedef {object} Recorder
 * @property {() => void} start begins; the first frame is a full one
 * @property {() => void} look notices that the address has changed where nothing else does
 * @property {() => void} full asks for a full frame, as soon as one is allowed again; several asks are one
 * @property {() => void} stop
 * @property {(why?: string) => void} pause nothing is sent from here on, what waits is dropped. Each why has its own resume
 * @property {(why?: string) => void} resume when no why is left it goes on, with a full frame
 * @property {(id: number) => Node|null} getNode
 * @property {(node: Node) => number} getId -1 for a node that viewers do not have
 */

/**
 * @param {object} parts
 * @param {import('./policy.js').Policy} parts.policy
 * @param {(frame: Frame) => void} parts.send
 * @param {(problem: {code: 'too_large'|'error', error?: unknown}) => void} [parts.onError] too_large: the page's picture is beyond the limit even without style sheets; nothing is sent until full is called. error: something threw too often, the recorder has stopped
 * @param {{fullBytes?: number, evBytes?: number, evPerSecond?: number, evBurst?: number, evBytesPerSecond?: number}} [parts.limits] as in the welcome frame
 * @param {typeof record} [parts.rrweb] for tests
 * @returns {Recorder}
 */
export function makeRecorder({ policy, send, onError = () => {}, limits = {}, rrweb = record }) {
	const most = { fullBytes: 4 << 20, evBytes: 512 << 10, evPerSecond: 60, evBurst: 240, evBytesPerSecond: 1 << 20, ...limits };
	const { mirror } = rrweb;
	const why = new Set(); // reasons of the pause
	let end = null; // rrweb's stop function
	let ready = false; // the document is there; before, rrweb has nothing to show
	let meta = null; // waits for its snapshot
	let urgent = []; // waits for the end of the task
	let moves = []; // waits a little longer, for company
	let moveTimer = 0;
	let slowTimer = 0;
	let fullTimer = 0;
	let lastFull = -apart;
	let fullSize = 0;
	let behind = true; // viewers cannot follow until the next full frame
	let stuck = false; // the page is too large
	let renew = false; // viewers have lost something, or have what newer rules hide
	let begun = false; // a full frame was sent
	let errors = 0;
	let lastError = 0;

	// What may be sent: a little less than the server takes. Frames may go into
	// debt by one, so that none is made only to be thrown away.
	let at = performance.now();
	let frames = most.evBurst / 2;
	let bytes = 4 * most.evBytesPerSecond;
	const affords = (size = 0) => {
		const now = performance.now();
		frames = Math.min(most.evBurst / 2, frames + (now - at) / 1000 * 0.9 * most.evPerSecond);
		bytes = Math.min(4 * most.evBytesPerSecond, bytes + (now - at) / 1000 * 0.9 * most.evBytesPerSecond);
		at = now;
		return frames >= 1 && bytes >= size;
	};

	// Bytes of a frame; of small ones only about.
	const size = (json) => (json.length * 3 < most.evBytes ? json.length : new TextEncoder().encode(json).length) + 128;

	const forward = (k, events, json, length, fresh = false) => {
		frames--;
		bytes -= length;
		send({ k, events, json, fresh });
	};

	const lose = () => {
		urgent = [];
		moves = [];
		meta = null;
		behind = true;
	};
	// A pause is known to all: they have dropped the picture.
	const miss = () => {
		lose();
		renew = true;
	};

	const guard = (fn) => (...args) => {
		try {
			return fn(...args);
		} catch (error) {
			failed(error);
		}
	};

	const failed = (error) => {
		miss();
		const now = performance.now();
		errors = now - lastError < 60_000 ? errors + 1 : 1;
		lastError = now;
		if (errors < giveUp) return full();
		stop();
		try { onError({ code: 'error', error }); } catch { /* not the page's problem */ }
	};

	// Sends what waits; positions go with the rest, to keep the order.
	const flush = guard((now = false) => {
		closed();
		const k = urgent.length ? '' : 'move';
		const events = [...moves, ...urgent];
		if (!end || !events.length) return;
		if (!now && !affords()) {
			slowTimer ||= setTimeout(() => { slowTimer = 0; flush(); }, moveWait);
			return;
		}
		urgent = [];
		moves = [];
		const json = JSON.stringify(events);
		const length = size(json);
		if (length > most.evBytes) {
			behind = renew = true;
			full();
		} else forward(k, events, json, length);
	});

	// The picture without the rules of its style sheets; the viewer may still
	// be allowed to load those that have an address.
	const bare = (n) => {
		if (n.attributes && '_cssText' in n.attributes) {
			delete n.attributes._cssText;
			const { href } = mirror.getNode(n.id) ?? {};
			if (n.tagName === 'link' && href) Object.assign(n.attributes, { rel: 'stylesheet', href: cleanUrl(href) });
		}
		if (n.tagName === 'style') n.childNodes = [];
		n.childNodes?.forEach(bare);
	};

	const sendFull = (first, event) => {
		const events = [first, event];
		let json = JSON.stringify(events);
		if (size(json) > most.fullBytes) {
			bare(event.data.node);
			json = JSON.stringify(events);
		}
		fullSize = size(json);
		lastFull = performance.now();
		clearTimeout(fullTimer);
		fullTimer = 0;
		if (fullSize > most.fullBytes) {
			behind = renew = stuck = true;
			onError({ code: 'too_large' });
			return;
		}
		const fresh = begun && renew;
		behind = renew = false;
		begun = true;
		forward('full', events, json, fullSize, fresh);
	};

	const full = () => {
		if (!end || why.size || fullTimer) return;
		const room = Math.min(fullSize, 3 * most.evBytesPerSecond);
		// Always in a task of its own: then no mutation waits in rrweb.
		fullTimer = setTimeout(guard(() => {
			fullTimer = 0;
			if (!ready || why.size || closed()) return;
			if (!affords(room)) return full();
			flush(true);
			rrweb.takeFullSnapshot(true);
		}), Math.max(0, lastFull + apart - performance.now(), affords(room) ? 0 : moveWait));
	};

	// Whether the page's address is one of which nothing is shared. Where other rules
	// hold from now on, nothing leaves that was recorded under those before, and
	// viewers need a picture by the new ones.
	let address = '';
	let shut = false;
	const closed = () => {
		if (address !== location.href) shut = policy.paused(address = location.href);
		if (policy.moved()) {
			miss();
			full();
		}
		if (shut) shield(() => {});
		return shut;
	};

	/** What is looked at meanwhile stays hidden, if nothing is shared of the page. */
	const shield = (look) => {
		try {
			policy.close(shut);
			look();
		} finally {
			policy.close(false);
		}
	};

	const push = (event) => {
		const { source } = event.data;
		if (!urgent.length && (source === 1 || source === 3 || source === 6)) {
			moves.push(event);
			moveTimer ||= setTimeout(() => { moveTimer = 0; flush(); }, moveWait);
		} else if (urgent.push(event) === 1) queueMicrotask(flush);
	};

	const canvases = makeCanvases({
		policy,
		emit: guard((event) => { if (!behind && !why.size && !closed()) push(event); }),
	});
	const scrub = makeScrubber({ mirror, policy, picture: canvases.source, changed() { renew = true; full(); } });

	const emit = guard((event) => {
		ready ||= event.type === 4;
		// What nobody gets to see is looked at all the same: what an address has hidden
		// stays so when it goes.
		const hidden = closed();
		if (hidden ? event.type === 2 || event.data.source === 0 : event.type === 3 && event.data.source === 0 && (behind || why.size)) shield(() => scrub(event));
		if (why.size) return lose();
		if (hidden) return miss();
		if (event.type === 4) meta = scrub(event);
		else if (event.type === 2) {
			flush(true);
			if (meta) sendFull(meta, scrub(event));
			meta = null;
		} else if (event.type !== 3 || behind) {
			if (event.type === 3 && !stuck) full();
		}
		else if ((event = scrub(event))) {
			push(event);
			// React sets a value past rrweb's hooks; the attribute that it sets along with it tells.
			for (const { id, attributes } of event.data.attributes ?? []) {
				const el = mirror.getNode(id);
				const field = 'value' in attributes && el?.localName === 'input' && scrub({ ...event, data: { source: 5, id, text: el.value, isChecked: el.checked } });
				if (field) push(field);
			}
		}
	});

	const stop = () => {
		const halt = end;
		end = null;
		ready = false;
		miss();
		for (const timer of [fullTimer, moveTimer, slowTimer]) clearTimeout(timer);
		fullTimer = moveTimer = slowTimer = 0;
		canvases.stop();
		try { halt?.(); } catch { /* rrweb undoes its hooks as far as it can */ }
	};

	return {
		start: guard(() => {
			if (end) return;
			end = () => {}; // what record emits at once counts already
			canvases.start();
			end = rrweb({
				emit,
				blockSelector: policy.blockSelector,
				maskAllInputs: true,
				// Text is the scrubber's: rrweb's maskTextFn does not see text that stands
				// directly in a shadow root.
				maskInputFn: (text, el) => (policy.isMasked(el) ? policy.maskValue(text) : text),
				slimDOMOptions: 'all',
				recordAfter: 'DOMContentLoaded', // not when the last picture has come
				sampling: { mousemove: 50, mousemoveCallback: 60, scroll: 80, input: 'all' },
				// A wrong rule that the page gives to insertRule is the page's to know.
				errorHandler(error) {
					if (error instanceof DOMException) return false;
					failed(error);
					return true;
				},
			}) ?? (() => {});
		}),
		look: guard(closed),
		full() {
			stuck = false;
			full();
		},
		stop,
		pause(reason = '') {
			why.add(reason);
			lose();
			clearTimeout(fullTimer);
			fullTimer = 0;
		},
		resume(reason = '') {
			if (why.delete(reason) && !why.size) full();
		},
		getNode: (id) => mirror.getNode(id),
		getId: (node) => mirror.getId(node),
	};
}
