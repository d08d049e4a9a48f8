/**
 * Compares values with the SDK's models, as its types for TypeScript tell them: a
 * member that a model does not have, of another type, or missing though it is
 * required, is a failure. What the service says beside the official words must be listed here.
 */

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

/** Members that are ours, by model. Notifications tell things as reading them does. */
const ours = {
	Participant: ['role'], // the tutorial's
	CobrowseMediaParticipant: ['communicationId'],
	CobrowseWebMessagingSession: ['sessionJoinToken'], // the word is that of the official offer events
	ErrorBody: ['id', 'sessionId', 'conversationId', 'selfUri'], // of the session that is in the way
	ConversationCobrowseEventTopicCobrowseConversation: ['recentTransfers', 'selfUri'],
	ConversationCobrowseEventTopicCobrowseMediaParticipant: ['communicationId'],
	ConversationCobrowseEventTopicUriReference: ['selfUri'],
	ConversationEventTopicConversation: ['startTime', 'endTime', 'state', 'selfUri'],
	ConversationEventTopicParticipant: ['role', 'startTime', 'userUri'],
	ConversationEventTopicCobrowse: ['startAlertingTime'],
};

const unseen = new Set(Object.entries(ours).flatMap(([model, names]) => names.map((name) => `${model}.${name}`)));

/** @type {Map<string, Map<string, { type: string, required: boolean }>>} */
const models = new Map();

const types = readFileSync(createRequire(import.meta.url).resolve('purecloud-platform-client-v2/index.d.ts'), 'utf8');
for (const [, name, body] of types.matchAll(/\n\texport interface (\w+) \{ ?\n(.*?)\n\t\}/gs)) {
	const members = new Map();
	for (const [, member, optional, type] of body.matchAll(/^\t\t"([^"]+)"(\??): (.*);$/gm)) {
		members.set(member, { type, required: optional === '' });
	}
	models.set(name, members);
}

function differences(value, type, at) {
	const [, item] = /^Array<(.*)>$/.exec(type) ?? [];
	if (item) {
		return Array.isArray(value) ? value.flatMap((one, i) => differences(one, item, `${at}[${i}]`)) : [`${at} is no array`];
	}
	const [, entry] = /^\{ \[key: string\]: (.*); \}$/.exec(type) ?? [];
	if (entry) {
		return Object.entries(value).flatMap(([name, one]) => differences(one, entry, `${at}.${name}`));
	}
	const [, model] = /^Models\.(\w+)$/.exec(type) ?? [];
	if (model) {
		return modelDifferences(value, model, at);
	}
	if (type === 'any' || type === 'object') {
		return [];
	}
	assert.ok(['string', 'number', 'boolean'].includes(type), `${at} has the type ${type}, which is not understood here`);
	return typeof value === type ? [] : [`${at} is ${JSON.stringify(value)}, want a ${type}`];
}

function modelDifferences(value, model, at) {
	const members = models.get(model);
	assert.ok(members, `the SDK has no model ${model}`);
	if (typeof value !== 'object' || value === null || Array.isArray(value)) {
		return [`${at} is ${JSON.stringify(value)}, want a ${model}`];
	}
	const found = [];
	for (const [name, { required }] of members) {
		if (required && value[name] === undefined) {
			found.push(`${at} lacks ${name}, which ${model} requires`);
		}
	}
	for (const [name, member] of Object.entries(value)) {
		if (members.has(name)) {
			found.push(...differences(member, members.get(name).type, `${at}.${name}`));
		} else if (ours[model]?.includes(name)) {
			unseen.delete(`${model}.${name}`);
		} else {
			found.push(`${at} has ${name}, which ${model} has not`);
		}
	}
	return found;
}

/**
 * Wants a value to be a model's, and returns it.
 *
 * @template T
 * @param {string} model
 * @param {T} value
 * @returns {T}
 */
export function as(model, value) {
	assert.deepEqual([...new Set(modelDifferences(value, model, model))], []);
	return value;
}

/** Wants everything that is listed as ours to have been seen. */
export function oursWereSeen() {
	assert.deepEqual([...unseen], []);
}
