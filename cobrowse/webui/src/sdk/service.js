// The calls of the service that need no connection.

import { options } from './options.js';

/** @param {string} code of the API, or one of docs/live.md */
export const failure = (code) => Object.assign(new Error(`cobridge: ${code}`), { code });

/** No more than the origin goes along: what stands in the address of a page is its own. */
const call = async (path, want, init) => {
	const answer = await fetch(`${options.base}/api/v2/cobrowse/deployments/${encodeURIComponent(options.deployment)}/${path}`, {
		credentials: 'omit', referrerPolicy: 'strict-origin', ...init,
	}).catch(() => ({}));
	if (answer.status !== want) throw failure(answer.status === 403 ? 'not.authorized' : 'unavailable');
	return answer.json().catch(() => { throw failure('unavailable'); });
};

/** Rules and words of the deployment. */
export const getSettings = () => call(
	`settings?lang=${encodeURIComponent(options.lang || document.documentElement.lang || navigator.language || 'en')}`, 200,
);

/** Starts a session. @param {string} [name] of the customer */
export const startSession = (name) => call('sessions', 201, {
	method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(name ? { customerName: name } : {}),
});

/** The session that a join token is for: a JWT says it in the open. */
export const sessionOf = (jwt) => {
	try {
		return JSON.parse(atob(jwt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'))).sid || '';
	} catch {
		return '';
	}
};
