import assert from 'node:assert/strict';
import { test } from 'node:test';

import { appOf, findScript } from '../place.js';

const script = (src, gcbUrl) => ({ localName: 'script', src, dataset: gcbUrl === undefined ? {} : { gcbUrl } });
const page = ({ current = null, ids = {}, found = {} } = {}) => /** @type {any} */ ({
	currentScript: current, getElementById: (id) => ids[id] ?? null, querySelector: (selector) => found[selector] ?? null,
});

test('the script element: the browser says it, else its ids, else its attribute or address', () => {
	const ours = script('https://cob.example/cobrowse/js/gcb.min.js', 'https://cob.example/cobrowse');
	const other = script('https://tags.example/loader.js');
	assert.equal(findScript(page({ current: ours })), ours);
	assert.equal(findScript(page({ current: other, ids: { 'genesys-js': ours } })), ours);
	assert.equal(findScript(page({ ids: { 'gcb-js': ours } })), ours);
	assert.equal(findScript(page({ ids: { 'gcb-js': { localName: 'div' } }, found: { 'script[data-gcb-url]': ours } })), ours);
	assert.equal(findScript(page({ found: { 'script[src*="/gcb.min.js"]': ours } })), ours);
	assert.equal(findScript(page()), null);
});

test('the application: the attribute, else the address of the script, else that of the widgets', () => {
	const at = 'https://shop.example/help/page';
	for (const [el, genesys, want] of [
		[script('https://cdn.example/js/gcb.min.js', 'https://cob.example/cobrowse'), {}, 'https://cob.example/cobrowse'],
		[script('', 'https://cob.example/cobrowse//'), {}, 'https://cob.example/cobrowse'],
		[script('', '//cob.example/gcb/cobrowse?x=1#y'), {}, 'https://cob.example/gcb/cobrowse'],
		[script('', '/cobrowse'), {}, 'https://shop.example/cobrowse'],
		[script('https://cob.example/cobrowse/js/gcb.min.js?apikey=1'), {}, 'https://cob.example/cobrowse'],
		[script('https://cob.example/cobrowse/js/0123456789ab/gcb.min.js'), {}, 'https://cob.example/cobrowse'],
		[null, { widgets: { cobrowse: { url: 'https://cob.example/cobrowse' } } }, 'https://cob.example/cobrowse'],
		[script('https://tags.example/all.js'), { widgets: { cobrowse: { src: 'https://cob.example/cobrowse/js/gcb.min.js' } } }, 'https://cob.example/cobrowse'],
		[script('', 'javascript:alert(1)'), {}, ''],
		[script('https://tags.example/all.js'), {}, ''],
		[null, undefined, ''],
	]) assert.equal(appOf(el, genesys, at), want);
});
