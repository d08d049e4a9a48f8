import assert from 'node:assert/strict';
import test from 'node:test';

import { el, install } from './dom.js';

install();
globalThis.DOMException ??= class DOMException extends Error {};
const { makePolicy } = await import('../policy.js');
const { makeRecorder } = await import('../recorder.js');

const node = { type: 0, childNodes: [], id: 1 };
const meta = () => ({ type: 4, data: { href: 'https://shop.example/?x', width: 1, height: 1 } });
const picture = (more = {}) => ({ type: 2, data: { node: structuredClone({ ...node, ...more }), initialOffset: { left: 0, top: 0 } } });
const resize = (width) => ({ type: 3, data: { source: 4, width, height: 1 } });
const scroll = (y) => ({ type: 3, data: { source: 3, id: 1, x: 0, y } });

/** A recorder over an rrweb that does what the test says, on a clock that stands until it is told. */
function made(t, { rules = {}, limits, snapshot = picture } = {}) {
	t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
	let now = 1000;
	t.mock.method(performance, 'now', () => now);
	const frames = [];
	const problems = [];
	let options = null;
	let snapshots = 0;
	const rrweb = (given) => {
		options = given;
		rrweb.takeFullSnapshot();
		return () => { options = null; };
	};
	rrweb.mirror = { getNode: (id) => (id === 1 ? document : null), getId: () => -1 };
	rrweb.takeFullSnapshot = () => {
		snapshots++;
		options.emit(meta());
		options.emit(snapshot());
	};
	document.nodeType = 9;
	const recorder = makeRecorder({ policy: makePolicy(rules), limits, rrweb, send: (f) => frames.push(f), onError: (p) => problems.push(p.code) });
	return {
		recorder, frames, problems, rrweb,
		get options() { return options; },
		get snapshots() { return snapshots; },
		kinds: () => frames.splice(0).map((f) => f.k + (f.fresh ? '!' : '') + f.events.length),
		emit: (...events) => { for (const e of events) options.emit(e); },
		async pass(ms = 0) {
			for (let left = ms; left >= 0; left -= 10) {
				await Promise.resolve();
				if (left) {
					now += Math.min(10, left);
					t.mock.timers.tick(Math.min(10, left));
				}
				await Promise.resolve();
			}
		},
	};
}

test('nothing before start; then a full frame of exactly two events', async (t) => {
	const r = made(t);
	r.recorder.full();
	await r.pass(5000);
	assert.equal(r.frames.length, 0);
	assert.equal(r.snapshots, 0);
	r.recorder.start();
	assert.deepEqual(r.frames[0].events.map((e) => e.type), [4, 2]);
	assert.equal(r.frames[0].json, JSON.stringify(r.frames[0].events));
	assert.equal(r.frames[0].events[0].data.href, 'https://shop.example/');
	assert.deepEqual(r.kinds(), ['full2']);
});

test('the options are those of the design note', (t) => {
	const r = made(t);
	r.recorder.start();
	const { maskAllInputs, slimDOMOptions, sampling, maskInputOptions, recordCanvas, recordCrossOriginIframes, ignoreSelector, maskTextSelector } = r.options;
	assert.deepEqual({ maskAllInputs, slimDOMOptions, sampling }, { maskAllInputs: true, slimDOMOptions: 'all', sampling: { mousemove: 50, mousemoveCallback: 60, scroll: 80, input: 'all' } });
	for (const unset of [maskInputOptions, recordCanvas, recordCrossOriginIframes, ignoreSelector, maskTextSelector]) assert.equal(unset, undefined);
	assert.match(r.options.blockSelector, /data-cb-block/);
	assert.equal(r.options.maskInputFn('secret', el('input')), '\u2022'.repeat(8));
	assert.equal(r.options.maskInputFn('', el('input')), '');
	assert.equal(r.options.maskInputFn('seen', el('input', { 'data-cb-show': '' })), 'seen');
});

