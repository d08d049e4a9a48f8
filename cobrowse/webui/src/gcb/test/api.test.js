import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';

import { makeChildAPI, makeTopAPI } from '../api.js';
import { readConfig } from '../config.js';
import { edition } from '../edition.js';
import { makeMedia } from '../media.js';
import { dialogOf, panelOf } from '../view.js';
import { compose } from '../widget.js';

/** The customer script, whose events the test gives. */
class Cobridge {
	state = 'off';
	handlers = {};
	started = 0;
	stopped = 0;
	answers = [];
	on(event, fn) { (this.handlers[event] ??= []).push(fn); }
	emit(event, detail) { for (const fn of this.handlers[event] ?? []) fn(detail); }
	go(state) { this.state = state; this.emit('state', state); }
	start() {
		this.started += 1;
		return new Promise((resolve, reject) => { this.answers.push({ resolve, reject }); });
	}
	stop() { this.stopped += 1; }
	/** As the service answers to a start. */
	begin(sessionToken = '407215938') {
		this.emit('session', { sessionId: 'id', sessionToken });
		this.answers.pop()?.resolve({});
	}
	fail(code) {
		this.state = 'ended';
		this.emit('error', { code });
		this.answers.pop()?.reject(Object.assign(new Error(code), { code }));
	}
}

const soon = async () => { for (let i = 0; i < 20; i += 1) await Promise.resolve(); };
const ada = { id: 'ada', role: 'agent', name: 'Ada Agent', connected: true };
const sam = { id: 'sam', role: 'supervisor', name: 'Sam Supervisor', connected: true };
const kim = { id: 'kim', role: 'customer', name: 'Kim Customer', connected: true };
const steering = { id: 'desk', role: 'controller', connected: true };

beforeEach(() => Object.assign(edition, {
	headless: false, button: true, wanted: false, agree: null, sent: false, question: null, hint: null, notice: null, view: {}, policy: null, tabs: null,
	text: (key, values = {}) => `${key} ${values.name ?? ''}`.trim(), takeBack() {}, refresh() {},
}));

function make(genesys = {}, { restoring = false, supported = true } = {}) {
	const config = readConfig(genesys);
	const cobridge = new Cobridge();
	const heard = [];
	edition.headless = config.headless;
	const top = makeTopAPI({ cobridge, config, media: makeMedia(config.media, () => {}), restoring, supported, booted: Promise.resolve(), log() {} });
	for (const name of Object.keys(top.api).filter((n) => /^on[A-Z]/.test(n))) top.api[name].add((...args) => heard.push([name, ...args]));
	return { ...top, cobridge, heard, names: () => heard.map(([name]) => name) };
}

test('the object has the members of the old product, and a frame has fewer', () => {
	const { api } = make();
	assert.deepEqual(Object.keys(api).sort(), [
		'configuration', 'exitSession', 'isBrowserSupported', 'isTopContext', 'markServiceElement', 'onAgentJoined', 'onAgentNavigated', 'onInitialized', 'onMaskedElement', 'onModeChanged',
		'onNavigationFailed', 'onSessionEnded', 'onSessionStarted', 'onWriteModeRequested', 'startSession', 'switchToPointerMode',
	]);
	assert.equal(api.isTopContext, true);
	assert.equal(api.configuration.buttons.position, 'left');
	assert.equal(api.isBrowserSupported(), false); // Node is none
	let renewed = 0;
	const child = makeChildAPI(readConfig({}).effective, () => { renewed += 1; }).api;
	assert.deepEqual(Object.keys(child).sort(), ['configuration', 'isBrowserSupported', 'isTopContext', 'markServiceElement', 'onMaskedElement']);
	assert.equal(child.isTopContext, false);
	const marked = {};
	child.markServiceElement(/** @type {any} */ ({ setAttribute: (name, value) => { marked[name] = value; } }));
	child.markServiceElement(/** @type {any} */ (null));
	assert.deepEqual(marked, { 'data-gcb-service-node': 'true' });
	assert.ok(renewed > 0, 'what was sent of it is taken back');
});

