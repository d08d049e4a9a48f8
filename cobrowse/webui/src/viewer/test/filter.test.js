import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilterError, isHarmless, limits, makeFilter } from '../filter.js';

let next = 100;
const el = (tagName, attributes = {}, childNodes = [], more = {}) => ({ type: 2, id: next++, tagName, attributes, childNodes, ...more });
const txt = (textContent, more = {}) => ({ type: 3, id: next++, textContent, ...more });
const doc = (...body) => ({
	type: 0, id: 1, childNodes: [
		{ type: 1, id: 2, name: 'html', publicId: '', systemId: '' },
		el('html', {}, [el('head'), el('body', {}, body)]),
	],
});
const full = (...body) => ({ type: 2, data: { node: doc(...body), initialOffset: { left: 0, top: 0 } }, timestamp: 1 });
const mutation = (more) => ({ type: 3, data: { source: 0, adds: [], removes: [], texts: [], attributes: [], ...more }, timestamp: 1 });

/** What is left of the elements in the body of a page. */
function body(...nodes) {
	const event = makeFilter().apply(full(...nodes));
	return event.data.node.childNodes[1].childNodes[1].childNodes;
}
const only = (node) => body(node)[0];

test('a harmless page stays as it is', () => {
	const page = [
		el('main', { class: 'a', id: 'b', style: 'color:red', 'data-state': 'open', 'aria-label': 'x', role: 'main' }, [
			txt('Hello'),
			el('img', { src: 'https://cdn.example/a.png', alt: 'A', srcset: 'https://cdn.example/a.png 1x, https://cdn.example/b.png 2x', width: '10' }),
			el('img', { src: 'data:image/png;base64,AAAA' }),
			el('input', { type: 'text', value: '••••••••', disabled: true }),
			el('svg', { viewBox: '0 0 1 1' }, [el('linearGradient', { id: 'g' }, [], { isSVG: true }), el('use', { 'xlink:href': '#g' }, [], { isSVG: true })], { isSVG: true }),
			el('div', { class: 'rr-block', rr_width: '10px', rr_height: '5.5px', rr_scrollTop: 30 }),
			el('style', { _cssText: 'a:hover{color:red}' }, [txt('', { isStyle: true })]),
			el('my-card', {}, [el('p', {}, [txt('in the shadow')], { isShadow: true })], { isShadowHost: true, isCustom: true }),
		]),
	];
	assert.deepEqual(body(...structuredClone(page)), page);
});

for (const [name, node] of [
	['script', el('script', { src: 'https://evil.example/x.js' }, [txt('alert(1)')])],
	['SCRIPT', el('SCRIPT', {}, [txt('alert(1)')])],
	['script in SVG', el('script', { href: 'https://evil.example/x.js' }, [], { isSVG: true })],
	['script with a prefix', el('svg:script', {}, [txt('alert(1)')])],
	['noscript', el('noscript', {}, [txt('<img src=x>')])],
	['object', el('object', { data: 'https://evil.example/x.swf' })],
	['embed', el('embed', { src: 'https://evil.example/x' })],
	['applet', el('applet', { archive: 'https://evil.example/x.jar' })],
	['base', el('base', { href: 'https://evil.example/' })],
	['meta refresh', el('meta', { 'http-equiv': 'refresh', content: '0;url=https://evil.example/' })],
	['frameset', el('frameset', { onload: 'alert(1)' })],
	['frame', el('frame', { src: 'https://evil.example/' })],
	['portal', el('portal', { src: 'https://evil.example/' })],
	['template', el('template', { shadowrootmode: 'open' })],
	['track', el('track', { src: 'https://evil.example/x.vtt' })],
	['source', el('source', { src: 'https://evil.example/x.mp4', srcset: 'https://evil.example/x.png' })],
	['link preconnect', el('link', { rel: 'preconnect', href: 'https://evil.example/' })],
	['link dns-prefetch', el('link', { rel: 'dns-prefetch', href: 'https://evil.example/' })],
	['link prefetch beside stylesheet', el('link', { rel: 'stylesheet prefetch', href: 'https://evil.example/' })],
	['link import', el('link', { rel: 'import', href: 'https://evil.example/' })],
	['link icon', el('link', { rel: 'icon', href: 'https://evil.example/' })],
	['animation of an address', el('animate', { attributeName: 'href', values: 'javascript:alert(1)' }, [], { isSVG: true })],
	['set of an address', el('set', { attributename: 'xlink:href', to: 'https://evil.example/' }, [], { isSVG: true })],
	['a name that no element has', el('a b', {})],
	['a name of Object', el('constructor', {})],
	['a name with markup', el('img/onerror=alert(1)', {})],
	['a name that is none', el({ toString: 'x' }, {})],
]) {
	test(`element: ${name}`, () => {
		const kept = only(node);
		assert.equal(kept.tagName, 'span');
		assert.deepEqual(kept.attributes, { hidden: '' });
		assert.equal(kept.id, node.id); // what refers to it later finds it
		assert.doesNotMatch(JSON.stringify(kept), /evil|alert/);
	});
}

