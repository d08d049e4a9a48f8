import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';

import { makeMedia } from '../media.js';

beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }));
afterEach(() => mock.timers.reset());

const make = (adapter) => {
	const warnings = [];
	return { media: makeMedia(adapter, (text) => warnings.push(text)), warnings };
};
const settled = async (promise) => {
	let done = false;
	promise.then(() => { done = true; });
	for (let i = 0; i < 10; i += 1) await Promise.resolve();
	return done;
};

test('without an adapter it is ready, nobody is connected, nothing can be sent', async () => {
	for (const adapter of [null, undefined, {}, 'x']) {
		const { media, warnings } = make(adapter);
		assert.ok(await settled(media.ready()));
		assert.equal(media.connected(), false);
		assert.equal(media.send('123456789'), false);
		assert.deepEqual(warnings, []);
	}
});

test('the adapter is initialized at once, is ready when it says so, and gets the number', async () => {
	const calls = [];
	let done;
	const adapter = {
		token: '',
		initializeAsync(fn) { calls.push('initialize'); done = fn; },
		isAgentConnected() { return calls.push('connected') > 0; },
		sendCbSessionToken(token) { this.token = token; },
	};
	const { media, warnings } = make(adapter);
	assert.deepEqual(calls, ['initialize']);
	assert.equal(await settled(media.ready()), false);
	done();
	assert.ok(await settled(media.ready()));
	assert.equal(media.connected(), true);
	assert.equal(media.send('012345678'), true);
	assert.equal(adapter.token, '012345678'); // a method of the adapter, with its this
	assert.deepEqual(warnings, []);
});

test('an adapter that never gets ready is waited for, not for ever', async () => {
	const { media, warnings } = make({ initializeAsync() {} });
	mock.timers.tick(9_999);
	assert.equal(await settled(media.ready()), false);
	mock.timers.tick(1);
	assert.ok(await settled(media.ready()));
	assert.equal(warnings.length, 1);
});

test('an adapter that throws is as good as none, and is reported', async () => {
	const broken = () => { throw new Error('of the page'); };
	const { media, warnings } = make({ initializeAsync: broken, isAgentConnected: broken, sendCbSessionToken: broken });
	assert.ok(await settled(media.ready()));
	assert.equal(media.connected(), false);
	assert.equal(media.send('123456789'), false);
	assert.equal(warnings.length, 3);
});