test('the button, the question, yes: a session with its number, an agent, the end', async () => {
	const { api, cobridge, heard, names } = make();
	edition.onIdle();
	edition.onIdle();
	assert.deepEqual(heard, [['onInitialized', null]]);
	edition.onStart();
	await soon();
	assert.equal(edition.question?.head, 'question.head');
	assert.equal(cobridge.started, 0);
	edition.onStart(); // pressed twice
	await soon();
	edition.question?.answer(true);
	await soon();
	assert.equal(edition.question, null);
	assert.equal(cobridge.started, 1);
	cobridge.begin();
	await soon();
	assert.deepEqual(heard[1], ['onSessionStarted', { token: '407215938', agents: [] }]);
	cobridge.emit('peers', [kim, { ...ada, connected: false }, steering]);
	assert.equal(names().length, 2);
	cobridge.emit('peers', [kim, ada, steering]);
	const [, agent, session] = heard[2];
	assert.deepEqual(heard[2], ['onAgentJoined', {}, { token: '407215938', agents: [{}] }]);
	assert.equal(session.agents[0], agent);
	assert.equal(edition.notice?.head, 'joined Ada Agent');
	// A short loss of the connection is no joining.
	cobridge.emit('peers', [kim, { ...ada, connected: false }]);
	assert.deepEqual(session.agents, []);
	cobridge.emit('peers', [kim, ada]);
	assert.deepEqual(session.agents, [agent]);
	cobridge.emit('peers', [kim, ada, sam]);
	assert.equal(session.agents.length, 2);
	assert.deepEqual(names().slice(2), ['onAgentJoined', 'onAgentJoined']);
	api.exitSession();
	assert.equal(cobridge.stopped, 1);
	cobridge.state = 'ended';
	cobridge.emit('ended', { why: '' });
	assert.equal(heard.at(-1)[0], 'onSessionEnded');
	assert.equal(heard.at(-1)[1].reason, 'self');
	assert.equal(heard.at(-1)[1].token, '407215938'); // some pages take it for the session
	// Who comes now hears of the end, not of a session that is no more.
	const late = [];
	api.onSessionStarted.add(() => late.push('started'));
	api.onAgentJoined.add(() => late.push('joined'));
	api.onSessionEnded.addOnce(({ reason }) => late.push(reason));
	assert.deepEqual(late, ['self']);
});

test('no leads to a hint, and no session', async () => {
	const { api, cobridge } = make();
	api.startSession();
	await soon();
	edition.question?.answer(false);
	await soon();
	assert.equal(edition.hint?.head, 'hint.head');
	assert.equal(cobridge.started, 0);
	edition.hint?.close();
	assert.equal(edition.hint, null);
	api.startSession();
	await soon();
	assert.ok(edition.question);
	api.exitSession();
	await soon();
	assert.equal(edition.hint, null);
	assert.equal(cobridge.started, 0);
});

test('external media: connected, nobody is asked and the number goes to the adapter alone', async () => {
	const sent = [];
	let connected = true;
	const primaryMedia = { initializeAsync: (done) => done(), isAgentConnected: () => connected, sendCbSessionToken: (token) => sent.push(token) };
	const { api, cobridge } = make({ cobrowse: { primaryMedia } });
	api.startSession();
	await soon();
	assert.equal(edition.question, null);
	cobridge.begin('012345678');
	await soon();
	assert.deepEqual(sent, ['012345678']);
	assert.equal(edition.sent, true);
	const panel = panelOf(situation({ number: '012345678' }), acts);
	assert.equal(panel.number, undefined);
	cobridge.emit('ended', { why: 'participantLeft' });
	// Not connected: asked, and the number is read out.
	connected = false;
	api.startSession();
	await soon();
	assert.ok(edition.question);
	edition.question?.answer(true);
	await soon();
	cobridge.begin('112345678');
	await soon();
	assert.deepEqual(sent, ['012345678']);
	assert.equal(edition.sent, false);
	assert.equal(panelOf(situation({ number: '112345678' }), acts).number, '112345678');
});

test('external media that does not take the number: it is read out', async () => {
	const { api, cobridge } = make({ cobrowse: { primaryMedia: { isAgentConnected: () => true, sendCbSessionToken() { throw new Error('of the page'); } } } });
	api.startSession();
	await soon();
	cobridge.begin();
	assert.equal(edition.sent, false);
});

test('a session of an earlier page is restored, with who is there', () => {
	const { cobridge, heard } = make({}, { restoring: true });
	cobridge.go('reconnecting');
	cobridge.emit('session', { sessionId: 'id', sessionToken: '407215938' });
	assert.deepEqual(heard, []);
	cobridge.emit('peers', [kim, ada]);
	assert.deepEqual(heard, [['onInitialized', { token: '407215938', agents: [{}] }]]);
	cobridge.emit('peers', [kim, ada, sam]);
	assert.equal(heard[1][0], 'onAgentJoined');
});

