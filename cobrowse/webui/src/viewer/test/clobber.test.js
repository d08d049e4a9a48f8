// A field named parentElement would take the place of its form's parentElement
// (HTML standard, named access), and lead whoever walks up the tree in circles.

import assert from 'node:assert/strict';
import test from 'node:test';

globalThis.Element = /** @type {any} */ (class { get parentElement() { return null; } });
globalThis.Document = /** @type {any} */ (class { get body() { return null; } });
const { makeFilter } = await import('../filter.js');

const apply = (...nodes) => {
	const filter = makeFilter();
	const body = { type: 2, id: 3, tagName: 'body', attributes: {}, childNodes: nodes.map((n, i) => ({ type: 2, id: i + 10, childNodes: [], ...n })) };
	const full = filter.apply({ type: 2, data: { node: { type: 0, id: 1, childNodes: [{ type: 2, id: 2, tagName: 'html', attributes: {}, childNodes: [body] }] } } });
	return { filter, seen: full.data.node.childNodes[0].childNodes[0].childNodes.map((n) => n.attributes) };
};

test('names that would take the place of a property are left out', () => {
	const { filter, seen } = apply(
		{ tagName: 'input', attributes: { name: 'parentElement', id: 'parentElement', class: 'c' } },
		{ tagName: 'input', attributes: { name: 'plan', id: 'plan' } },
		{ tagName: 'iframe', attributes: { name: 'body' } },
		{ tagName: 'img', attributes: { name: 'x', id: 'body' } },
		{ tagName: 'div', attributes: { id: 'body' } },
	);
	assert.deepEqual(seen, [{ class: 'c' }, { name: 'plan', id: 'plan' }, {}, { name: 'x' }, { id: 'body' }]);
	const later = filter.apply({ type: 3, data: { source: 0, texts: [], removes: [], adds: [], attributes: [{ id: 11, attributes: { name: 'body', id: 'parentElement', title: 't' } }, { id: 13, attributes: { id: 'body' } }] } });
	assert.deepEqual(later.data.attributes, [{ id: 11, attributes: { title: 't' } }]);
});
