import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { makeStream } from '../stream.js';

/** A socket whose server is the test. */
class Socket {
	static all = [];
	bufferedAmount = 0;
	sent = [];
	closed = false;
	constructor(address, protocols) {
		Object.assign(this, { address, protocols });
		Socket.all.push(this);
	}
	send(data) { this.sent.push(data); }
	close() { this.closed = true; }
	open() { this.onopen(); }
	says(frame) { this.onmessage({ data: JSON.stringify(frame) }); }
	ends(code, reason = '') { this.onclose({ code, reason }); }
	/** The ev frames that came, as epoch.number. */
	get evs() { return this.sent.map((d) => JSON.parse(d)).filter((f) => f.t === 'ev').map((f) => `${f.e}.${f.s}`); }
	static get last() { return Socket.all.at(-1); }
}

let checks; // answers of GET …/check
beforeEach(() => {
	mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 1_700_000_000_000 });
	Socket.all = [];
	checks = [];
	globalThis.WebSocket = /** @type {any} */ (Socket);
	globalThis.fetch = async () => {
		const answer = checks.shift();
		if (!answer) throw new TypeError('offline');
		return /** @type {any} */ ({ status: answer[0], json: async () => ({ code: answer[1] }) });
	};
});
afterEach(() => mock.timers.reset());

function start(more = {}) {
	const heard = { frames: [], lost: 0, over: null, fulls: 0 };
	const stream = makeStream({
		address: 'https://cobridge.example/s/1/stream', epoch: 1, hello: () => ({ tab: 'tab' }),
		onFrame: (f) => heard.frames.push(f.t), onLost: () => { heard.lost += 1; },
		onOver: (code, reason) => { heard.over = [code, reason]; }, full: () => { heard.fulls += 1; }, ...more,
	});
	stream.connect();
	return { stream, heard };
}
const welcome = (have, limits = {}) => {
	Socket.last.open();
	Socket.last.says({ t: 'welcome', have, limits });
};
const full = { k: 'full', json: '[1,2]' };
const more = { k: '', json: '[3]' };
/** Runs what a promise has brought about. */
const soon = async () => { for (let i = 0; i < 10; i += 1) await Promise.resolve(); };

test('says hello with the epoch, and numbers frames in the exact form of the protocol', () => {
	const { stream, heard } = start();
	assert.equal(Socket.last.address, 'wss://cobridge.example/s/1/stream');
	assert.deepEqual(Socket.last.protocols, ['cobridge.v1']);
	assert.equal(stream.send({ t: 'act' }), false, 'nothing is sent before the welcome');
	welcome({ e: 0, s: 0 });
	assert.deepEqual(JSON.parse(Socket.last.sent[0]), { t: 'hello', v: 1, epoch: 1, tab: 'tab' });
	stream.events(full);
	stream.events(more);
	stream.events({ k: 'move', json: '[4]' });
	assert.deepEqual(Socket.last.sent.slice(1), [
		'{"t":"ev","e":1,"s":1,"c":1700000000000,"k":"full","b":[1,2]}',
		'{"t":"ev","e":1,"s":2,"c":1700000000000,"b":[3]}',
		'{"t":"ev","e":1,"s":3,"c":1700000000000,"k":"move","b":[4]}',
	]);
	assert.deepEqual(heard.frames, ['welcome']);
	Socket.last.says({ t: 'need', what: 'full', why: 'size' });
	assert.equal(heard.fulls, 1);
});

test('a page takes the epoch after the newest that the server knows', () => {
	const { stream } = start();
	welcome({ e: 7, s: 3 });
	stream.events(full);
	assert.deepEqual(Socket.last.evs, ['8.1']);
	assert.equal(stream.epoch(), 8);
});

test('after a loss only what the server does not have is sent again, with what came meanwhile', () => {
	const { stream, heard } = start();
	welcome();
	for (const frame of [full, more, more]) stream.events(frame);
	Socket.last.says({ t: 'ack', e: 1, s: 1 });
	Socket.last.ends(1006);
	assert.equal(heard.lost, 1);
	stream.events(more);
	mock.timers.tick(400);
	assert.equal(Socket.all.length, 2);
	welcome({ e: 1, s: 2 });
	assert.deepEqual(Socket.last.evs, ['1.3', '1.4']);
	assert.equal(heard.fulls, 0);
	stream.events(more);
	assert.deepEqual(Socket.last.evs, ['1.3', '1.4', '1.5']);
});

test('a server that has everything gets nothing again', () => {
	const { stream, heard } = start();
	welcome();
	stream.events(full);
	Socket.last.ends(1006);
	mock.timers.tick(400);
	welcome({ e: 1, s: 1 });
	assert.deepEqual(Socket.last.evs, []);
	assert.equal(heard.fulls, 0);
});

for (const [name, have] of Object.entries({ 'what the ring has lost': { e: 1, s: 1 }, 'a server that lost all': { e: 0, s: 0 }, 'a later epoch': { e: 4, s: 1 } })) {
	test(`${name} is cured by a full frame of a new epoch`, () => {
		const { stream, heard } = start();
		welcome();
		stream.events(full);
		Socket.last.says({ t: 'ack', e: 1, s: 1 });
		Socket.last.ends(1006);
		for (let i = 0; i < 201; i += 1) stream.events(more);
		mock.timers.tick(400);
		welcome(have);
		assert.equal(heard.fulls, 1);
		stream.events(more); // of before the full frame: nobody could apply it
		stream.events(full);
		stream.events(more);
		const e = Math.max(1, have.e) + 1;
		assert.deepEqual(Socket.last.evs, [`${e}.1`, `${e}.2`]);
	});
}

