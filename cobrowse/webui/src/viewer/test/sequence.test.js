import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeSequence } from '../sequence.js';

const started = () => {
	const q = makeSequence();
	assert.equal(q.ev({ e: 1, s: 1, k: 'full' }), 'open');
	return q;
};

test('a session that goes well', () => {
	const q = started();
	assert.equal(q.ev({ e: 1, s: 2 }), 'apply');
	assert.equal(q.skip({ e: 1, s: 3 }), 'ignore');
	assert.equal(q.ev({ e: 1, s: 4, k: 'move' }), 'apply');
	assert.equal(q.ev({ e: 2, s: 1, k: 'full' }), 'open'); // the sharer has loaded another page
	assert.equal(q.ev({ e: 2, s: 2 }), 'apply');
	assert.equal(q.epoch(), 2);
	assert.equal(q.whole(), true);
});

test('before the first full frame there is nothing to apply', () => {
	const q = makeSequence();
	assert.equal(q.ev({ e: 1, s: 7 }), 'ignore');
	assert.equal(q.skip({ e: 1, s: 8 }), 'ignore');
	assert.equal(q.whole(), false);
});

test('duplicates and frames of an older page are ignored', () => {
	const q = started();
	q.ev({ e: 1, s: 2 });
	assert.equal(q.ev({ e: 1, s: 2 }), 'ignore');
	assert.equal(q.ev({ e: 1, s: 1, k: 'full' }), 'ignore');
	q.ev({ e: 3, s: 1, k: 'full' });
	assert.equal(q.ev({ e: 2, s: 9 }), 'ignore');
	assert.equal(q.ev({ e: 2, s: 1, k: 'full' }), 'ignore');
	assert.equal(q.skip({ e: 2, s: 2 }), 'ignore');
	assert.equal(q.whole(), true);
});

for (const [name, frame, how] of [
	['a number left out', { e: 1, s: 3 }, 'ev'],
	['a skip left out', { e: 1, s: 3 }, 'skip'],
	['another page without a full frame', { e: 2, s: 1 }, 'ev'],
	['a skip of another page', { e: 2, s: 1 }, 'skip'],
]) {
	test(`gap: ${name}`, () => {
		const q = started();
		assert.equal(q[how](frame), 'gap');
		assert.equal(q.whole(), false);
		assert.equal(q.ev({ e: 1, s: 2 }), 'ignore'); // until the picture is whole again
		q.sync({ e: 1, from: 40, frames: 2 });
		assert.equal(q.ev({ e: 1, s: 40, k: 'full' }), 'open');
		assert.equal(q.ev({ e: 1, s: 41 }), 'apply');
	});
}

test('a sync may go back to an older number', () => {
	const q = started();
	q.ev({ e: 1, s: 2 });
	q.ev({ e: 1, s: 3 });
	q.sync({ e: 1, from: 1, frames: 3 });
	assert.equal(q.ev({ e: 1, s: 1, k: 'full' }), 'open');
	assert.equal(q.ev({ e: 1, s: 2 }), 'apply');
});

test('a full frame mends the picture without a sync', () => {
	const q = started();
	q.lose();
	assert.equal(q.ev({ e: 1, s: 2 }), 'ignore');
	assert.equal(q.ev({ e: 1, s: 3, k: 'full' }), 'open');
	assert.equal(q.ev({ e: 1, s: 4 }), 'apply');
});

test('what is no number is ignored', () => {
	const q = started();
	for (const frame of [{}, { e: '1', s: 2 }, { e: 1, s: 2.5 }, { e: 1, s: null }, { e: NaN, s: 2 }]) assert.equal(q.ev(frame), 'ignore');
	assert.equal(q.whole(), true);
});