for (const [name, node, want] of [
	['handlers', el('img', { onerror: 'alert(1)', ONLOAD: 'x', onpointerrawupdate: 'x', 'svg:onload': 'x', alt: 'A' }), { alt: 'A' }],
	['javascript:', el('img', { src: 'javascript:alert(1)' }), {}],
	['javascript: in disguise', el('img', { src: '\u0001 java\tscr\nipt:alert(1)' }), {}],
	['vbscript:', el('img', { src: 'vbscript:x' }), {}],
	['data: that is no image', el('img', { src: 'data:text/html,<script>alert(1)</script>' }), {}],
	['blob:', el('img', { src: 'blob:https://evil.example/1' }), {}],
	['file:', el('img', { src: 'file:///etc/passwd' }), {}],
	['ftp:', el('img', { src: 'ftp://evil.example/x' }), {}],
	['relative, which is our own origin', el('img', { src: '/api/v2/tokens/me' }), {}],
	['of no scheme', el('img', { src: '//evil.example/x' }), {}],
	['http without a host', el('img', { src: 'http:/x' }), {}],
	['srcset', el('img', { srcset: 'javascript:x 1x, https://cdn.example/a.png 2x, /x 3x' }), { srcset: 'https://cdn.example/a.png 2x' }],
	['a frame with an address', el('iframe', { src: 'https://evil.example/', srcdoc: '<script>alert(1)</script>', sandbox: 'allow-scripts', name: 'f' }), { name: 'f' }],
	['what rrweb notes of a frame', el('iframe', { rr_src: 'https://evil.example/' }), {}],
	['video', el('video', { src: 'https://evil.example/x.mp4', poster: 'https://evil.example/x.png', autoplay: '', rr_mediaState: 'played' }), {}],
	['audio', el('audio', { src: 'https://evil.example/x.mp3', rr_mediaCurrentTime: 4 }), {}],
	['input of images', el('input', { type: 'image', src: 'https://evil.example/x.png' }), { type: 'image' }],
	['autofocus', el('input', { autofocus: '' }), {}],
	['form', el('form', { action: 'https://evil.example/', target: '_top', class: 'f' }), { class: 'f' }],
	['button', el('button', { formaction: 'javascript:alert(1)', form: 'f' }), {}],
	['link to somewhere', el('a', { href: 'https://evil.example/', ping: 'https://evil.example/', target: '_top', download: '' }), { href: '#' }],
	['link with a script', el('a', { href: 'javascript:alert(1)' }), { href: '#' }],
	['link in SVG', el('a', { 'xlink:href': 'https://evil.example/' }, [], { isSVG: true }), {}],
	['use of a foreign file', el('use', { 'xlink:href': 'https://evil.example/x.svg#a', href: 'data:image/svg+xml,x' }, [], { isSVG: true }), {}],
	['background', el('body', { background: 'https://evil.example/x.png' }), {}],
	['stylesheet', el('link', { rel: ' Stylesheet', href: 'https://evil.example/x.css', media: 'all' }), { rel: 'stylesheet', media: 'all' }],
	['size of a box', el('div', { rr_width: '1px;background:url(https://evil.example/)', rr_height: { a: 1 } }), {}],
	['data URL of a canvas in SVG', el('img', { rr_dataURL: 'https://evil.example/x.png' }), {}],
	['names of Object', el('p', JSON.parse('{"__proto__": {"a": 1}, "constructor": "x", "id": "p"}')), { id: 'p' }],
	['values that are none', el('p', { title: { toString: 'x' }, lang: ['x'], dir: 'rtl', tabindex: 1, hidden: true, draggable: null }), { dir: 'rtl', tabindex: 1, hidden: true, draggable: null }],
	['names that are none', el('p', { 'a b': 'x', '<': 'x', '': 'x', '1': 'x' }), {}],
]) {
	test(`attributes: ${name}`, () => {
		const kept = only(node);
		assert.deepEqual(kept.attributes, want);
		if (node.isSVG) assert.equal(kept.isSVG, true);
	});
}