test('what changes goes at the end of the task, positions wait for company', async (t) => {
	const r = made(t);
	r.recorder.start();
	r.kinds();
	r.emit(resize(1), resize(2));
	assert.deepEqual(r.kinds(), []);
	await r.pass();
	assert.deepEqual(r.kinds(), ['2']);
	r.emit(scroll(1));
	await r.pass(20);
	assert.deepEqual(r.kinds(), []);
	r.emit(scroll(2));
	await r.pass(30);
	assert.deepEqual(r.kinds(), ['move2']);
	r.emit(scroll(3), resize(3), scroll(4));
	await r.pass();
	assert.deepEqual(r.frames[0].events.map((e) => e.data.source), [3, 4, 3], 'in their order');
	assert.deepEqual(r.kinds(), ['3']);
	await r.pass(100);
	assert.deepEqual(r.kinds(), []);
});

test('full frames are 2 s apart, several wishes are one, what waits goes first', async (t) => {
	const r = made(t);
	r.recorder.start();
	r.kinds();
	for (let i = 0; i < 5; i++) r.recorder.full();
	r.emit(scroll(1));
	await r.pass(1980);
	assert.deepEqual(r.kinds(), ['move1']);
	r.emit(scroll(2));
	await r.pass(20);
	assert.deepEqual(r.kinds(), ['move1', 'full2']);
	await r.pass(10_000);
	assert.deepEqual(r.kinds(), []);
});

test('pause: nothing leaves, what waits is dropped; after it a picture', async (t) => {
	const r = made(t);
	r.recorder.start();
	r.kinds();
	r.emit(resize(1), scroll(1));
	r.recorder.pause('customer');
	r.recorder.pause('page');
	r.emit(resize(2));
	r.recorder.full();
	await r.pass(5000);
	r.recorder.resume('page');
	await r.pass(5000);
	assert.deepEqual(r.kinds(), []);
	r.recorder.resume('customer');
	r.emit(resize(3));
	await r.pass(100);
	assert.deepEqual(r.kinds(), ['full2']);
	r.emit(resize(4));
	await r.pass();
	assert.deepEqual(r.kinds(), ['1']);
});

test('a private address is noticed before anybody tells', async (t) => {
	const r = made(t, { rules: { pauseCriteria: [{ urlFragment: '/pay', condition: 'Includes' }] } });
	t.after(() => { globalThis.location = { href: 'https://shop.example/' }; });
	r.recorder.start();
	r.kinds();
	globalThis.location = { href: 'https://shop.example/pay' };
	r.emit(resize(1));
	r.recorder.full();
	await r.pass(5000);
	assert.deepEqual(r.kinds(), []);
	globalThis.location = { href: 'https://shop.example/' };
	r.emit(resize(2));
	await r.pass(2000);
	assert.deepEqual(r.kinds(), ['full!2']);
});

test('where other page rules hold, what waits is dropped and a picture by the new ones follows', async (t) => {
	const view = { location: { href: 'https://shop.example/' }, document: Object.assign(document, { getElementsByTagName: () => [] }) };
	globalThis.window = view;
	t.after(() => { delete globalThis.window; });
	const r = made(t, { rules: { pageRules: [{ urlPattern: '.*/pay', maskSelectors: ['.a'] }] } });
	r.recorder.start();
	r.kinds();
	await r.pass(2000);
	r.emit(resize(1), scroll(1));
	view.location.href = 'https://shop.example/pay';
	r.emit(resize(2));
	await r.pass(100);
	assert.deepEqual(r.kinds(), ['full!2'], 'nothing of before, nothing before the picture');
	r.emit(resize(3));
	await r.pass();
	assert.deepEqual(r.kinds(), ['1']);
	// Nothing has happened on the page, and what was recorded still waits.
	await r.pass(2000);
	r.emit(scroll(2));
	view.location.href = 'https://shop.example/';
	r.recorder.look();
	await r.pass(100);
	assert.deepEqual(r.kinds(), ['full!2']);
	view.location.href = 'https://shop.example/basket';
	r.emit(resize(4));
	await r.pass(5000);
	assert.deepEqual(r.kinds(), ['1'], 'the same rules hold: no picture');
});

