import assert from 'node:assert/strict';
import test from 'node:test';

import { FakeDocument, el, install } from './dom.js';
import { MASK, MASKED, makePolicy, region } from '../policy.js';

install();

const policy = (rules = {}, page = {}) => makePolicy(rules, page);

test('a form value is hidden unless a rule shows it, text is visible', () => {
	for (const [tag, attributes] of [['input', {}], ['input', { type: 'email' }], ['input', { type: 'checkbox' }], ['textarea', {}], ['select', {}], ['option', {}], ['div', { contenteditable: '' }]]) {
		assert.equal(policy().isMasked(el(tag, attributes)), true, `${tag} ${JSON.stringify(attributes)}`);
	}
	assert.equal(policy().isMasked(el('p')), false);
	assert.equal(policy().isTextHidden(el('p')), false);
	assert.equal(policy().isTextHidden(el('textarea')), false, 'a placeholder is not the value');
	assert.equal(policy().isTextHidden(el('p', { contenteditable: 'true' })), true);
	assert.equal(policy().isTextHidden(el('p', { contenteditable: 'false' })), false);
	assert.equal(policy().isMasked(el('input', { type: 'submit' })), false, 'a caption is no value');
});

test('show rules of the server, of the page and of the markup', () => {
	const input = el('input');
	el('div', { class: 'open' }, input);
	assert.equal(policy({ showSelectors: ['.open'] }).isMasked(input), false);
	assert.equal(policy({}, { show: '.x,.open' }).isMasked(input), false);
	assert.equal(policy({}, { show: ['.open'] }).isMasked(input), false);
	assert.equal(policy({ showSelectors: ['.other'] }).isMasked(input), true);
	assert.equal(policy().isMasked(el('input', { 'data-cb-show': '' })), false);
});

test('never, mask and block win over show, in whatever order they nest', () => {
	for (const rule of ['mask', 'block']) {
		const inner = el('input', { 'data-cb-show': '' });
		el('div', { [`data-cb-${rule}`]: '' }, inner);
		assert.equal(policy().isMasked(inner), true, rule);
		const within = el('input', { [`data-cb-${rule}`]: '' });
		el('div', { 'data-cb-show': '' }, within);
		assert.equal(policy().isMasked(within), true, `${rule} in show`);
	}
	const card = el('input', { class: 'card', 'data-cb-show': '' });
	assert.equal(policy({ neverShowSelectors: ['.card'], showSelectors: ['.card'] }).isMasked(card), true);
	assert.equal(policy({ neverShowSelectors: ['.card'] }).isNever(card), true);
	const number = el('b', {}, 'x');
	el('p', { class: 'card' }, number);
	assert.equal(policy({ neverShowSelectors: ['.card'] }).isTextHidden(number), true, 'never hides text too');
});

test('the never list cannot be switched off', () => {
	const rules = { showSelectors: ['input', 'select'] };
	for (const attributes of [
		{ type: 'password' }, { type: 'hidden' }, { 'data-rr-is-password': 'true' },
		{ autocomplete: 'cc-number' }, { autocomplete: 'section-pay billing CC-CSC' }, { autocomplete: 'one-time-code' },
		{ autocomplete: 'current-password' }, { autocomplete: 'username new-password' },
	]) {
		const input = el('input', { ...attributes, 'data-cb-show': '' });
		assert.equal(policy(rules).isNever(input), true, JSON.stringify(attributes));
		assert.equal(policy(rules).isMasked(input), true, JSON.stringify(attributes));
	}
	const option = el('option', { 'data-cb-show': '' }, '07');
	el('select', { autocomplete: 'cc-exp-month' }, option);
	assert.equal(policy(rules).isMasked(option), true, 'options of a card\'s month');
	assert.equal(policy(rules).isMasked(el('input', { autocomplete: 'street-address' })), false);
});

test('a field that was a password stays one, and so does what takes its place', () => {
	const p = policy({ showSelectors: ['input'] });
	const password = el('input', { type: 'password', name: 'secret' });
	assert.equal(p.isNever(password), true);
	password.type = 'text';
	assert.equal(p.isNever(password), true, 'type flipped');
	assert.equal(p.isMasked(el('input', { type: 'text', name: 'secret' })), true, 'swapped in by name');
	assert.equal(p.isMasked(el('input', { type: 'text', name: 'town' })), false);
	const hidden = el('input', { type: 'hidden' });
	p.isNever(hidden);
	hidden.type = 'text';
	assert.equal(p.isMasked(hidden), true, 'a hidden field that appears');
});