test('addresses', () => {
	for (const good of ['https://a.example/b', 'HTTP://a.example', '', '#top', ' https://a.example/', 'data:image/gif;base64,R0', 'data:image/svg+xml,%3Csvg/%3E']) {
		assert.equal(isHarmless(good), true, good);
	}
	for (const bad of ['javascript:alert(1)', 'JaVaScRiPt:x', 'java\nscript:x', 'data:text/html,x', 'data:image/', 'data:image', 'about:blank', 'blob:x', 'a', '/a', '//a', 'https:/\\a', 'https:', 'ws://a', 'filesystem:x', 'view-source:x']) {
		assert.equal(isHarmless(bad), false, bad);
	}
});

test('events that are no picture are dropped', () => {
	const f = makeFilter();
	for (const event of [
		null, 1, 'x', [], {}, { type: 3 }, { type: 0, data: {} }, { type: 1, data: {} }, { type: 5, data: { tag: 'x', payload: 1 } }, { type: 6, data: { plugin: 'x' } },
		{ type: 8, data: {} }, { type: 99, data: {} }, { type: '2', data: {} },
		...[7, 9, 10, 11, 16, 17, -1, '0', undefined].map((source) => ({ type: 3, data: { source, id: 1, family: 'x', fontSource: 'url(https://evil.example/)' } })),
	]) {
		assert.equal(f.apply(event), null, JSON.stringify(event));
	}
});

test('Meta keeps the size, not the address', () => {
	const event = makeFilter().apply({ type: 4, data: { href: 'javascript:alert(1)', width: 1280.4, height: 1e9, extra: 1 }, timestamp: 5 });
	assert.deepEqual(event, { type: 4, data: { href: '', width: 1280, height: 10_000 }, timestamp: 0 });
});

test('a document has one root element and nothing beside it', () => {
	const event = full();
	event.data.node.childNodes.push(el('html'), txt('x'), { type: 5, id: next++, textContent: 'x' }, { type: 1, id: next++, name: 'a' });
	event.data.node.childNodes.unshift({ type: 4, id: next++, textContent: 'x' });
	assert.deepEqual(makeFilter().apply(event).data.node.childNodes.map((n) => n.type), [1, 2]);
});

test('quirks are kept for the outermost document with something in it', () => {
	const quirky = full();
	quirky.data.node.compatMode = 'BackCompat';
	assert.equal(makeFilter().apply(quirky).data.node.compatMode, 'BackCompat');
	quirky.data.node.childNodes = [];
	assert.equal(makeFilter().apply(quirky).data.node.compatMode, undefined);
});

test('a type that could break out of its place', () => {
	const event = full();
	event.data.node.childNodes[0] = { type: 1, id: 2, name: 'html><script>', publicId: '"><script>', systemId: {} };
	assert.deepEqual(makeFilter().apply(event).data.node.childNodes[0], { id: 2, type: 1, name: 'html', publicId: '', systemId: '' });
});

