import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makePace } from '../pace.js';

/** A pace on a clock that the test moves. */
function bench() {
	let time = 0;
	let timers = [];
	const sent = [];
	const pace = makePace((value) => sent.push([time, value]), { now: () => time, after: (run, ms) => timers.push({ at: time + ms, run }) });
	const pass = (ms) => {
		const end = time + ms;
		for (;;) {
			const due = timers.filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
			if (!due) break;
			timers = timers.filter((t) => t !== due);
			time = due.at;
			due.run();
		}
		time = end;
	};
	return { pace, sent, pass };
}

test('a key goes out within 30 ms', () => {
	const { pace, sent, pass } = bench();
	pace.type('a');
	pass(30);
	assert.deepEqual(sent.map(([, value]) => value), ['a']);
	assert.ok(sent[0][0] <= 30);
});

test('keys that come together go together', () => {
	const { pace, sent, pass } = bench();
	for (const key of 'abc') pace.type(key);
	pass(30);
	assert.deepEqual(sent.map(([, value]) => value), ['abc']);
});

test('a held key loses nothing and stays below the rate', () => {
	const { pace, sent, pass } = bench();
	for (let i = 0; i < 200; i++) {
		pace.type(String(i % 10));
		pass(10);
	}
	pass(1000);
	assert.equal(sent.map(([, value]) => value).join(''), Array.from({ length: 200 }, (_, i) => i % 10).join(''));
	for (const [from] of sent) assert.ok(sent.filter(([at]) => at >= from && at < from + 1000).length <= 30);
	assert.ok(sent.length < 60, `${sent.length} frames`);
});

test('a flush comes at once and in order', () => {
	const { pace, sent, pass } = bench();
	pace.type('abc');
	pace.flush();
	pace.type('d');
	pass(30);
	assert.deepEqual(sent, [[0, 'abc'], [15, 'd']]);
});

test('a long text is cut, but no character', () => {
	const { pace, sent, pass } = bench();
	pace.type(`${'x'.repeat(999)}😀${'y'.repeat(1200)}`);
	pass(1000);
	assert.equal(sent.map(([, value]) => value).join(''), `${'x'.repeat(999)}😀${'y'.repeat(1200)}`);
	for (const [, value] of sent) {
		assert.ok(value.length <= 1000);
		assert.ok(value.isWellFormed?.() ?? true);
	}
});

test('other frames count as well', () => {
	const { pace, pass } = bench();
	let taken = 0;
	while (pace.take()) taken++;
	assert.equal(taken, 10);
	pass(1000);
	assert.equal(pace.take(), true);
});