test('a field that shows what a password without a name holds is one', () => {
	const [secret, other, swapped] = [el('input', { type: 'password', value: '' }), el('input', { value: 'blue' }), el('input', { value: 'tulip' })];
	el('div', { 'data-cb-show': '' }, secret, other, swapped);
	const policy = makePolicy({});
	assert.equal(policy.isMasked(secret), true);
	assert.equal(policy.isMasked(swapped), false);
	secret.value = 'tulip';
	assert.equal(policy.isMasked(swapped), true);
	assert.equal(policy.isMasked(other), false);
	secret.value = '';
	assert.equal(policy.isMasked(swapped), true);
});

test('the focus in a masked keypad is told of the keypad, not of the key', () => {
	const [one, two, field] = [el('button', {}, '1'), el('button', {}, '2'), el('input', { type: 'password' })];
	const host = el('x-pad');
	host.attachShadow().append(two);
	const pad = el('div', { 'data-cb-mask': '' }, el('div', {}, one), host);
	el('body', {}, pad, field);
	const policy = makePolicy({});
	assert.equal(region(policy, one), pad);
	assert.equal(region(policy, two), pad);
	assert.equal(region(policy, field), field);
});

test('rules reach into shadow roots and frames', () => {
	const input = el('input', { 'data-cb-show': '' });
	const host = el('x-card', { 'data-cb-mask': '' });
	host.attachShadow().append(input);
	assert.equal(policy().isMasked(input), true);

	const frame = el('iframe', { class: 'pay' });
	new FakeDocument().append(el('body', {}, frame));
	const text = el('p', {}, 'inside');
	new FakeDocument(frame).append(el('html', {}, text));
	assert.equal(policy({ blockSelectors: ['.pay'] }).isBlocked(text), true);
	assert.equal(policy().isBlocked(text), false);

	const rules = { pauseCriteria: [{ urlFragment: '/pay', condition: 'Includes' }] };
	for (const [href, want] of [['https://shop.example/pay/frame', true], ['https://shop.example/ad', false], ['about:srcdoc', false]]) {
		const inner = el('p', {}, 'inside');
		new FakeDocument(frame, href).append(el('html', {}, inner));
		assert.equal(policy(rules).isBlocked(inner), want, `a frame with ${href}`);
	}

	const edited = new FakeDocument();
	edited.designMode = 'on';
	const written = el('p', {}, 'mail');
	edited.append(el('html', {}, written));
	assert.equal(policy().isTextHidden(written), true, 'designMode');
});

test('a form whose parentNode is a field of its own does not lead in circles', () => {
	const form = el('form', { 'data-cb-show': '' });
	const input = el('input', { name: 'parentNode' });
	form.append(input);
	form.parentNode = input;
	input.closest = () => form;
	assert.equal(policy().isMasked(input), true);
});

test('private text: hidden but where a rule shows it; the page cannot undo it', () => {
	for (const [rules, page] of [[{ textMode: 'private' }, {}], [{ textMode: 'visible' }, { text: 'private' }], [{ textMode: 'private' }, { text: 'visible' }]]) {
		const p = policy(rules, page);
		assert.equal(p.textPrivate, true);
		assert.equal(p.isTextHidden(el('p')), true);
		assert.equal(p.isTextHidden(el('p', { 'data-cb-show': '' })), false);
	}
});

test('readonly and private', () => {
	assert.equal(policy({ readonlySelectors: ['#total'] }).isReadonly(el('input', { id: 'total' })), true);
	assert.equal(policy({}, { readonly: '.r' }).isReadonly(el('b', { class: 'r' })), true);
	assert.equal(policy().isReadonly(el('input')), false);
	assert.equal(policy().isPrivate(el('input')), false, 'hidden by default only');
	assert.equal(policy().isPrivate(el('input', { 'data-cb-mask': '' })), true);
	assert.equal(policy().isPrivate(el('input', { type: 'password' })), true);
});