test('CDATA becomes text, comments are emptied, what is no node goes', () => {
	const kept = body({ type: 4, id: 7, textContent: 'a' }, { type: 5, id: 8, textContent: 'secret' }, { type: 9, id: 9 }, { type: 3, textContent: 'no id' }, 5, null, { type: 2, id: 1.5, tagName: 'p' });
	assert.deepEqual(kept, [{ id: 7, type: 3, textContent: 'a' }, { id: 8, type: 5, textContent: '' }]);
});

test('only elements that can be hosts are', () => {
	assert.equal(only(el('input', {}, [], { isShadowHost: true })).isShadowHost, undefined);
	assert.equal(only(el('div', {}, [], { isShadowHost: true })).isShadowHost, true);
	assert.equal(only(el('font-face', {}, [], { isCustom: true })).isCustom, undefined);
	assert.equal(only(el('p', {}, [], { isCustom: true })).isCustom, undefined);
	assert.equal(only(el('My-Card', {}, [], { isCustom: true })).isCustom, undefined);
});

test('mutations follow the same rules', () => {
	const f = makeFilter();
	const frame = el('iframe');
	const link = el('a', { href: '/x' });
	const sheet = el('link', { rel: 'stylesheet', href: 'https://a.example/x.css' });
	const spin = el('animate', { attributeName: 'opacity' }, [], { isSVG: true });
	f.apply(full(frame, link, sheet, spin));
	const got = f.apply(mutation({
		adds: [
			{ parentId: 1, nextId: null, node: el('script', { src: 'https://evil.example' }) },
			{ parentId: frame.id, nextId: null, node: doc() },
			{ parentId: 1, nextId: null, node: doc() }, // would replace the picture
			{ parentId: 'x', node: el('p') }, { parentId: 1 }, null,
		],
		attributes: [
			{ id: frame.id, attributes: { src: 'https://evil.example/', srcdoc: 'x', class: 'a' } },
			{ id: link.id, attributes: { href: 'javascript:x', onclick: 'x' } },
			{ id: sheet.id, attributes: { rel: 'prefetch', href: 'https://evil.example/', _cssText: 'b{}' } },
			{ id: spin.id, attributes: { attributename: 'href', to: 'javascript:x' } },
			{ id: 77, attributes: { src: 'javascript:x', rel: 'prefetch', _cssText: 'b{}', style: { color: 'red', '--x': ['1', 'important'], margin: false, 'a;b': 'x', top: { a: 1 } } } },
			{ id: 'x', attributes: {} }, { id: 78 }, { id: 79, attributes: { onclick: 'x' } },
		],
		removes: [{ id: 5, parentId: 4, extra: 1 }, { id: -1, parentId: 4 }],
		texts: [{ id: 5, value: 'a' }, { id: 6, value: { a: 1 } }, { id: 7, value: null }],
	})).data;
	assert.deepEqual(got.adds.map((a) => [a.parentId, a.node.type, a.node.tagName]), [[1, 2, 'span'], [frame.id, 0, undefined]]);
	assert.deepEqual(got.attributes, [
		{ id: frame.id, attributes: { class: 'a' } },
		{ id: link.id, attributes: { href: '#' } },
		{ id: sheet.id, attributes: { _cssText: 'b{}' } },
		{ id: spin.id, attributes: { to: 'javascript:x' } },
		{ id: 77, attributes: { rel: 'prefetch', style: { color: 'red', '--x': ['1', 'important'], margin: false } } },
	]);
	assert.deepEqual(got.removes, [{ id: 5, parentId: 4 }]);
	assert.deepEqual(got.texts, [{ id: 5, value: 'a' }, { id: 6, value: '' }, { id: 7, value: null }]);
});

test('mutations without their lists', () => {
	assert.deepEqual(makeFilter().apply({ type: 3, data: { source: 0, adds: {}, removes: null } }).data, { source: 0, adds: [], removes: [], texts: [], attributes: [] });
});

