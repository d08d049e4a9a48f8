import assert from 'node:assert/strict';
import { test } from 'node:test';

import { panelOf } from '../view.js';

const nothing = () => {};
const ada = { id: 'ada', role: 'agent', name: 'Ada Agent', connected: true };
const sam = { id: 'sam', role: 'supervisor', name: '', connected: true };
/** The panel in a situation that is like a live session but for what is said. */
const panel = (more = {}) => panelOf({
	text: (key, values = {}) => [key, ...Object.values(values)].join('|'), nameOf: (id) => id.toUpperCase(),
	lost: false, welcomed: true, pausedFor: '', tooLarge: false, others: [ada], grants: [], ...more,
}, { stop: nothing, pause: nothing, resume: nothing, takeBack: nothing });
const short = (p) => [p.head, ...p.buttons.map(([key]) => key)];
const control = { kind: 'control', participant: 'ada' };

test('each situation has its words and its ways out', () => {
	for (const [name, more, want] of /** @type {[string, object, string[]][]} */ ([
		['live', {}, ['live.head', 'pause', 'stop']],
		['lost', { lost: true, grants: [control] }, ['reconnecting.head', 'stop']],
		['connecting', { welcomed: false }, ['connecting.head', 'stop']],
		['number', { others: [], number: '123456789' }, ['number.head', 'stop']],
		['invited by link', { others: [{ ...ada, connected: false }] }, ['waiting.head', 'stop']],
		['the agent has gone', { others: [{ ...ada, connected: false }], number: '123456789' }, ['waiting.head', 'stop']],
		['control', { grants: [control] }, ['control.head|ADA', 'back', 'pause', 'stop']],
		['paused by the customer', { pausedFor: 'customer', grants: [control] }, ['paused.head', 'resume', 'stop']],
		['paused by the page', { pausedFor: 'page' }, ['paused.head', 'stop']],
		['too large', { tooLarge: true }, ['large.head', 'stop']],
		['a grant', { grants: [{ kind: 'draw', participant: 'ada' }] }, ['live.head', 'withdraw', 'pause', 'stop']],
	])) assert.deepEqual(short(panel(more)), want, name);
});

test('stop is always there, and last: it is what a collapsed panel keeps', () => {
	for (const more of [{}, { lost: true }, { welcomed: false }, { grants: [control] }, { pausedFor: 'page' }, { others: [] }, { tooLarge: true }]) {
		assert.equal(panel(more).buttons.at(-1)[0], 'stop');
	}
});

test('the number is shown until somebody was invited with it', () => {
	assert.equal(panel({ others: [], number: '123456789' }).number, '123456789');
	assert.equal(panel({ others: [{ ...ada, connected: false }], number: '123456789' }).number, undefined);
});

test('who sees the page, and what they may do', () => {
	assert.deepEqual(panel({ others: [ada, sam, { ...ada, connected: false }], grants: [{ kind: 'draw', participant: 'ada' }] }).people, ['person|Ada Agent|role.agent', 'role.supervisor', 'may.draw|ADA']);
});
