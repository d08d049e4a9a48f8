// The connection of the sharer: numbers its frames, keeps the last ones until
// the server has them, and comes back after a loss. docs/protocol.md has the
// frames and close codes.

import { quiet } from './quiet.js';

const ringFrames = 200;
const ringBytes = 1 << 20; // characters; most frames are ASCII
const mostWaiting = 1 << 20; // bytes in the socket's buffer above which nothing is added
const backoff = { first: 250, most: 10_000 }; // ms
const later = 5000; // ms before another try when the service asked for less
const silence = 20_000; // ms without an acknowledgement after which the network is gone

/**
 * @typedef {object} Stream
 * @property {() => void} connect opens the connection, or opens it anew
 * @property {(frame: object) => boolean} send sends anything but ev; false when there is no connection
 * @property {(frame: {k: string, json: string, fresh?: boolean}) => void} events sends an ev frame, now or after the reconnect
 * @property {() => number} epoch
 * @property {() => void} hurry ends the pause between two attempts
 * @property {(after?: number) => void} close nothing follows; so many ms are left to the server to close it first
 */

/**
 * @param {object} parts
 * @param {string} parts.address of the stream, http or https
 * @param {number} parts.epoch wanted; the server may know a later one
 * @param {() => object} parts.hello members of the first frame
 * @param {(frame: any) => void} parts.onFrame gets what is not handled here; the welcome before anything is resent
 * @param {() => void} parts.onLost the connection is lost and will be tried again
 * @param {(code: number|string, reason: string) => void} parts.onOver nothing follows: a close code, or a code of the API
 * @param {() => void} parts.full asks the recorder for a full frame
 * @returns {Stream}
 */