test('the other sources', () => {
	const f = makeFilter();
	const of = (data) => f.apply({ type: 3, data })?.data ?? null;
	assert.deepEqual(of({ source: 1, positions: [{ x: 1, y: 2, id: 3, timeOffset: -4000 }, { x: 'a', id: 4, timeOffset: 9 }, { id: 'x' }] }),
		{ source: 1, positions: [{ x: 1, y: 2, id: 3, timeOffset: -1000 }, { x: 0, y: 0, id: 4, timeOffset: 0 }] });
	assert.equal(of({ source: 1, positions: [] }), null);
	assert.deepEqual(of({ source: 2, type: 2, id: 3, x: 1, y: 1, evil: 1 }), { source: 2, type: 2, id: 3, x: 1, y: 1 });
	assert.equal(of({ source: 2, type: 77, id: 3 }), null);
	assert.equal(of({ source: 2, type: 'Click', id: 3 }), null);
	assert.deepEqual(of({ source: 3, id: 1, x: Infinity, y: 4 }), { source: 3, id: 1, x: 0, y: 4 });
	assert.deepEqual(of({ source: 4, width: -5, height: 'x' }), { source: 4, width: 1, height: 1 });
	assert.deepEqual(of({ source: 5, id: 1, text: { a: 1 }, isChecked: 'yes' }), { source: 5, id: 1, text: '', isChecked: false });
	assert.deepEqual(of({ source: 8, id: 4, adds: [{ rule: 'a{}', index: [0, 1] }, { rule: 5, index: -1 }], removes: [{ index: 0 }, { index: 'x' }] }),
		{ source: 8, id: 4, adds: [{ rule: 'a{}', index: [0, 1] }, { rule: '' }], removes: [{ index: 0 }] });
	assert.deepEqual(of({ source: 13, id: 4, index: [0], set: { property: 'color', value: 'red', priority: 'x' }, remove: 5 }),
		{ source: 13, id: 4, index: [0], set: { property: 'color', value: 'red', priority: '' } });
	assert.equal(of({ source: 13, id: 4, index: 'x' }), null);
	assert.deepEqual(of({ source: 14, ranges: [{ start: 1, startOffset: 0, end: 2, endOffset: -3 }, 5] }), { source: 14, ranges: [{ start: 1, startOffset: 0, end: 2, endOffset: 0 }] });
	assert.deepEqual(of({ source: 15, id: 1, styleIds: [1, 'x'], styles: [{ styleId: 1, rules: [{ rule: 'a{}' }] }, { styleId: 0 }] }),
		{ source: 15, id: 1, styleIds: [1], styles: [{ styleId: 1, rules: [{ rule: 'a{}' }] }] });
});

test('limits', () => {
	let deep = el('p');
	for (let i = 0; i <= limits.depth; i++) deep = el('div', {}, [deep]);
	assert.throws(() => body(deep), FilterError);
	assert.throws(() => body(el('p', {}, Array.from({ length: limits.nodes + 1 }, (_, i) => ({ type: 3, id: i + 10, textContent: '' })))), FilterError);
	assert.throws(() => body(...Array.from({ length: 9 }, () => txt('x'.repeat(1 << 20)))), FilterError);
	assert.throws(() => body(el('p', Object.fromEntries(Array.from({ length: limits.attributes + 1 }, (_, i) => [`data-${i}`, ''])))), FilterError);
	assert.throws(() => makeFilter().apply({ type: 2, data: { node: el('p') } }), FilterError);
	assert.throws(() => body({ ...doc(), id: 50 }), FilterError);
	assert.ok(body(el('p', {}, Array.from({ length: 5000 }, () => txt('x')))));
});

test('what comes out of the filter passes it again', () => {
	const f = makeFilter();
	const once = f.apply(full(el('iframe', { src: 'x', class: 'a' }), el('script', {}, [txt('x')]), el('a', { href: '/x' })));
	assert.deepEqual(f.apply(once), once);
});
