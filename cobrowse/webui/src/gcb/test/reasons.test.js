import assert from 'node:assert/strict';
import { test } from 'node:test';

import { reasonOf, reasonOfFailure } from '../reasons.js';

test('each end reason has a word of the old product', () => {
	for (const [ours, theirs] of Object.entries({
		'': 'self', participantLeft: 'external', conversationEnded: 'external', ended: 'external', stopped: 'external', inactive: 'inactivityTimeout', neverJoined: 'inactivityTimeout',
		connectionLost: 'timeout', maxDuration: 'timeout', maskingViolation: 'error', 'of a later version': 'error', constructor: 'error',
	})) assert.equal(reasonOf(ours), theirs, ours);
});

test('what keeps a page from a session has one, too, and is never the customer', () => {
	for (const [code, want] of [
		['unavailable', 'serverUnavailable'], ['lost', 'serverUnavailable'], ['not.found', 'timeout'], ['cobrowse.session.ended', 'timeout'], ['resume.invalid', 'timeout'],
		['cobrowse.agent.busy', 'sessionsOverLimit'], ['removed', 'external'], ['blocked', 'error'], ['rules', 'error'], ['not.authorized', 'error'], ['', 'error'], [undefined, 'error'],
	]) assert.equal(reasonOfFailure(code), want, code);
});