test('what comes before the picture of a page with rules, and stays when its address goes, is masked', async (t) => {
	const view = { location: { href: 'https://shop.example/' }, document: Object.assign(document, { getElementsByTagName: () => [] }) };
	document.defaultView = view;
	globalThis.window = view;
	t.after(() => { delete globalThis.window; delete document.defaultView; });
	const words = el('p', { class: 'a' }, 'secret');
	Object.assign(words, { ownerDocument: document, parentNode: document });
	const nodes = { 1: document, 2: words, 3: words.childNodes[0] };
	const tree = () => ({ type: 2, tagName: 'p', attributes: { class: 'a' }, childNodes: [{ type: 3, textContent: 'secret', id: 3 }], id: 2 });
	let there = [];
	const r = made(t, { rules: { pageRules: [{ urlPattern: '.*/pay', maskSelectors: ['.a'] }] }, snapshot: () => picture({ childNodes: there }) });
	r.rrweb.mirror.getNode = (id) => nodes[id] ?? null;
	r.recorder.start();
	view.location.href = 'https://shop.example/pay';
	there = [tree()];
	r.emit({ type: 3, data: { source: 0, adds: [{ parentId: 1, nextId: null, node: tree() }], removes: [], texts: [], attributes: [] } });
	view.location.href = 'https://shop.example/'; // the picture has to wait for its time
	r.kinds();
	await r.pass(5000);
	assert.equal(r.frames.length, 1);
	assert.equal(r.frames[0].json.includes('secret'), false);
});

test('what a private page has brought, and stays when its address goes, is masked', async (t) => {
	const frame = { location: { href: 'https://shop.example/' }, document };
	document.defaultView = frame;
	t.after(() => { globalThis.location = { href: 'https://shop.example/' }; delete document.defaultView; });
	const secret = el('p', {}, 'secret');
	const menu = el('p', {}, 'menu');
	for (const node of [secret, menu]) Object.assign(node, { ownerDocument: document, parentNode: document });
	const nodes = { 1: document, 2: secret, 3: secret.childNodes[0], 4: menu, 5: menu.childNodes[0] };
	const tree = (id, textContent) => ({ type: 2, tagName: 'p', attributes: {}, childNodes: [{ type: 3, textContent, id: id + 1 }], id });
	let there = [tree(4, 'menu')];
	const r = made(t, { rules: { pauseCriteria: [{ urlFragment: '/pay', condition: 'Includes' }] }, snapshot: () => picture({ childNodes: there }) });
	r.rrweb.mirror.getNode = (id) => nodes[id] ?? null;
	const go = (href) => { globalThis.location = { href }; };
	r.recorder.start();
	r.kinds();
	go('https://shop.example/pay');
	there = [tree(4, 'menu'), tree(2, 'secret')];
	r.emit({ type: 3, data: { source: 0, adds: [{ parentId: 1, nextId: null, node: tree(2, 'secret') }], removes: [], texts: [], attributes: [] } });
	go('https://shop.example/');
	r.recorder.look();
	r.recorder.full();
	await r.pass(5000);
	assert.equal(r.frames.length, 1);
	assert.deepEqual(['secret', 'menu'].map((word) => r.frames[0].json.includes(word)), [false, true]);
});

test('a batch over the limit is followed by a picture instead', async (t) => {
	const r = made(t, { limits: { evBytes: 2000 } });
	r.recorder.start();
	r.kinds();
	r.emit({ type: 3, data: { source: 8, id: 1, replace: 'x'.repeat(3000) } });
	await r.pass(10);
	r.emit(resize(1));
	await r.pass(3000);
	assert.deepEqual(r.kinds(), ['full!2']);
});

test('sizes are counted in bytes', async (t) => {
	const r = made(t, { limits: { evBytes: 2000 } });
	r.recorder.start();
	r.kinds();
	r.emit({ type: 3, data: { source: 8, id: 1, replace: 'ü'.repeat(1000) } });
	await r.pass(3000);
	assert.deepEqual(r.kinds(), ['full!2']);
});

test('a page that is too large is tried without its style sheets, then given up', async (t) => {
	const big = (elements, css) => () => picture({ childNodes: [
		{ type: 2, tagName: 'style', attributes: { _cssText: 'c'.repeat(css) }, childNodes: [], id: 2 },
		...Array.from({ length: elements }, (_, i) => ({ type: 2, tagName: 'p', attributes: {}, childNodes: [], id: 3 + i })),
	] });
	const fits = made(t, { limits: { fullBytes: 10_000 }, snapshot: big(10, 20_000) });
	fits.recorder.start();
	assert.deepEqual(fits.kinds(), ['full2']);
	assert.deepEqual(fits.problems, []);
	t.mock.timers.reset();
	t.mock.restoreAll();

	const never = made(t, { limits: { fullBytes: 10_000 }, snapshot: big(500, 0) });
	never.recorder.start();
	never.emit(resize(1));
	await never.pass(10_000);
	assert.deepEqual(never.kinds(), []);
	assert.deepEqual(never.problems, ['too_large']);
	assert.equal(never.snapshots, 1, 'not again by itself');
	never.recorder.full();
	await never.pass(3000);
	assert.equal(never.snapshots, 2);
});