test('a broken selector is named and nothing is shared, a broken show selector hides', () => {
	const bad = ['', '..', 'a >', '[x', '[x="y', 'a/*', ':not(a'].filter(Boolean);
	for (const selector of bad) {
		for (const [rules, page] of [
			[{ maskSelectors: ['.ok', selector] }, {}], [{ blockSelectors: [selector] }, {}], [{ neverShowSelectors: [selector] }, {}],
			[{ readonlySelectors: [selector] }, {}], [{}, { mask: selector }], [{}, { block: [selector] }], [{}, { readonly: selector }],
		]) {
			assert.throws(() => policy(rules, page), (e) => e.selector === selector && e.message.includes(selector), selector);
		}
		const p = policy({ showSelectors: [selector, '.good'] });
		assert.equal(p.isMasked(el('input', { class: 'good' })), false, 'the others still count');
		assert.equal(p.isMasked(el('input')), true);
	}
});

test('pause by address', () => {
	const url = 'https://shop.example/pay/card?step=2#top';
	for (const [condition, urlFragment, want] of [
		['Includes', '/pay', true], ['Includes', '/buy', false], ['DoesNotInclude', '/pay', false], ['DoesNotInclude', '/buy', true],
		['StartsWith', '/pay', true], ['StartsWith', 'https://shop.example/pay', true], ['StartsWith', '/card', false],
		['EndsWith', '/card', true], ['EndsWith', '#top', true], ['EndsWith', '/pay', false],
		['Equals', '/pay/card', true], ['Equals', 'https://shop.example/pay/card', true], ['Equals', '/pay', false],
		['Sometimes', '/x', true],
	]) {
		assert.equal(policy({ pauseCriteria: [{ condition, urlFragment }] }).paused(url), want, `${condition} ${urlFragment}`);
	}
	assert.equal(policy().paused(url), false);
});

test('a private page is one by every address under which servers find it', () => {
	const p = (condition, urlFragment = '/pay') => policy({ pauseCriteria: [{ urlFragment, condition }] });
	for (const [condition, href, want] of [
		['Includes', 'https://shop.example/a/%70ay', true], ['StartsWith', 'https://shop.example//pay/1', true], ['EndsWith', 'https://shop.example/a/;x=1/pay;b?c', true],
		['Equals', 'https://shop.example/p%61y#top', true], ['Equals', 'https://shop.example/%2570ay', false], ['Includes', 'https://shop.example/pa', false],
		['DoesNotInclude', 'https://shop.example/%70ay', true], ['DoesNotInclude', 'https://shop.example/pay;x', false],
	]) assert.equal(p(condition).paused(href), want, `${condition} ${href}`);
});

test('the mask tells no length', () => {
	assert.equal(policy().maskValue('a'), MASK);
	assert.equal(policy().maskValue('a long secret'), MASK);
	assert.equal(policy().maskValue(''), '');
	assert.equal([...MASK].length, 8);
});

/** A window at an address, with frames in it; elements made with within() are on its page. */
function windowAt(href, ...frames) {
	const view = { location: { href }, document: { getElementsByTagName: () => frames.map((contentWindow) => ({ contentWindow })) } };
	view.document.defaultView = view;
	for (const frame of frames) frame.frameElement = { ownerDocument: view.document };
	return view;
}
const within = (view, node) => Object.assign(node, { ownerDocument: view.document });

