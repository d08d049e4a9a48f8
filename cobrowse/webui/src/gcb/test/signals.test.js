import assert from 'node:assert/strict';
import { mock, test } from 'node:test';

import { makeSignal } from '../signals.js';

test('add hears each time, addOnce the next one alone, remove ends it', () => {
	const { signal, fire } = makeSignal();
	const heard = [];
	const always = (...args) => heard.push(['always', ...args]);
	const gone = () => heard.push(['gone']);
	signal.add(always);
	signal.add(always); // twice is once
	signal.addOnce((...args) => heard.push(['once', ...args]));
	signal.add(gone);
	signal.remove(gone);
	fire(1, 2);
	fire(3);
	assert.deepEqual(heard, [['always', 1, 2], ['once', 1, 2], ['always', 3]]);
});

test('who comes late is called at once with what has happened, as with a deferred', () => {
	const { signal, fire, forget } = makeSignal();
	const heard = [];
	fire('first');
	fire('second');
	signal.add((it) => heard.push(`add ${it}`));
	signal.addOnce((it) => heard.push(`once ${it}`));
	assert.deepEqual(heard, ['add second', 'once second']);
	fire('third');
	assert.deepEqual(heard.slice(2), ['add third']);
	forget();
	signal.add(() => heard.push('too late'));
	assert.equal(heard.length, 3);
});

test('with all, who comes late hears of each time', () => {
	const { signal, fire } = makeSignal({ all: true });
	fire('a');
	fire('b');
	const heard = [];
	signal.add((it) => heard.push(it));
	assert.deepEqual(heard, ['a', 'b']);
});

test('a handler that throws keeps nobody else from hearing, and is reported', () => {
	const error = mock.method(console, 'error', () => {});
	const { signal, fire } = makeSignal();
	const heard = [];
	signal.add(() => { throw new Error('of the page'); });
	signal.add(() => heard.push('second'));
	signal.add(/** @type {any} */ ('no function'));
	fire();
	assert.deepEqual(heard, ['second']);
	assert.equal(error.mock.callCount(), 1);
	error.mock.restore();
});

test('a handler that removes itself, or adds another, does not disturb the others', () => {
	const { signal, fire } = makeSignal();
	const heard = [];
	const self = () => {
		heard.push('self');
		signal.remove(self);
		signal.add(() => heard.push('new'));
	};
	signal.add(self);
	signal.add(() => heard.push('other'));
	fire();
	assert.deepEqual(heard, ['self', 'new', 'other']);
	fire();
	assert.deepEqual(heard.slice(3).sort(), ['new', 'other']);
});
