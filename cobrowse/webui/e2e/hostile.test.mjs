// A sharer that sends whatever it likes: nothing of it may run in the viewer's
// browser, reach another server, or move the viewer's page.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { person, picture, until } from './people.mjs';
import { Site } from './site.mjs';
import { stage, watch } from './stage.mjs';

/** A server that must hear nothing. */
const beacon = new Site();
const set = stage();
before(() => beacon.listen());
after(() => beacon.close());

let id = 0;
/** @param {string} tagName @param {Record<string, any>} attributes @param {any[]} childNodes */
const el = (tagName, attributes = {}, ...childNodes) => ({ type: 2, tagName, attributes, childNodes: childNodes.map((c) => (typeof c === 'string' ? { type: 3, textContent: c, id: ++id } : c)), id: ++id });

/**
 * The snapshot of a page that tries everything. Each try has a path of its own at the beacon.
 * @param {(name: string) => string} url
 */
function trap(url) {
	const run = (/** @type {string} */ name) => `parent.pwned = top.pwned = ${JSON.stringify(name)}; new Image().src = ${JSON.stringify(url(name))}`;
	const svg = (/** @type {any[]} */ ...inside) => el('svg', { xmlns: 'http://www.w3.org/2000/svg', onload: run('svg-onload') }, ...inside);
	return {
		type: 0, id: ++id, childNodes: [
			{ type: 1, name: 'html', publicId: '', systemId: '', id: ++id },
			el('html', { manifest: url('manifest') },
				el('head', {},
					el('base', { href: url('base/') }),
					el('meta', { 'http-equiv': 'refresh', content: `0;url=${url('refresh')}` }),
					el('meta', { 'http-equiv': 'Content-Security-Policy', content: 'default-src *' }),
					el('link', { rel: 'stylesheet', href: url('sheet') }),
					el('link', { rel: 'preload', as: 'image', href: url('preload') }),
					el('link', { rel: 'prefetch', href: url('prefetch') }),
					el('link', { rel: 'preconnect', href: url('preconnect') }),
					el('link', { rel: 'icon', href: url('icon') }),
					el('link', { rel: 'modulepreload', href: url('modulepreload') }),
					el('link', { rel: 'import', href: url('import') }),
					el('style', { _cssText: `@import url(${url('cssimport')}); @font-face { font-family: f; src: url(${url('font')}) } body { font-family: f; background: url(${url('background')}) } h1::after { content: url(${url('content')}) } li { list-style-image: url(${url('list')}); cursor: url(${url('cursor')}), auto }` }),
					el('style', {}, `@import "${url('styletext')}";`),
					el('script', { src: url('script') }),
					el('script', {}, run('script-text')),
					el('script', { type: 'module' }, run('script-module'))),
				el('body', { onload: run('body-onload'), onpageshow: run('pageshow'), background: url('bodybackground') },
					el('h1', { style: `background-image: url(${url('inlinestyle')})` }, 'The hostile page'),
					el('p', { id: 'harmless' }, 'I am shown'),
					el('ul', {}, el('li', {}, 'item')),
					el('img', { src: url('img'), onerror: run('img-onerror'), onload: run('img-onload') }),
					el('img', { src: 'x:', onerror: run('img-onerror-2') }),
					el('img', { srcset: `${url('srcset')} 1x`, lowsrc: url('lowsrc'), dynsrc: url('dynsrc') }),
					el('img', { rr_dataURL: url('dataurl'), rr_src: url('rrsrc') }),
					el('picture', {}, el('source', { srcset: url('source') }), el('img', {})),
					el('input', { type: 'image', src: url('inputimage') }),
					el('video', { src: url('video'), poster: url('poster'), autoplay: true, rr_mediaState: 'played' }),
					el('video', { onerror: run('video-onerror') }, el('source', { src: url('videosource'), onerror: run('source-onerror') }), el('track', { src: url('track'), default: true })),
					el('audio', { src: url('audio'), autoplay: true }),
					el('iframe', { src: url('iframe') }),
					el('iframe', { src: 'javascript:top.pwned = "iframe-js"' }),
					el('iframe', { srcdoc: `<script>top.pwned = "srcdoc"</script><img src="${url('srcdoc')}">` }),
					el('frameset', {}, el('frame', { src: url('frame') })),
					el('object', { data: url('object') }),
					el('embed', { src: url('embed') }),
					el('applet', { code: url('applet') }),
					el('portal', { src: url('portal') }),
					el('a', { href: `javascript:top.pwned = "link"`, ping: url('ping'), target: '_top', id: 'link' }, 'a link'),
					el('form', { action: url('form'), target: '_top', id: 'form' }, el('input', { name: 'x', autofocus: true, onfocus: run('onfocus') }), el('button', { formaction: url('formaction') }, 'Send')),
					el('details', { open: true, ontoggle: run('ontoggle') }, el('summary', {}, 'more')),
					el('marquee', { onstart: run('marquee') }, 'm'),
					el('div', { onanimationstart: run('animation'), style: 'animation: x 1s' }, 'moving'),
					el('template', { shadowrootmode: 'open' }, el('img', { src: url('template') })),
					el('noscript', {}, el('img', { src: url('noscript') })),
					el('canvas', { rr_dataURL: url('canvas') }),
					svg(
						el('script', {}, run('svg-script')),
						el('image', { 'xlink:href': url('svgimage'), href: url('svgimage2') }),
						el('use', { 'xlink:href': `${url('use')}#a` }),
						el('feImage', { href: url('feimage') }),
						el('animate', { onbegin: run('onbegin'), attributeName: 'x', dur: '1s' }),
						el('set', { attributeName: 'href', to: 'javascript:top.pwned=1' }),
						el('foreignObject', {}, el('img', { src: url('foreign') })),
						el('style', {}, `rect { fill: url(${url('svgstyle')}#p) }`),
					),
					el('math', {}, el('maction', { 'xlink:href': 'javascript:top.pwned="math"', actiontype: 'statusline' }, 'm')),
					el('x-custom', { is: 'x-y', onclick: run('custom') }, 'custom'))),
		],
	};
}

