// The live view: puts replay, stage, pointers, drawings, grants and control
// together, and decides what is said over the picture.

import { makeControl } from './control.js';
import { makeGrants } from './grants.js';
import { makeInk } from './ink.js';
import { nameOf, showPeers } from './panel.js';
import { makePointers } from './pointers.js';
import { $, text, write } from './page.js';
import { makeReplay } from './replay.js';
import { makeStage } from './stage.js';

const colours = { agent: '#1f5fbf', supervisor: '#7c3aed', customer: '#c2410c' };
const settles = 500; // ms until the smooth scrolling of the replayer is over
const beat = 250; // ms between two looks at what moved by itself

/**
 * @param {(frame: object) => void} send
 * @param {() => void} shown the picture is there now
 */
export function makeView(send, shown) {
	let me = '';
	let role = 'agent';
	let phase = 'waiting';
	let why = '';
	let health = 'good';
	let trouble = ''; // of our own connection
	let sharerHidden = false;
	let peers = [];
	let sharer = { id: '', name: text('role.customer'), tone: 'customer' };
	let settle = 0;

	const placeAll = () => {
		pointers.place();
		ink.place();
	};
	const replay = makeReplay($('picture'), {
		need: () => send({ t: 'need' }),
		size: (size) => stage.resize(size),
		health(how) {
			health = how;
			veil();
		},
		opened(newPage) {
			if (newPage) {
				pointers.private(0);
				ink.clear();
				control.newPage();
				write('aside', '');
			}
			if (document.body.dataset.view !== 'picture') {
				document.body.dataset.view = 'picture';
				$('live').hidden = false;
				stage.fit();
				shown();
			}
			stage.soon();
			veil();
		},
		event() {
			stage.soon();
			clearTimeout(settle);
			settle = setTimeout(placeAll, settles);
		},
	});
	const stage = makeStage(replay, placeAll);
	const pointers = makePointers($('marks'), replay);
	const ink = makeInk($('ink'), stage.scrolled, send);
	const grants = makeGrants(send, () => {
		control.changed();
		people();
	});
	const control = makeControl({
		replay, stage, grants, ink, send,
		clicked: (at) => pointers.mark(role, at),
		colour: () => colours[role] ?? colours.agent,
	});
	control.changed();
	setInterval(() => {
		if (pointers.busy() && !document.hidden) placeAll();
	}, beat);

	function veil() {
		let key = '';
		if (trouble) key = trouble;
		else if (phase === 'paused') key = why === 'page' ? 'pausedPage' : 'paused';
		else if (phase === 'reconnecting') key = 'sharerLost';
		else if (phase === 'waiting') key = 'waiting';
		else if (health === 'broken') key = 'broken';
		else if (sharerHidden) key = 'hidden';
		else if (health === 'behind') key = 'behind';
		stage.veil(key, sharer.name);
	}

	function people() {
		showPeers(peers, me, grants.of);
	}

	const whoIs = (id) => {
		const peer = peers.find((p) => p.id === id);
		return { id, name: peer ? nameOf(peer) : '', tone: peer?.role ?? 'agent' };
	};

	return {
		/** The connection is there, perhaps again. */
		welcome(frame) {
			me = frame.participant;
			role = frame.role;
			trouble = '';
			// What still holds is told anew.
			sharerHidden = false;
			pointers.private(0);
			write('aside', '');
			replay.forget();
			grants.welcome(Array.isArray(frame.may) ? frame.may : [], me);
			if (document.hidden) send({ t: 'vis', hidden: true });
		},
		/** @param {{state: string, why?: string}} frame */
		state(frame) {
			phase = frame.state;
			why = frame.why ?? '';
			grants.setLive(phase === 'live' || phase === 'paused', sharer.name);
			veil();
		},
		peers(list) {
			peers = list;
			const found = list.find((p) => p.cobrowseRole === 'sharer');
			if (found) sharer = { id: found.id, name: nameOf(found), tone: found.role };
			write('owner', text('page.of', sharer.name));
			pointers.keep(new Set(list.filter((p) => p.connected).map((p) => p.id)));
			grants.setLive(phase === 'live' || phase === 'paused', sharer.name);
			people();
			veil();
		},
		page(frame) {
			stage.showPage(String(frame.url ?? ''), String(frame.title ?? ''));
		},
		/** Our own connection: '' is good. */
		trouble(kind) {
			trouble = kind;
			veil();
		},
		shows: () => replay.shows(),
		/** Takes a frame of the stream; reports whether it was one for the view. */
		receive(frame) {
			switch (frame.t) {
				case 'ev':
				case 'skip':
				case 'sync':
					replay.receive(frame);
					return true;
				case 'focus':
					if (frame.e !== replay.epoch()) return true;
					pointers.private(frame.masked === true && Number.isSafeInteger(frame.id) ? frame.id : 0);
					write('aside', frame.masked === true ? text('private.now', sharer.name) : '');
					return true;
				case 'vis':
					sharerHidden = frame.hidden === true;
					veil();
					return true;
				case 'ptr':
					if (frame.from !== me) pointers.move(whoIs(frame.from), frame);
					return true;
				case 'draw':
					if (frame.from !== me) ink.apply(String(frame.from), frame);
					return true;
				case 'grants':
					grants.set(frame.list);
					return true;
				case 'answer':
					grants.answer(frame);
					return true;
				case 'done':
					control.done(frame);
					return true;
				default:
					return false;
			}
		},
		/** Nothing follows. */
		close() {
			replay.close();
			pointers.clear();
			ink.clear();
			$('live').hidden = true;
			delete document.body.dataset.view;
			for (const name of ['data-free', 'data-control', 'data-pen', 'data-keys']) document.body.removeAttribute(name);
		},
		visible(on) {
			send({ t: 'vis', hidden: !on });
		},
	};
}