test('the ring is bounded in characters, too', () => {
	const { stream, heard } = start();
	welcome();
	stream.events(full);
	Socket.last.ends(1006);
	stream.events({ k: '', json: `["${'x'.repeat(2 << 20)}"]` });
	mock.timers.tick(400);
	welcome({ e: 1, s: 1 });
	assert.deepEqual([Socket.last.evs, heard.fulls], [[], 1]);
});

test('a fresh full frame begins an epoch, a checkout does not', () => {
	const { stream } = start();
	welcome();
	stream.events({ ...full, fresh: true });
	stream.events(full);
	stream.events({ ...full, fresh: true });
	assert.deepEqual(Socket.last.evs, ['1.1', '1.2', '2.1']);
});

test('nothing is added to a full buffer; a full frame follows when it has drained', () => {
	const { stream, heard } = start();
	welcome();
	stream.events(full);
	Socket.last.bufferedAmount = 3 << 20;
	stream.events(more);
	stream.events(more);
	mock.timers.tick(500);
	assert.equal(heard.fulls, 0);
	Socket.last.bufferedAmount = 0;
	mock.timers.tick(200);
	assert.equal(heard.fulls, 1);
	stream.events(more);
	stream.events(full);
	assert.deepEqual(Socket.last.evs, ['1.1', '2.1']);
});

test('pauses grow to 10 s and the attempts end after the grace time', () => {
	const { heard } = start();
	mock.method(Math, 'random', () => 0.5);
	welcome(undefined, { graceSeconds: 60 });
	Socket.last.ends(1006);
	const pauses = [];
	while (!heard.over) {
		let waited = 0;
		const before = Socket.all.length;
		while (Socket.all.length === before && waited < 20_000) {
			mock.timers.tick(50);
			waited += 50;
		}
		pauses.push(waited);
		Socket.last.open();
		Socket.last.ends(1006);
	}
	assert.deepEqual(pauses.slice(0, 8), [250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
	assert.deepEqual(heard.over, ['lost', '']);
	assert.ok(pauses.reduce((a, b) => a + b) < 75_000);
	mock.restoreAll();
});

test('close codes: which are the end, and how long the others wait', () => {
	for (const code of [1000, 1009, 4400, 4401, 4403, 4404, 4409, 4410, 4428]) {
		const { heard } = start();
		welcome();
		Socket.last.ends(code, 'why');
		assert.deepEqual(heard.over, [code, 'why'], `${code}`);
	}
	for (const [code, reason, least] of /** @type {[number, string, number][]} */ ([[1006, '', 0], [1011, '', 0], [4408, '', 0], [1001, '{"retryMs":3000}', 3000], [1001, '', 0], [4429, '', 5000], [4503, '', 5000], [4423, '', 5000]])) {
		const { heard } = start();
		welcome();
		const before = Socket.all.length;
		Socket.last.ends(code, reason);
		assert.equal(heard.over, null, `${code}`);
		mock.timers.tick(least - 1 > 0 ? least - 1 : 0);
		assert.equal(Socket.all.length, before, `${code} waits`);
		mock.timers.tick(400);
		assert.equal(Socket.all.length, before + 1, `${code} comes back`);
	}
});

test('a refusal without a close code is explained by the server', async () => {
	const { heard } = start();
	checks = [[410, 'cobrowse.session.ended']];
	Socket.last.ends(1006);
	await soon();
	assert.deepEqual(heard.over, ['cobrowse.session.ended', '']);
});

test('no network is no refusal', async () => {
	const { heard, stream } = start();
	for (const check of [undefined, [503, 'x'], [204, '']]) {
		checks = check ? [check] : [];
		Socket.last.ends(1006);
		await soon();
		assert.equal(heard.over, null);
		const before = Socket.all.length;
		stream.hurry();
		assert.equal(Socket.all.length, before + 1, 'hurry does not wait');
	}
});

test('a connection that acknowledges nothing is given up, one that still sends is not', () => {
	const { stream, heard } = start();
	welcome();
	stream.events(full);
	const first = Socket.last;
	first.bufferedAmount = 500_000;
	mock.timers.tick(20_000);
	first.bufferedAmount = 300_000;
	mock.timers.tick(20_000);
	assert.equal(heard.lost, 0);
	mock.timers.tick(20_000);
	assert.equal(heard.lost, 1);
	assert.equal(first.closed, true);
	first.says({ t: 'state', state: 'live' });
	first.ends(1000, 'ended');
	assert.deepEqual([heard.frames, heard.over], [['welcome'], null], 'the old connection has no say');
});

test('after close nothing is sent or tried', () => {
	const { stream, heard } = start();
	welcome();
	stream.close(2000);
	assert.equal(stream.send({ t: 'act' }), false);
	stream.events(full);
	assert.deepEqual(Socket.last.evs, []);
	assert.equal(Socket.last.closed, false, 'the server closes first');
	mock.timers.tick(2000);
	assert.equal(Socket.last.closed, true);
	Socket.last.ends(1006);
	mock.timers.tick(60_000);
	assert.deepEqual([Socket.all.length, heard.lost], [1, 0]);
});

test('a page whose policy forbids the connection is told so', () => {
	globalThis.WebSocket = /** @type {any} */ (class { constructor() { throw new Error('SecurityError'); } });
	assert.deepEqual(start().heard.over, ['blocked', '']);
});

test('what is no JSON, or makes a handler fail, stays without effect', () => {
	const { heard } = start({ onFrame: () => { throw new Error('ours'); } });
	Socket.last.open();
	Socket.last.onmessage({ data: '{' });
	Socket.last.says({ t: 'peers' });
	assert.equal(heard.over, null);
});