test('page rules hold on pages whose whole address matches, and add up', (t) => {
	t.after(() => { delete globalThis.window; });
	globalThis.window = windowAt('https://shop.example/');
	const p = policy({ pageRules: [
		{ urlPattern: 'https://shop\\.example/pay(\\?.*)?', maskSelectors: ['.iban', '.name'], readonlySelectors: ['#send'] },
		{ urlPattern: '.*[?]step=2', maskSelectors: ['.total'] },
		{ urlPattern: '.*', readonlySelectors: ['.fixed'] },
	] });
	const makeTotal = () => within(window, el('b', { class: 'total' }));
	const makeIban = () => within(window, el('input', { class: 'iban', 'data-cb-show': '' }));
	const send = within(window, el('button', { id: 'send' }));
	const fixed = within(window, el('p', { class: 'fixed' }));
	for (const [href, masked, readonly] of [
		['https://shop.example/', [false, false], false],
		['https://shop.example/pay', [false, true], true],
		['https://shop.example/pay#top', [false, true], true],
		['https://shop.example/#https://shop.example/pay', [false, false], false],
		['https://shop.example/pay?step=2', [true, true], true],
		['https://shop.example/paying', [false, false], false],
		['https://shop.example/basket?step=2', [true, false], false],
	]) {
		window.location.href = href;
		const iban = makeIban();
		assert.deepEqual([p.isTextHidden(makeTotal()), p.isMasked(iban)], masked, href);
		assert.equal(p.isPrivate(iban), masked[1], href);
		assert.equal(p.isReadonly(send), readonly, href);
		assert.equal(p.isReadonly(fixed), true, href);
	}
	assert.deepEqual(p.pageRules(makeTotal()).map((r) => r.urlPattern), ['.*[?]step=2', '.*']);
	assert.equal(policy({ pageRules: [{ urlPattern: '.*' }] }).isMasked(makeTotal()), false, 'a rule without selectors');
});

test('a frame has the rules of its own address and of the pages around it', (t) => {
	t.after(() => { delete globalThis.window; });
	const card = windowAt('https://shop.example/frames/card?x=1');
	const blank = windowAt('about:blank');
	globalThis.window = windowAt('https://shop.example/', card, blank);
	const p = policy({ pageRules: [
		{ urlPattern: '.*/frames/card[?].*', maskSelectors: ['.own'] }, { urlPattern: 'https://shop\\.example/', maskSelectors: ['.around'] },
	] });
	const masked = (view, name) => p.isTextHidden(within(view, el('p', { class: name })));
	assert.deepEqual([masked(card, 'own'), masked(card, 'around')], [true, true]);
	assert.deepEqual([masked(blank, 'own'), masked(blank, 'around')], [false, true]);
	assert.deepEqual([masked(window, 'own'), masked(window, 'around')], [false, true]);
	// A page of another origin around it is not there; a script of the page's own may have called anything "parent".
	window.frameElement = null;
	window.parent = { get location() { throw new Error('of another origin'); } };
	card.parent = blank.parent = undefined;
	assert.deepEqual([masked(card, 'own'), masked(window, 'around')], [true, true]);
	assert.equal(p.isTextHidden(el('p', { class: 'around' })), true, 'a node of no window is taken for one of the page');
});

test('an address that servers read as another one has the rules of both', (t) => {
	t.after(() => { delete globalThis.window; });
	globalThis.window = windowAt('https://shop.example/');
	const p = policy({ pageRules: [
		{ urlPattern: 'https://shop\\.example/checkout(/.*)?(\\?.*)?', maskSelectors: ['.total'] }, { urlPattern: '.*[?]step=2', maskSelectors: ['.total'] },
		{ urlPattern: '.*/gr%C3%BCn', maskSelectors: ['.total'] }, { urlPattern: '.*/a%2Db', maskSelectors: ['.total'] }, { urlPattern: '.*/a_o', maskSelectors: ['.total'] }, { urlPattern: '.*/app[^#]*#/orders.*', maskSelectors: ['.total'] },
	] });
	for (const [rest, want] of [
		['%63heckout', true], ['/checkout', true], ['checkout%2Fcard', true], [';x/checkout', true], ['checkout;jsessionid=1?a', true], ['checkout/;a=b//card', true], ['CHECKOUT', false],
		['#/checkout', false], ['app#/orders/1', true], ['app?x#/%6Frders', true], ['app#/order', false],
		['basket?%73tep=2', true], ['gr%c3%bcn', true], ['a%2Db', true], ['a-b', false], ['%61%5f%6F', true], ['basket?x=//checkout', false], ['basket%3Fstep=2', false], ['%2563heckout', false], ['%', false],
	]) {
		window.location.href = `https://shop.example/${rest}`;
		assert.equal(p.isTextHidden(within(window, el('b', { class: 'total' }))), want, rest);
	}
});

