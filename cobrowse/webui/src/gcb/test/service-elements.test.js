import assert from 'node:assert/strict';
import { test } from 'node:test';

import { el, install, serialise } from '../../sdk/test/dom.js';

install();
const { makeScrubber, renew, serviceSelector } = await import('../scrubber.js');
const { makePolicy, maskedIn } = await import('../policy.js');

const page = () => {
	const toolbar = el('div', { 'data-gcb-service-node': 'true' }, el('p', {}, 'of the tool'));
	const blocked = el('div', { class: 'secret' }, 'of the page');
	const plain = el('div', { 'data-gcb-service-node': 'false' }, 'shown');
	return { toolbar, blocked, plain, body: el('body', {}, toolbar, blocked, plain) };
};
/** As rrweb serialises what is blocked: a box. */
const box = (n) => { n.attributes = { ...n.attributes, rr_width: '300px', rr_height: '150px' }; };

test('a service element leaves nothing, a blocked one its box', () => {
	const { body } = page();
	const policy = makePolicy({ blockSelectors: ['.secret'] }, { block: [serviceSelector] });
	const { node, mirror } = serialise(body);
	node.childNodes.slice(0, 2).forEach(box);
	const out = makeScrubber({ mirror, policy })({ type: 2, data: { node } });
	const [toolbar, blocked, plain] = out.data.node.childNodes;
	assert.deepEqual(toolbar.attributes, { class: 'rr-block', rr_width: '0px', rr_height: '0px' });
	assert.deepEqual(blocked.attributes, { class: 'rr-block', rr_width: '300px', rr_height: '150px' });
	assert.equal(plain.childNodes[0].textContent, 'shown');
	assert.ok(!JSON.stringify(out).includes('of the'));
});

test('one that comes later, and one that becomes one', () => {
	const { body } = page();
	const policy = makePolicy({}, { block: [serviceSelector] });
	const { mirror, add } = serialise(body);
	let changed = 0;
	const scrub = makeScrubber({ mirror, policy, changed: () => { changed += 1; } });
	const late = el('aside', { 'data-gcb-service-node': 'true' }, 'of the tool');
	body.append(late);
	const node = add(late);
	box(node);
	const empty = { removes: [], texts: [], attributes: [] };
	const out = scrub({ type: 3, data: { source: 0, adds: [{ parentId: mirror.getId(body), nextId: null, node }], ...empty } });
	assert.equal(out.data.adds[0].node.attributes.rr_width, '0px');
	assert.ok(!JSON.stringify(out).includes('of the tool'));
	assert.equal(changed, 0);
	renew();
	assert.equal(changed, 1);
});

test('masked elements are those that the rules hide', () => {
	const fields = {
		name: el('input', { name: 'name' }), shown: el('input', { class: 'shown' }), password: el('input', { type: 'password' }), hidden: el('input', { type: 'hidden' }),
		send: el('input', { type: 'submit' }), text: el('p', { class: 'private' }, 'text'), plain: el('p', {}, 'text'), blocked: el('input', { class: 'secret' }),
	};
	el('body', {}, ...Object.values(fields));
	const find = (rules) => {
		makePolicy(rules, {});
		const all = Object.values(fields);
		const found = maskedIn(/** @type {any} */ ({ documentElement: el('html'), querySelectorAll: (selector) => all.filter((f) => f.matches(selector)) }));
		return Object.keys(fields).filter((name) => found.includes(fields[name]));
	};
	assert.deepEqual(find({ showSelectors: ['.shown'], maskSelectors: ['.private'], blockSelectors: ['.secret'] }), ['name', 'password', 'text']);
	assert.deepEqual(find({ showSelectors: ['input'] }), ['password']);
	globalThis.window = /** @type {any} */ ({ location: { href: 'https://shop.example/pay' }, document: {}, get parent() { return this; } });
	const pageRules = [{ urlPattern: '.*/pay', maskSelectors: ['.private'] }, { urlPattern: '.*/basket', maskSelectors: ['.shown'] }];
	assert.deepEqual(find({ showSelectors: ['input'], pageRules }), ['password', 'text'], 'rules of this address');
	delete globalThis.window;
	assert.throws(() => makePolicy({ maskSelectors: ['['] }, {}), /not a selector/);
});
