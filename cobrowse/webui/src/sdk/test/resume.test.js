import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { load, makeTabs, newID, save } from '../resume.js';

/** Channels of one origin: a message reaches all others of the same name. */
class Channel {
	static open = new Set();
	constructor(name) {
		this.name = name;
		Channel.open.add(this);
	}
	postMessage(data) {
		for (const other of Channel.open) if (other !== this && other.name === this.name) queueMicrotask(() => other.onmessage?.({ data: structuredClone(data) }));
	}
}

/** navigator.locks as far as one holder for ever goes. */
function makeLocks() {
	const held = new Set();
	return {
		held,
		async request(name, { signal }, fn) {
			while (held.has(name)) {
				if (signal.aborted) throw Object.assign(new Error(), { name: 'AbortError' });
				await new Promise((resolve) => { setTimeout(resolve, 5); });
			}
			held.add(name);
			return fn();
		},
	};
}

let stored;
let locks;
beforeEach(() => {
	stored = {};
	locks = makeLocks();
	Channel.open.clear();
	globalThis.sessionStorage = /** @type {any} */ ({ getItem: (k) => stored[k] ?? null, setItem: (k, v) => { stored[k] = v; }, removeItem: (k) => { delete stored[k]; } });
	globalThis.BroadcastChannel = /** @type {any} */ (Channel);
	Object.defineProperty(globalThis, 'navigator', { value: { locks }, configurable: true });
});

const kept = { session: 's', participant: 'p', secret: 'x', tab: 't', epoch: 2 };

test('what is kept comes back, what is broken does not', () => {
	assert.equal(load(), null);
	save(kept);
	assert.deepEqual(load(), kept);
	assert.deepEqual(Object.keys(stored), ['cobridge.session']);
	for (const bad of ['{', 'null', '7', '{}', '{"session":"s"}']) {
		stored['cobridge.session'] = bad;
		assert.equal(load(), null, bad);
	}
	save(null);
	assert.deepEqual(stored, {});
});

test('storage that throws is no storage', () => {
	Object.defineProperty(globalThis, 'sessionStorage', { get() { throw new Error('SecurityError'); }, configurable: true });
	save(kept);
	save(null);
	assert.equal(load(), null);
	Object.defineProperty(globalThis, 'sessionStorage', { value: undefined, writable: true, configurable: true });
});

test('ids are long and differ', () => {
	assert.match(newID(), /^[0-9a-f]{32}$/);
	assert.notEqual(newID(), newID());
});

test('questions find the page that has an answer', async () => {
	const questions = [];
	makeTabs((question) => { questions.push(question); });
	makeTabs((question) => (question === 'give' ? kept : undefined));
	const asking = makeTabs(() => 'never one\'s own');
	assert.deepEqual(await asking.ask('give'), kept);
	assert.deepEqual(questions, ['give']);
	assert.equal(await asking.ask('shared'), null);
});

for (const way of ['locks', 'channel']) {
	test(`a copy of a tab is recognised by ${way}`, async () => {
		if (way === 'channel') Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
		const first = makeTabs(() => undefined);
		assert.equal(await first.claim('t'), true);
		assert.equal(await makeTabs(() => undefined).claim('t'), false);
		assert.equal(await makeTabs(() => undefined).claim('u'), true);
	});
}

test('a reload waits for the page before it to let go', async () => {
	locks.held.add('cobridge.tab.t');
	setTimeout(() => locks.held.delete('cobridge.tab.t'), 50);
	assert.equal(await makeTabs(() => undefined).claim('t'), true);
});

test('a page before that takes long to let go is no other tab', async () => {
	locks.held.add('cobridge.tab.t');
	setTimeout(() => locks.held.delete('cobridge.tab.t'), 1000);
	assert.equal(await makeTabs(() => undefined).claim('t'), true);
});

test('a lock that nobody answers for, and that is never let go, is not waited for for ever', async (t) => {
	t.mock.timers.enable({ apis: ['setTimeout'] });
	locks.held.add('cobridge.tab.t');
	const claim = makeTabs(() => undefined).claim('t');
	let done = false;
	claim.then(() => { done = true; });
	for (let i = 0; i < 5000 && !done; i++) {
		t.mock.timers.tick(5);
		await Promise.resolve();
	}
	assert.equal(await claim, false);
});

test('without channels and locks each tab is on its own', async () => {
	globalThis.BroadcastChannel = /** @type {any} */ (class { constructor() { throw new Error('opaque origin'); } });
	Object.defineProperty(globalThis, 'navigator', { value: {}, configurable: true });
	const alone = makeTabs(() => undefined);
	assert.equal(await alone.ask('shared'), null);
	assert.equal(await alone.claim('t'), true);
});