test('what a page rule has masked stays masked where it stands, when the address changes before the page does', (t) => {
	t.after(() => { delete globalThis.window; });
	globalThis.window = windowAt('https://shop.example/pay');
	const p = policy({ pageRules: [{ urlPattern: '.*/pay', maskSelectors: ['.a'] }] });
	const inner = within(window, el('b', { title: 'secret' }, 'secret'));
	const field = within(window, el('input', { 'data-cb-show': '' }));
	const outer = within(window, el('p', { class: 'a' }, inner, field));
	const [words] = inner.childNodes;
	// As the scrubber goes: down from the top.
	const seen = (node, above) => Boolean(p.step(node, above) & MASKED);
	const top = p.flags(outer);
	assert.deepEqual([seen(inner, top), seen(words, p.step(inner, top)), seen(field, top)], [true, true, true]);
	window.location.href = 'https://shop.example/';
	assert.deepEqual([p.isTextHidden(outer), p.isTextHidden(inner), p.isMasked(field)], [true, true, true]);
	const later = p.flags(outer);
	assert.deepEqual([seen(inner, later), seen(words, p.step(inner, later)), seen(field, later)], [true, true, true]);
	// What comes with the new page is seen, wherever it is put.
	const fresh = within(window, el('i', {}, 'public'));
	inner.append(fresh);
	assert.equal(p.isTextHidden(fresh), false);
	assert.equal(seen(fresh.childNodes[0], p.step(fresh, p.step(inner, later))), false);
	// One that was never looked at there has nothing to hide.
	assert.equal(p.isTextHidden(within(window, el('p', { class: 'a' }))), false);
});

test('what is in no page any more is hidden', () => {
	const frame = el('iframe', { class: 'a' });
	const page = new FakeDocument(frame);
	const words = el('p', {}, 'secret');
	page.append(words);
	const p = policy({ maskSelectors: ['.a'] });
	assert.equal(p.isTextHidden(words), true);
	page.defaultView = null; // as of a frame that was taken out
	assert.equal(p.isTextHidden(words), true);
	const field = el('input', { 'data-cb-show': '' });
	assert.equal(p.isMasked(field), false);
	field.isConnected = false;
	assert.equal(p.isMasked(field), true);
});

test('it is noticed when other page rules hold, in the page or in a frame', (t) => {
	t.after(() => { delete globalThis.window; });
	const inner = windowAt('https://shop.example/frame');
	const foreign = { get document() { throw new Error('of another origin'); } };
	globalThis.window = windowAt('https://shop.example/', inner, foreign);
	const p = policy({ pageRules: [{ urlPattern: '.*/pay', maskSelectors: ['.a'] }, { urlPattern: '.*/card', maskSelectors: ['.b'] }] });
	assert.equal(p.moved(), false, 'at the start');
	for (const [view, href, want] of [
		[window, 'https://shop.example/basket', false], [window, 'https://shop.example/pay', true], [window, 'https://shop.example/pay', false],
		[window, 'https://shop.example/pay#x', false], [window, 'https://shop.example/card', true], [window, 'https://shop.example/', true],
		[inner, 'https://shop.example/frame2', false], [inner, 'https://shop.example/card', true], [inner, 'https://shop.example/frame', true],
	]) {
		view.location.href = href;
		assert.equal(p.moved(), want, href);
	}
	// Who looks at an element first does not keep it from being noticed.
	window.location.href = 'https://shop.example/pay';
	assert.equal(p.isTextHidden(within(window, el('p', { class: 'a' }))), true);
	assert.equal(p.moved(), true);
	assert.equal(p.moved(), false);
	delete globalThis.window;
	assert.equal(policy().moved(), false, 'without page rules nothing is looked at');
});

test('a page rule that cannot be followed: nothing is shared', () => {
	for (const [rule, selector] of [
		[{ urlPattern: '(' }, '('], [{ urlPattern: '[b-a]', maskSelectors: ['.x'] }, '[b-a]'],
		[{ urlPattern: '.*', maskSelectors: ['.ok', 'a >'] }, 'a >'], [{ urlPattern: '.*', readonlySelectors: ['..'] }, '..'],
	]) {
		assert.throws(() => policy({ pageRules: [{ urlPattern: '.*', maskSelectors: ['.ok'] }, rule] }), (e) => e.selector === selector && e.message.includes(selector), selector);
	}
});