test('a session that another tab shares is not this page\'s', () => {
	const { cobridge, heard } = make({}, { restoring: true });
	cobridge.go('reconnecting');
	cobridge.go('off');
	assert.deepEqual(heard, [['onInitialized', null]]);
});

test('a session that is no more when the page comes back', () => {
	for (const [code, reason] of [['resume.invalid', 'timeout'], ['unavailable', 'serverUnavailable']]) {
		const { cobridge, heard } = make({}, { restoring: true });
		cobridge.go('reconnecting');
		cobridge.fail(code);
		assert.deepEqual(heard, [['onInitialized', null], ['onSessionEnded', { reason }]]);
	}
});

test('why a start fails, and what is not an end', async () => {
	const { api, cobridge, heard, names } = make({ cobrowse: { disableBuiltInUI: true } });
	edition.onIdle();
	api.startSession();
	await soon();
	cobridge.fail('unavailable');
	await soon();
	assert.deepEqual(heard.slice(1), [['onSessionEnded', { reason: 'serverUnavailable' }]]);
	api.startSession();
	await soon();
	cobridge.answers.pop()?.reject(Object.assign(new Error(), { code: 'declined' }));
	await soon();
	assert.equal(names().length, 2);
	api.startSession();
	await soon();
	cobridge.state = 'waiting';
	cobridge.begin();
	await soon();
	cobridge.state = 'live';
	cobridge.emit('error', { code: 'rate.limit' }); // of one frame
	assert.deepEqual(names(), ['onInitialized', 'onSessionEnded', 'onSessionStarted']);
	cobridge.go('off'); // another tab goes on
	assert.equal(heard.at(-1)[1].reason, 'self');
});

test('a browser that cannot share a page says so, and starts nothing', async () => {
	const { api, cobridge, heard } = make({}, { supported: false });
	api.startSession();
	await soon();
	assert.deepEqual(heard, [['onInitialized', null], ['onSessionEnded', { reason: 'error' }]]);
	assert.equal(cobridge.started, 0);
});

test('modes, and what the agent does to the page', () => {
	const { api, cobridge, heard } = make();
	edition.onIdle();
	cobridge.emit('session', { sessionToken: '1' });
	heard.length = 0;
	let taken = 0;
	panelOf(situation({}), { ...acts, takeBack: () => { taken += 1; } });
	api.switchToPointerMode();
	assert.equal(taken, 0); // there is nothing to take back
	cobridge.emit('grants', [{ kind: 'draw', participant: 'ada' }]);
	cobridge.emit('peers', [kim, ada]);
	cobridge.emit('grants', [{ kind: 'control', participant: 'ada' }]);
	api.switchToPointerMode();
	assert.equal(taken, 1);
	cobridge.emit('grants', []);
	for (const [kind, ok, why] of [['click', true], ['back', true], ['goto', false, 'offsite'], ['text', false, 'masked']]) cobridge.emit('action', { from: 'ada', kind, ok, why });
	assert.deepEqual(heard.filter(([name]) => name !== 'onAgentJoined'), [
		['onModeChanged', 'write'], ['onModeChanged', 'pointer'], ['onAgentNavigated', { kind: 'back' }], ['onNavigationFailed', { kind: 'goto', why: 'offsite' }],
	]);
	assert.equal(edition.notice?.head, 'pointer Ada Agent');
});

const situation = (more) => /** @type {any} */ ({
	text: (key) => key, nameOf: () => 'Ada Agent', lost: false, welcomed: true, pausedFor: '', tooLarge: false, others: [], grants: [], ...more,
});
const acts = /** @type {any} */ ({ stop() {}, pause() {}, resume() {}, takeBack() {} });
const text = (key) => key;

