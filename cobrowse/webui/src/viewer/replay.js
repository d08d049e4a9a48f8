// Replays the sharer's page in a sandboxed frame, live. The recipe: timestamps
// are rewritten to now, because an event that is older than the replayer's start,
// by whatever clock, freezes the picture; a new replayer for each full frame,
// because a replayer keeps all events for ever.

import { Replayer } from '../../third_party/rrweb/replay.js';
import { makeFilter } from './filter.js';
import { makeSequence } from './sequence.js';

const most = {
	events: 20_000, // in one replayer
	age: 30 * 60_000, // of one replayer, ms
	missing: 5, // nodes that were not found, before the picture is asked for again
	errors: 20, // in one replayer, before it is given up
};
const patience = 10_000; // ms for an answer to need

// The frame is not painted by its own origin's rules: what is blocked looks alike everywhere.
const blocked = [
	'.rr-block { background: repeating-linear-gradient(45deg, #dfe5ee, #dfe5ee 8px, #eef1f6 8px, #eef1f6 16px) !important; border-radius: 6px; }',
	'html.rrweb-paused *, html.rrweb-paused *::before, html.rrweb-paused *::after { animation-play-state: running; }',
];

/** The doctypes that the replayer writes for pages without one. */
const doctype = /^<!DOCTYPE html PUBLIC "-\/\/W3C\/\/DTD (?:XHTML 1\.0|HTML 4\.0) Transitional\/\/EN" "">$/;

/**
 * @typedef {object} Hooks
 * @property {() => void} need asks the server for the picture
 * @property {(size: {width: number, height: number}) => void} size of the sharer's viewport
 * @property {(newPage: boolean) => void} opened a picture has been built
 * @property {(event: object) => void} event one event, after the filter
 * @property {(how: 'good' | 'behind' | 'broken') => void} health
 */

/**
 * @param {HTMLElement} root connected, and empty
 * @param {Hooks} hooks
 */