/**
 * Comes in as the sharer of a new session, with a socket of its own.
 * @param {import('./people.mjs').Person} sharer
 * @returns {Promise<{id: string, sessionToken: string}>}
 */
async function comeIn(sharer) {
	await sharer.page.goto(`${set.site.origin}/inner.html`);
	return sharer.page.evaluate(async ({ base, deployment }) => {
		const started = await (await fetch(`${base}/api/v2/cobrowse/deployments/${deployment}/sessions`, {
			method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}',
		})).json();
		const socket = new WebSocket(`${base.replace('http', 'ws')}/api/v2/cobrowse/sessions/${started.id}/stream`, ['cobridge.v1']);
		const all = /** @type {any} */ (window);
		all.socket = socket;
		all.closed = new Promise((resolve) => {
			socket.onclose = (event) => resolve({ code: event.code, reason: event.reason });
		});
		await new Promise((resolve, reject) => {
			socket.onopen = () => socket.send(JSON.stringify({ t: 'hello', v: 1, token: started.token, tab: 'hostile', epoch: 1, sdk: 'none', vw: 1280, vh: 800 }));
			socket.onmessage = ({ data }) => {
				const frame = JSON.parse(data);
				if (frame.t === 'welcome') {
					resolve(undefined);
				} else if (frame.t === 'need' && all.last) {
					all.ev(all.last, 'full'); // a viewer has given the picture up
				}
			};
			socket.onerror = reject;
		});
		socket.send(JSON.stringify({ t: 'consent', kind: 'sharing', ok: true, text: 'any' }));
		let s = 0;
		all.ev = (/** @type {any[]} */ b, /** @type {string | undefined} */ k) => socket.send(`{"t":"ev","e":1,"s":${++s},"c":${Date.now()},${k ? `"k":"${k}",` : ''}"b":${JSON.stringify(b)}}`);
		return { id: started.id, sessionToken: started.sessionToken };
	}, { base: set.service.baseUrl, deployment: set.service.deploymentIds.site });
}

/** @param {import('./people.mjs').Person} sharer @param {any[]} events @param {string} [kind] */
const send = (sharer, events, kind) => sharer.page.evaluate(([b, k]) => /** @type {any} */ (window).ev(b, k), /** @type {[any[], string | undefined]} */ ([events, kind]));

const meta = (href = 'https://shop.example/') => ({ type: 4, data: { href, width: 1280, height: 800 }, timestamp: 1 });
const change = (/** @type {any} */ data) => ({ type: 3, data, timestamp: 2 });
const none = { texts: [], attributes: [], removes: [], adds: [] };