test('without our user interface: the page asks and answers, and a link is no consent', async () => {
	const { api, cobridge, heard } = make({ cobrowse: { disableBuiltInUI: true } });
	// Somebody has opened a link to a session: the customer has not said anything.
	let agreed = 0;
	const sharing = { text, nameOf: text, sharing: 'words' };
	assert.equal(dialogOf(sharing, { agree: (ok) => { agreed += Number(ok); }, answer() {} }), undefined);
	await soon();
	assert.equal(agreed, 0);
	assert.deepEqual(heard, [['onInitialized', null]]);
	api.startSession();
	await soon();
	assert.equal(agreed, 1);
	assert.equal(cobridge.started, 0);
	// Without a link, the page's call starts a session and is the consent.
	edition.agree = null;
	api.startSession();
	await soon();
	assert.equal(cobridge.started, 1);
	dialogOf(sharing, { agree: (ok) => { agreed += Number(ok); }, answer() {} });
	await soon();
	assert.equal(agreed, 2);
	cobridge.begin();
	await soon();
	assert.equal(edition.wanted, false);

	// A question of the agent.
	cobridge.emit('peers', [kim, ada]);
	const answers = [];
	const ask = (it) => dialogOf({ text, nameOf: text, ask: it }, { agree() {}, answer: (ok) => answers.push(ok) });
	const control = { from: 'ada', kind: 'control', n: 1 };
	heard.length = 0;
	assert.equal(ask(control), undefined);
	ask(control); // drawn again
	assert.equal(heard.length, 1);
	const [name, request] = heard[0];
	assert.deepEqual([name, request.kind, request.agent], ['onWriteModeRequested', 'control', {}]);
	request.accept();
	assert.deepEqual(answers, [true]);
	ask(undefined);
	request.decline(); // it is answered
	ask({ from: 'ada', kind: 'draw', n: 2 });
	heard[1][1].decline();
	assert.deepEqual(answers, [true, false]);
});

test('with our user interface the consent and the questions are ours', () => {
	make();
	assert.equal(dialogOf({ text, nameOf: text, sharing: 'words' }, { agree() {}, answer() {} })?.text, 'words');
	assert.equal(dialogOf({ text, nameOf: text, ask: { kind: 'control', from: 'ada' } }, { agree() {}, answer() {} })?.head, 'ask.control');
	assert.equal(edition.agree, null);
});

test('what is drawn: the question before the consent, news over quiet words alone, nothing when the page draws', () => {
	const answered = [];
	edition.question = { head: 'h', text: 't', no: 'n', yes: 'y', answer: (ok) => answered.push(ok) };
	const asked = compose({ start: true }, text, 0);
	assert.deepEqual([asked.view.start, asked.button, asked.view.dialog?.head], [false, false, 'h']);
	asked.view.dialog?.yes[1]();
	asked.view.dialog?.no[1]();
	assert.deepEqual(answered, [true, false]);
	const consent = /** @type {any} */ ({ head: 'consent' });
	assert.equal(compose({ dialog: consent }, text, 0).view.dialog, consent);
	edition.question = null;
	assert.equal(compose({ start: true }, text, 0).button, true);
	edition.hint = { head: 'hint', text: 't', close() {} };
	assert.equal(compose({ start: true }, text, 0).view.panel?.head, 'hint');
	edition.hint = null;
	edition.notice = { head: 'news', until: 10 };
	const panel = (tone) => /** @type {any} */ ({ head: 'head', tone, buttons: [] });
	assert.equal(compose({ panel: panel('good') }, text, 5).view.panel?.head, 'news');
	assert.equal(compose({ panel: panel('good') }, text, 10).view.panel?.head, 'head');
	assert.equal(compose({ panel: panel('bad') }, text, 5).view.panel?.head, 'head');
	edition.button = false;
	assert.equal(compose({ start: true }, text, 0).button, false);
	edition.headless = true;
	assert.deepEqual(compose({ start: true, frame: true, panel: panel('bad'), dialog: consent }, text, 0), { view: { frame: true }, button: false });
});

test('without our user interface another tab is taken over by startSession', async () => {
	const { api, cobridge } = make({ cobrowse: { disableBuiltInUI: true } });
	let here = 0;
	const offer = () => { edition.view = /** @type {any} */ ({ panel: { head: '', buttons: [['here', () => { here += 1; }], ['close', () => {}]] } }); };
	offer();
	api.startSession();
	await soon();
	assert.deepEqual([here, cobridge.started], [1, 0]);
	// Called before the other tab has answered.
	edition.view = {};
	edition.tabs = /** @type {any} */ ({ ask: async (question) => { offer(); return question === 'shared' && { session: 'id' }; } });
	api.startSession();
	await soon();
	assert.deepEqual([here, cobridge.started], [2, 0]);
	edition.view = {};
	edition.tabs = /** @type {any} */ ({ ask: async () => null });
	api.startSession();
	await soon();
	assert.deepEqual([here, cobridge.started], [2, 1]);
});