export function makeStream({ address, epoch, hello, onFrame, onLost, onOver, full }) {
	/** @type {WebSocket|null} */
	let socket = null;
	let welcomed = false;
	let over = false;
	let attempt = 0;
	let lostAt = 0; // ms since 1970; 0 = it is not
	let grace = 120_000; // ms
	let retry = 0; // timer
	let watch = 0; // timer
	let seq = 0; // of the newest frame
	/** @type {{s: number, data: string}[]} */
	let ring = [];
	let bytes = 0; // in ring
	let fullBytes = 0; // of the newest full frame: it may lie in the buffer as a whole
	let broken = false; // viewers cannot follow until the next full frame, which begins an epoch: that is right whatever they have

	const forget = (upTo) => {
		while (ring.length && ring[0].s <= upTo) bytes -= ring.shift().data.length;
	};

	/** Sends what the server has not got. */
	const settle = (have) => {
		const { e = 0, s = 0 } = have ?? {};
		if (!seq) {
			// The first frame of this page is still to come.
			if (e >= epoch) epoch = e + 1;
		} else {
			const from = e === epoch ? s : 0;
			forget(from);
			if (e > epoch || (ring.length ? ring[0].s !== from + 1 : from !== seq)) {
				epoch = Math.max(epoch, e);
				broken = true;
			}
		}
		if (broken) full();
		else for (const frame of ring) socket.send(frame.data);
	};

	/** A network that is gone leaves the socket open: the missing acknowledgements tell. */
	const listenForAck = (waiting) => {
		clearTimeout(watch);
		watch = setTimeout(quiet(() => {
			if (!welcomed || !ring.length) return;
			if (socket.bufferedAmount < waiting) listenForAck(socket.bufferedAmount);
			else lose(socket);
		}), silence);
	};

	const drain = () => setTimeout(quiet(() => {
		if (!welcomed) return;
		if (socket.bufferedAmount > mostWaiting / 16) drain();
		else full();
	}), 100);

	const events = ({ k, json, fresh }) => {
		if (over || broken && k !== 'full') return;
		if (welcomed && socket.bufferedAmount > mostWaiting + fullBytes) {
			broken = true;
			drain();
			return;
		}
		if (seq && (broken || fresh)) {
			epoch += 1;
			seq = bytes = 0;
			ring = [];
		}
		broken = false;
		seq += 1;
		const data = `{"t":"ev","e":${epoch},"s":${seq},"c":${Date.now()},${k ? `"k":"${k}",` : ''}"b":${json}}`;
		if (k === 'full') fullBytes = data.length;
		if (!ring.length) listenForAck(Infinity);
		ring.push({ s: seq, data });
		bytes += data.length;
		while (ring.length > ringFrames || bytes > ringBytes && ring.length) forget(ring[0].s);
		if (welcomed) socket.send(data);
	};

	const send = (frame) => {
		if (welcomed) socket.send(JSON.stringify(frame));
		return welcomed;
	};

	const close = (after = 0) => {
		over = true;
		welcomed = false;
		clearTimeout(retry);
		clearTimeout(watch);
		const last = socket;
		socket = null;
		if (last) setTimeout(() => last.close(), after);
	};

	const finish = (code, reason) => {
		close();
		onOver(code, reason);
	};

	const again = (least = 0) => {
		if (over) return;
		lostAt ||= Date.now();
		if (Date.now() - lostAt > grace) {
			finish('lost', '');
			return;
		}
		const pause = Math.min(backoff.most, backoff.first * 2 ** attempt) * (0.75 + Math.random() / 2);
		attempt += 1;
		clearTimeout(retry);
		retry = setTimeout(connect, Math.max(least, pause));
		onLost();
	};

	/** A browser does not tell why a WebSocket was refused, so the server is asked. */
	const explain = async () => {
		try {
			const answer = await fetch(`${address}/check`, { credentials: 'omit', referrerPolicy: 'strict-origin' });
			if ([401, 403, 404, 410].includes(answer.status)) {
				const body = await answer.json().catch(() => ({}));
				if (!over) finish(body.code || `${answer.status}`, '');
				return;
			}
		} catch { /* offline, or the service is not there */ }
		again();
	};

	/** What the close codes mean to the sharer. */
	const closed = (code, reason) => {
		if ([1000, 1009, 4400, 4401, 4403, 4404, 4409, 4410, 4428].includes(code)) {
			finish(code, reason);
		} else if (code === 1001) {
			let pause = 0;
			try { pause = JSON.parse(reason).retryMs; } catch { /* a browser's own has no reason */ }
			again(pause);
		} else {
			again([4423, 4429, 4503].includes(code) ? later : 0);
		}
	};

	/** Gives up a connection that is dead although it looks open. */
	const lose = (mine) => {
		socket = null;
		welcomed = false;
		mine.close();
		again();
	};

	const connect = quiet(() => {
		if (over) return;
		clearTimeout(retry);
		const old = socket;
		socket = null;
		welcomed = false;
		old?.close();
		let opened = false;
		/** @type {WebSocket} */
		let mine;
		try {
			mine = new WebSocket(address.replace(/^http/, 'ws'), ['cobridge.v1']);
		} catch {
			finish('blocked', ''); // by the page's policy
			return;
		}
		socket = mine;
		mine.onopen = quiet(() => {
			opened = true;
			mine.send(JSON.stringify({ t: 'hello', v: 1, epoch, ...hello() }));
		});
		mine.onmessage = quiet(({ data }) => {
			if (mine !== socket) return;
			const frame = JSON.parse(data);
			switch (frame.t) {
				case 'welcome':
					welcomed = true;
					attempt = 0;
					lostAt = 0;
					grace = (frame.limits?.graceSeconds || 120) * 1000;
					onFrame(frame);
					settle(frame.have);
					break;
				case 'ack':
					if (frame.e === epoch) {
						forget(frame.s);
						listenForAck(Infinity);
					}
					break;
				case 'need':
					full();
					break;
				default:
					onFrame(frame);
			}
		});
		mine.onclose = quiet(({ code, reason }) => {
			if (mine !== socket) return;
			socket = null;
			welcomed = false;
			if (opened) closed(code, reason);
			else return explain();
		});
	});

	return {
		connect, send, events, close,
		epoch: () => epoch,
		hurry() {
			if (over || socket) return;
			attempt = 0;
			connect();
		},
	};
}