test('a hostile page does nothing in the viewer and asks nobody', async () => {
	assert.equal((await fetch(`${beacon.origin}/control`)).status, 404); // the beacon hears
	assert.deepEqual(beacon.requests.splice(0), ['/control']);
	const url = (/** @type {string} */ name) => `${beacon.origin}/${name}`;

	const sharer = await person(set.browser, 'Kim Customer');
	const started = await comeIn(sharer);
	const { agent: agentUrl } = await set.service.api.attach(started.sessionToken);
	const viewer = await watch(set, 'Ada Agent', agentUrl);
	let dialogs = 0;
	let popups = 0;
	viewer.page.on('dialog', (dialog) => {
		dialogs++;
		void dialog.dismiss();
	});
	const snapshot = trap(url);
	const body = /** @type {any} */ (snapshot.childNodes[1]).childNodes[1];
	const full = () => [meta('javascript:top.pwned="meta"'), { type: 2, data: { node: snapshot, initialOffset: { top: 0, left: 0 } }, timestamp: 1 }];
	await send(sharer, full(), 'full');
	const frame = () => viewer.page.evaluate(() => /** @type {HTMLIFrameElement | null} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'))?.contentDocument?.body?.innerText ?? '');
	await until(frame, (text) => text.includes('I am shown'), 'the harmless part');
	viewer.context.on('page', () => popups++);
	const address = viewer.page.url();

	// And the same again, bit by bit.
	// The recorder sends each node of an added tree by itself.
	const added = (/** @type {any} */ node, parentId = body.id) => [{ parentId, nextId: null, node: { ...node, childNodes: [] } }, ...(node.childNodes ?? []).flatMap((/** @type {any} */ child) => added(child, node.id))];
	await send(sharer, [
		change({ source: 0, ...none, adds: [
			el('script', { src: url('add-script') }), el('script', {}, 'top.pwned = "add-script"'), el('img', { src: url('add-img'), onerror: 'top.pwned="add"' }), el('iframe', { src: url('add-iframe') }),
			el('link', { rel: 'stylesheet', href: url('add-link') }), el('style', {}, `p { background: url(${url('add-style')}) }`), el('object', { data: url('add-object') }),
		].flatMap((node) => added(node)) }),
	]);
	const harmless = body.childNodes.find((/** @type {any} */ n) => n.attributes?.id === 'harmless').id;
	await send(sharer, [
		change({ source: 0, ...none, attributes: [{ id: harmless, attributes: { onclick: 'top.pwned="attr"', onmouseover: 'top.pwned="over"', style: { 'background-image': `url(${url('attr-style')})` }, src: url('attr-src'), background: url('attr-background') } }] }),
		change({ source: 0, ...none, texts: [{ id: body.childNodes[1].childNodes[0].id, value: '<img src=x onerror=top.pwned="text">Still shown' }] }),
	]);
	await send(sharer, [change({ source: 8, id: snapshot.childNodes.length, adds: [{ rule: `p { background: url(${url('rule')}) }`, index: 0 }] })]);
	await send(sharer, [change({ source: 15, id: 1, styleIds: [1], styles: [{ styleId: 1, rules: [{ rule: `body { background: url(${url('adopted')}) !important }`, index: 0 }] }] })]);
	await send(sharer, [change({ source: 13, id: harmless, set: { property: 'background', value: `url(${url('declaration')})` }, index: [0] })]);
	await send(sharer, [change({ source: 10, family: 'f2', fontSource: `url(${url('fontface')})`, buffer: false, descriptors: {} })]);
	await send(sharer, [change({ source: 7, type: 0, id: harmless }), change({ source: 9, id: harmless, type: 0, commands: [{ property: 'drawImage', args: [{ rr_type: 'HTMLImageElement', src: url('canvas-draw') }] }] })]);
	await send(sharer, [change({ source: 5, id: harmless, text: '<b>x', isChecked: true }), { type: 5, data: { tag: 'x', payload: { html: '<img src=x onerror=top.pwned=1>' } }, timestamp: 3 }, { type: 6, data: { plugin: 'rrweb/console@1', payload: { level: 'log', payload: ['x'] } }, timestamp: 3 }, { type: 8, data: { text: 'x' }, timestamp: 3 }]);
	const last = el('p', { id: 'last' }, 'The end of the story');
	body.childNodes.push(last);
	await sharer.page.evaluate((events) => {
		/** @type {any} */ (window).last = events;
	}, full());
	await send(sharer, [change({ source: 0, ...none, adds: added(last) })]);
	await until(frame, (text) => text.includes('The end of the story'), 'what came after the traps');

	// The agent uses the page: clicks and keys lead nowhere.
	await viewer.page.mouse.move(400, 400);
	await viewer.page.mouse.click(400, 400);
	for (let i = 0; i < 30; i++) {
		await viewer.page.keyboard.press('Tab');
	}
	assert.ok(!(await viewer.page.evaluate(() => document.activeElement?.closest('.replayer-wrapper'))), 'the Tab key does not lead into the picture');
	await viewer.page.waitForTimeout(1500); // time to do what must not happen
	await picture('hostile', viewer.page);

	assert.equal(await viewer.page.evaluate(() => /** @type {any} */ (window).pwned), undefined, 'a script ran');
	for (const inner of viewer.page.frames()) {
		assert.equal(await inner.evaluate(() => /** @type {any} */ (window).pwned).catch(() => undefined), undefined, `a script ran in ${inner.url()}`);
	}
	assert.deepEqual(beacon.requests, [], 'the beacon was asked');
	assert.equal(viewer.page.url(), address);
	assert.deepEqual([dialogs, popups], [0, 0], 'dialogs and windows');

	// The same browser could have asked.
	await (await viewer.context.newPage()).goto(`${beacon.origin}/control`);
	assert.ok(beacon.requests.includes('/control'));
});