test('a page that changes all the time keeps to the rate', async (t) => {
	const r = made(t, { limits: { evPerSecond: 60, evBurst: 240, evBytesPerSecond: 1 << 20, evBytes: 512 << 10 } });
	r.recorder.start();
	r.kinds();
	let emitted = 0;
	const second = async () => {
		for (let i = 0; i < 100; i++) {
			r.emit(resize(emitted++));
			await r.pass(10);
		}
	};
	for (let i = 0; i < 10; i++) await second();
	const events = r.frames.flatMap((f) => f.events);
	assert.ok(r.frames.length <= 240 + 600, `${r.frames.length} frames in 10 s`);
	r.kinds();
	await second();
	assert.ok(r.frames.length <= 60, `${r.frames.length} frames in a second`);
	await r.pass(100);
	assert.deepEqual([...events, ...r.frames.flatMap((f) => f.events)].map((e) => e.data.width), [...Array(emitted).keys()], 'all, in their order');
});

test('a value that React has set past the hooks is sent with the attribute that changed', async (t) => {
	const r = made(t);
	const fields = { 2: el('input', { 'data-cb-show': '' }), 3: el('input') };
	fields[2].value = '';
	fields[3].value = 'a secret';
	r.rrweb.mirror.getNode = (id) => fields[id] ?? (id === 1 ? document : null);
	r.recorder.start();
	r.kinds();
	r.emit({ type: 3, data: { source: 0, adds: [], removes: [], texts: [], attributes: [{ id: 2, attributes: { value: '' } }, { id: 3, attributes: { value: 'a secret' } }, { id: 3, attributes: { lang: 'de' } }] } });
	await r.pass();
	assert.deepEqual(r.frames[0].events.slice(1).map((e) => [e.data.source, e.data.id, e.data.text]), [[5, 2, ''], [5, 3, '\u2022'.repeat(8)]]);
	assert.ok(!r.frames[0].json.includes('secret'));
});

test('errors stay inside, and too many end it', async (t) => {
	const r = made(t);
	r.recorder.start();
	r.kinds();
	for (let i = 0; i < 4; i++) {
		r.emit({ type: 3, data: { source: 1, positions: null } });
		await r.pass(2500);
		assert.deepEqual(r.kinds(), ['full!2'], `error ${i + 1}`);
	}
	r.emit({ type: 3, data: { source: 1, positions: null } });
	assert.deepEqual(r.problems, ['error']);
	assert.equal(r.options, null, 'rrweb was stopped');
	await r.pass(5000);
	assert.deepEqual(r.kinds(), []);
});

test('the page keeps its own exceptions, not rrweb\'s', (t) => {
	const r = made(t);
	r.recorder.start();
	assert.equal(r.options.errorHandler(new DOMException('no rule', 'SyntaxError')), false);
	assert.equal(r.options.errorHandler(new TypeError('x')), true);
});

test('stop, and start again', async (t) => {
	const r = made(t);
	r.recorder.start();
	r.emit(resize(1));
	r.recorder.stop();
	r.recorder.full();
	await r.pass(5000);
	assert.deepEqual(r.kinds(), ['full2']);
	r.recorder.start();
	assert.deepEqual(r.kinds(), ['full!2']);
});

test('while the document loads a wish for a picture waits for the first', async (t) => {
	const r = made(t);
	const { takeFullSnapshot } = r.rrweb;
	r.rrweb.takeFullSnapshot = () => {};
	r.recorder.start();
	r.rrweb.takeFullSnapshot = () => { throw new Error('not recording'); };
	r.recorder.full();
	r.emit({ type: 0, data: {} });
	await r.pass(5000);
	assert.deepEqual(r.problems, []);
	r.rrweb.takeFullSnapshot = takeFullSnapshot;
	takeFullSnapshot();
	assert.deepEqual(r.kinds(), ['full2']);
	assert.equal(r.options.recordAfter, 'DOMContentLoaded');
});
