import assert from 'node:assert/strict';
import test from 'node:test';

import { el, install } from './dom.js';
import { reason } from '../lint.js';
import { makePolicy } from '../policy.js';

install();

test('the reason names the rule', () => {
	const p = makePolicy({ maskSelectors: ['.m'], neverShowSelectors: ['.n'], showSelectors: ['.s'], blockSelectors: ['.b'] });
	const inShadow = el('input');
	el('div', { class: 'm' }).attachShadow().append(inShadow);
	for (const [element, kind, want] of [
		[el('input', { class: 'm s' }), 'value', 'mask: .m'],
		[el('input', { class: 'n' }), 'value', 'never: .n'],
		[el('input', { class: 'b' }), 'value', 'block: .b'],
		[el('input', { class: 's', type: 'password' }), 'value', 'never: type=password'],
		[el('input', { class: 's' }), 'value', 'show: .s'],
		[el('input'), 'value', 'default: form value'],
		[el('p'), 'text', 'default: text visible'],
		[inShadow, 'value', 'mask: .m'],
	]) {
		assert.equal(reason(p, element, kind), want);
	}
});

test('the reason names a page rule and the pages on which it holds', (t) => {
	t.after(() => { delete globalThis.window; });
	globalThis.window = { location: { href: 'https://shop.example/pay' }, document: {}, get parent() { return this; } };
	const p = makePolicy({ showSelectors: ['.s'], pageRules: [{ urlPattern: '.*/basket', maskSelectors: ['.s'] }, { urlPattern: '.*/pay', maskSelectors: ['.t'] }] });
	assert.equal(reason(p, el('input', { class: 's t' })), 'mask: .t (pages .*/pay)');
	assert.equal(reason(p, el('input', { class: 's' })), 'show: .s');
	const stays = el('p', { class: 't' });
	p.flags(stays);
	window.location.href = 'https://shop.example/';
	assert.equal(reason(p, stays, 'text'), 'mask: as under the address before, until it is gone');
	assert.equal(reason(p, el('p', { class: 't' }), 'text'), 'default: text visible');
});