test('a sharer that shows a password ends the session', async () => {
	const sharer = await person(set.browser, 'Kim Customer');
	const started = await comeIn(sharer);
	const { agent: agentUrl } = await set.service.api.attach(started.sessionToken);
	const viewer = await watch(set, 'Ada Agent', agentUrl);
	const page = (/** @type {any[]} */ ...fields) => ({ type: 0, id: ++id, childNodes: [el('html', {}, el('head'), el('body', {}, el('p', {}, 'Sign in'), ...fields))] });
	const show = (/** @type {any} */ node) => [meta(), { type: 2, data: { node, initialOffset: { top: 0, left: 0 } }, timestamp: 1 }];
	await send(sharer, show(page(el('input', { type: 'password', value: '••••••••' }))), 'full');
	await until(() => viewer.wire.received.some((frame) => frame.includes('Sign in')), Boolean, 'the page with a hidden password');
	await send(sharer, show(page(el('input', { type: 'password', value: 'tulip-4711' }))), 'full');
	const ended = await until(() => set.service.api.call('GET', `/api/v2/cobrowse/sessions/${started.id}`), (session) => session.state === 'ended', 'the end');
	assert.equal(ended.endReason, 'maskingViolation');
	assert.ok(!viewer.wire.received.some((frame) => frame.includes('tulip-4711')), 'the password came to the viewer');
	assert.ok(!set.service.log.join('\n').includes('tulip'), 'the password is in the log');
});

test('a hostile page does not hold up the viewer', async () => {
	const sharer = await person(set.browser, 'Kim Customer');
	const started = await comeIn(sharer);
	const { agent: agentUrl } = await set.service.api.attach(started.sessionToken);
	const viewer = await watch(set, 'Ada Agent', agentUrl);
	/** @type {string[]} */
	const errors = [];
	viewer.page.on('pageerror', (error) => errors.push(error.message));
	// Fields that stand in front of their form's properties, pictures in front of the document's.
	const names = ['parentElement', 'ownerDocument', 'shadowRoot', 'getBoundingClientRect', 'closest', 'childNodes', 'style'];
	const body = el('body', {},
		el('form', { style: 'display:block;width:1280px;height:800px' }, 'I am shown', ...names.flatMap((name) => [el('input', { name }), el('input', { id: name })])),
		...['elementFromPoint', 'defaultView', 'body', 'documentElement', 'createElement', 'head'].map((name) => el('img', { name })));
	const node = { type: 0, id: ++id, childNodes: [el('html', {}, el('head'), body)] };
	await send(sharer, [meta(), { type: 2, data: { node, initialOffset: { top: 0, left: 0 } }, timestamp: 1 }], 'full');
	const frame = () => viewer.page.evaluate(() => /** @type {HTMLIFrameElement | null} */ (document.querySelector('.slot:last-child .replayer-wrapper iframe'))?.contentDocument?.body?.innerText ?? '');
	await until(frame, (text) => text.includes('I am shown'), 'the page');
	// Nodes that wait for each other.
	const waiting = (/** @type {number} */ own, /** @type {number} */ next) => ({ parentId: body.id, nextId: next, node: { type: 2, tagName: 'p', attributes: {}, childNodes: [], id: own } });
	for (let i = 0; i < 15; i++) {
		await send(sharer, [change({ source: 0, ...none, adds: [waiting(9001, 9002), waiting(9002, 9003), waiting(9003, 9001)] })]);
	}
	const begun = Date.now();
	await send(sharer, [change({ source: 0, ...none, adds: [{ parentId: body.id, nextId: null, node: { type: 3, textContent: 'And this', id: ++id } }] })]);
	await until(frame, (text) => text.includes('And this'), 'what came after the knot');
	assert.ok(Date.now() - begun < 3000, `the viewer was held up for ${Date.now() - begun} ms`);
	// Pointing, clicking and scrolling walk up the tree.
	const box = /** @type {{x: number, y: number}} */ (await viewer.page.locator('#overlay').boundingBox());
	await viewer.page.mouse.click(box.x + 60, box.y + 60);
	await viewer.page.locator('#look').click();
	await viewer.page.mouse.move(box.x + 60, box.y + 60);
	await viewer.page.mouse.wheel(0, 300);
	await viewer.page.waitForTimeout(300);
	assert.equal(await Promise.race([viewer.page.evaluate(() => 'alive'), new Promise((resolve) => setTimeout(resolve, 5000, 'hangs'))]), 'alive');
	assert.deepEqual(errors, []);
});
