// In place of ../sdk/service.js: a session begins at the old application, as other
// programs of the old world begin one, and is joined as its customer.

import { edition } from './edition.js';
import { failure, getSettings as ask } from '../sdk/service.js';

export * from '../sdk/service.js';

/** Version of the consent in a session's record where the page asked in its own words, and we cannot know in which: its call of startSession() stands for the answer. */
export const consentOfPage = 'page:startSession';

/** Rules and words of the deployment. */
export const getSettings = async () => {
	try {
		const settings = await ask();
		return edition.headless ? { ...settings, consent: { version: consentOfPage, sharing: consentOfPage } } : settings;
	} catch (problem) {
		edition.onFailed(problem);
		throw problem;
	}
};

/** The cookies of the old application go along: by them it keeps a browser's calls together. */
const call = async (path, body) => {
	const answer = await fetch(`${edition.app}/rest/live/${path}`, {
		method: 'POST', credentials: 'include', referrerPolicy: 'strict-origin',
		...body ? { headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) } : {},
	}).catch(() => null);
	if (!answer?.ok) throw failure({ 401: 'not.authorized', 403: 'not.authorized', 404: 'not.found', 410: 'cobrowse.session.ended' }[answer?.status ?? 0] ?? 'unavailable');
	return answer.json().catch(() => { throw failure('unavailable'); });
};

/** Starts a session. @param {string} [name] of the customer */
export const startSession = async (name) => {
	const { sessionToken } = await call('sessions');
	const joined = await call(`sessions/${encodeURIComponent(sessionToken)}/join`, { role: 1, ...name ? { name } : {} });
	return { id: joined.sessionHistoryId, participantId: joined.participantId, token: joined.joinToken, sessionToken };
};
