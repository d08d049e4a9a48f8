// The panel beside the picture: who is here, and how long the session lasts.

import { $, element, say, text, write } from './page.js';

const soonAt = 60; // seconds left when the time-out is announced

/** The name of a participant, the role if it has none. */
export const nameOf = (peer) => peer.name || text(`role.${peer.role}`) || peer.role;

function initial(name) {
	return ([...name.trim()][0] ?? '?').toLocaleUpperCase();
}

/** Three bars for a connection. */
function bars(quality) {
	const icon = element('span', 'bars', '');
	icon.dataset.quality = quality;
	icon.title = text(`quality.${quality}`);
	icon.append(element('span', 'unseen', text(`quality.${quality}`)), ...[1, 2, 3].map(() => document.createElement('i')));
	return icon;
}

/**
 * Shows who is here.
 * @param {object[]} list of the frame peers
 * @param {string} me
 * @param {(id: string) => string[]} kinds what somebody is allowed to do now
 */
export function showPeers(list, me, kinds) {
	$('peers').replaceChildren(...list.map((peer) => {
		const role = text(`role.${peer.role}`) || peer.role;
		const name = nameOf(peer);
		const item = element('li', peer.connected ? 'here' : '', '');
		item.dataset.tone = peer.role;
		const face = element('span', 'face', initial(name));
		face.setAttribute('aria-hidden', 'true');
		const rated = peer.connected && ['good', 'fair', 'poor'].includes(peer.quality);
		const presence = rated ? '' : peer.connected ? 'connected' : peer.state === 'joined' ? 'away' : peer.state;
		const you = peer.id === me ? ` (${text('peers.you')})` : '';
		const may = kinds(peer.id).map((kind) => text(`peer.${kind}`));
		const about = [role, presence && text(`peer.${presence}`), ...may].filter((part, i) => part && (i > 0 || part !== name)).join(' · ');
		item.append(face, element('span', 'name', name + you), element('span', 'about', about));
		if (rated) item.append(bars(peer.quality));
		return item;
	}));
	if (list.length === 0) $('peers').append(element('li', 'about', text('peers.none')));
}

let spokenSoon = false;

/**
 * Shows the time that is left.
 * @param {number} deadline ms since 1970, 0 = there is none
 * @param {number} now by the same clock
 */
export function showTime(deadline, now) {
	$('time').hidden = !deadline;
	if (!deadline) return;
	const left = Math.max(0, Math.ceil((deadline - now) / 1000));
	const two = (n) => String(n).padStart(2, '0');
	const hours = Math.floor(left / 3600);
	const minutes = Math.floor(left / 60) % 60;
	write('timer', hours ? `${hours}:${two(minutes)}:${two(left % 60)}` : `${minutes}:${two(left % 60)}`);
	const soon = left <= soonAt;
	$('timer').classList.toggle('soon', soon);
	if (soon === spokenSoon) return;
	spokenSoon = soon;
	say(soon ? text('time.soon') : '');
}