export function makeReplay(root, hooks) {
	const filter = makeFilter();
	const sequence = makeSequence();
	/** @type {{rep: Replayer, slot: HTMLElement, epoch: number, born: number, events: number, missing: number, errors: number, asked: boolean, built: boolean} | null} */
	let now = null;
	/** @type {typeof now} the one before, shown until its successor is built */
	let before = null;
	let asking = 0; // timer
	let broken = 0; // replayers given up in a row
	let shownEpoch = 0;
	let free = false; // the viewer looks around by itself
	/** @type {Map<number, object>} positions that were not applied meanwhile, by node */
	const scrolls = new Map();
	let focused = 0; // node that has the sharer's focus

	function ask() {
		if (asking) return;
		hooks.need();
		asking = setTimeout(() => {
			asking = 0;
			if (!sequence.whole()) ask();
		}, patience);
	}

	function answered() {
		clearTimeout(asking);
		asking = 0;
	}

	function lost() {
		sequence.lose();
		hooks.health(broken > 1 ? 'broken' : 'behind');
		ask();
	}

	function remove(picture) {
		if (!picture) return;
		try { picture.rep.destroy(); } catch { /* it may be in any state */ }
		picture.slot.remove();
	}

	/** Gives the replayer up: what it throws at stops it for good. */
	function fail() {
		broken += 1;
		if (now && before) {
			remove(now);
			now = null;
		}
		lost();
	}

	/** A new replayer, for the events from a full frame on. */
	function open(epoch) {
		if (now?.built) {
			remove(before);
			before = now;
		} else {
			remove(now);
		}
		const slot = document.createElement('div');
		slot.className = before ? 'slot coming' : 'slot';
		root.append(slot);
		const picture = { rep: null, slot, epoch, born: Date.now(), events: 0, missing: 0, errors: 0, asked: false, built: false };
		now = picture;
		const count = (...about) => {
			if (now !== picture) return;
			picture.errors += 1;
			if (about.some((part) => typeof part === 'string' && part.includes('not found'))) picture.missing += 1;
			if (picture.errors >= most.errors) fail();
			else if (picture.missing >= most.missing) renew(picture);
		};
		picture.rep = new Replayer([], {
			root: slot, liveMode: true, useVirtualDom: false, triggerFocus: false, pauseAnimation: false, mouseTail: false,
			insertStyleRules: blocked, logger: { log() {}, warn: count },
		});
		const frame = picture.rep.iframe;
		frame.inert = true;
		frame.tabIndex = -1;
		frame.title = '';
		allowDoctypes(frame);
		picture.rep.on('resize', (size) => {
			if (now === picture) hooks.size(size);
		});
		picture.rep.on('fullsnapshot-rebuilded', () => {
			if (now !== picture) return;
			picture.built = true;
			picture.slot.classList.remove('coming');
			remove(before);
			before = null;
			broken = 0;
			hooks.health('good');
			hooks.opened(epoch !== shownEpoch);
			shownEpoch = epoch;
		});
		picture.rep.startLive(Date.now());
	}

	/** Asks for the picture while the old one goes on. */
	function renew(picture) {
		if (picture.asked) return;
		picture.asked = true;
		ask();
	}

	function apply(batch) {
		const picture = now;
		if (!picture || !Array.isArray(batch)) return;
		try {
			for (const raw of batch) {
				const event = filter.apply(raw);
				if (!event) continue;
				event.timestamp = Date.now();
				picture.events += 1;
				note(event);
				if (free && event.type === 3 && event.data.source === 3) scrolls.set(event.data.id, event);
				else picture.rep.addEvent(event);
				hooks.event(event);
			}
		} catch { // beyond the limits, or nothing that the replayer can take
			fail();
			return;
		}
		if (picture.events > most.events || Date.now() - picture.born > most.age) renew(picture);
	}

	function note(event) {
		if (event.type === 2) {
			focused = 0;
			scrolls.clear();
		} else if (event.type === 3 && event.data.source === 2) {
			if (event.data.type === 5) focused = event.data.id;
			else if (event.data.type === 6 && focused === event.data.id) focused = 0;
		}
	}

	// What a replayer throws in an animation frame ends its timer, and shows up here only.
	const stumbled = (event) => {
		if (!now || event.filename && !event.filename.startsWith(location.origin)) return;
		fail();
	};
	addEventListener('error', stumbled);

	return {
		/** Takes a frame ev, skip or sync. */
		receive(frame) {
			switch (frame.t) {
				case 'sync':
					answered();
					sequence.sync(frame);
					filter.reset();
					break;
				case 'skip':
					if (sequence.skip(frame) === 'gap') lost();
					break;
				case 'ev':
					switch (sequence.ev(frame)) {
						case 'open':
							answered();
							filter.reset();
							open(frame.e);
							apply(frame.b);
							break;
						case 'apply':
							apply(frame.b);
							break;
						case 'gap':
							lost();
							break;
						default:
					}
					break;
				default:
			}
		},
		/** The connection is another one: what comes has no connection with what came. */
		forget() {
			answered();
			sequence.lose();
		},
		/** Whether something can be seen, of this page or the one before. */
		shows: () => Boolean(now?.built || before),
		epoch: () => sequence.epoch(),
		/** @returns {HTMLIFrameElement | null} the frame that is seen */
		frame: () => (now?.built ? now : before)?.rep.iframe ?? null,
		/** @returns {number} the sharer's id of a node, 0 if it has none */
		idOf(node) {
			const found = (now?.built ? now : before)?.rep.getMirror().getId(node) ?? -1;
			return found > 0 ? found : 0;
		},
		/** @returns {Node | null} */
		nodeOf(nodeID) {
			return (now?.built ? now : before)?.rep.getMirror().getNode(nodeID) ?? null;
		},
		focused: () => focused,
		/** Looks around freely: the sharer's scrolling is not followed until that ends. */
		setFree(on) {
			free = on;
			if (on) return;
			for (const event of scrolls.values()) now?.rep.addEvent({ ...event, timestamp: Date.now() });
			scrolls.clear();
		},
		close() {
			answered();
			removeEventListener('error', stumbled);
			remove(before);
			remove(now);
			before = null;
			now = null;
		},
	};
}

/**
 * Where Trusted Types are enforced, the frame may write the two doctypes that the
 * replayer knows, and nothing else. The policy is the frame's own.
 * @param {HTMLIFrameElement} frame
 */
function allowDoctypes(frame) {
	const factory = frame.contentWindow?.trustedTypes;
	try {
		factory?.createPolicy('default', { createHTML: (text) => (doctype.test(text) ? text : null) });
	} catch { /* then such pages are shown by the standard's rules */ }
}
