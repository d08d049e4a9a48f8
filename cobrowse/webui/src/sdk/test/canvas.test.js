import assert from 'node:assert/strict';
import test from 'node:test';

import { el, install } from './dom.js';
import { makeCanvases } from '../canvas.js';
import { makePolicy } from '../policy.js';

install();

/** A canvas whose picture is what the test says. */
function canvas(picture, attributes = {}) {
	const c = el('canvas', attributes);
	c.picture = picture;
	c.toDataURL = (type, quality) => {
		if (c.picture instanceof Error) throw c.picture;
		return c.picture && `${type};${quality};${c.picture}`;
	};
	return c;
}

function made(t, rules = {}) {
	t.mock.timers.enable({ apis: ['setInterval', 'Date'] });
	document.hidden = false;
	const sent = [];
	const canvases = makeCanvases({ policy: makePolicy(rules), emit: (e) => sent.push(e.data.attributes[0]) });
	canvases.start();
	t.after(() => canvases.stop());
	return { canvases, sent: () => sent.splice(0), tick: (ms) => t.mock.timers.tick(ms) };
}

test('a canvas is sent again when it looks different, twice a second at most', (t) => {
	const { canvases, sent, tick } = made(t);
	const c = canvas('a');
	assert.equal(canvases.source(c, 7), 'image/webp;0.6;a');
	tick(2000);
	assert.deepEqual(sent(), []);
	c.picture = 'b';
	tick(499);
	assert.deepEqual(sent(), []);
	tick(1);
	assert.deepEqual(sent(), [{ id: 7, attributes: { src: 'image/webp;0.6;b' } }]);
	tick(2000);
	assert.deepEqual(sent(), []);
	c.isConnected = false;
	c.picture = 'c';
	tick(2000);
	assert.deepEqual(sent(), []);
});

test('no picture of what is masked, blocked, tainted, empty or too large', (t) => {
	const { canvases, sent, tick } = made(t, { maskSelectors: ['.m'] });
	for (const c of [canvas('a', { class: 'm' }), canvas('a', { 'data-cb-mask': '' }), canvas('a', { 'data-cb-block': '' }), canvas(new Error('tainted')), canvas('x'.repeat(210_000))]) {
		assert.equal(canvases.source(c, 1), '');
	}
	const bare = el('canvas');
	bare.toDataURL = () => 'data:,';
	assert.equal(canvases.source(bare, 1), '');
	const later = canvas('a');
	canvases.source(later, 2);
	later.attributes.set('data-cb-mask', '');
	tick(500);
	assert.deepEqual(sent(), [{ id: 2, attributes: { src: null } }]);
	assert.equal(makeCanvases({ policy: makePolicy({ textMode: 'private' }), emit() {} }).source(canvas('a'), 3), '');
});

test('a page in the background is left alone, an expensive canvas is asked less often', (t) => {
	const { canvases, sent, tick } = made(t);
	const c = canvas('a');
	canvases.source(c, 1);
	document.hidden = true;
	c.picture = 'b';
	tick(5000);
	assert.deepEqual(sent(), []);
	document.hidden = false;
	tick(500);
	assert.equal(sent().length, 1);

	const slow = canvas('a');
	const draw = slow.toDataURL;
	slow.toDataURL = (...args) => {
		t.mock.timers.setTime(Date.now() + 100);
		return draw(...args);
	};
	canvases.source(slow, 2);
	slow.picture = 'b';
	tick(1500);
	assert.deepEqual(sent(), []);
	tick(500);
	assert.equal(sent().length, 1);
});
