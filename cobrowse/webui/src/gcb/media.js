// The page's own way to the agent, a chat for instance: the old product's external
// media adapter.

const patience = 10_000; // ms that the media may take to get ready

/**
 * @typedef {object} Media
 * @property {() => Promise<void>} ready
 * @property {() => boolean} connected the customer talks to an agent right now
 * @property {(token: string) => boolean} send hands the number over; false if it did not go
 */

/**
 * @param {any} adapter initializeAsync(done), isAgentConnected(), sendCbSessionToken(token); null = the page has none
 * @param {(text: string, problem?: any) => void} warn
 * @returns {Media}
 */
export const makeMedia = (adapter, warn) => {
	const ask = (method, ...args) => {
		if (typeof adapter?.[method] !== 'function') return undefined;
		try {
			return adapter[method](...args);
		} catch (problem) {
			warn(`primaryMedia.${method} failed`, problem);
			throw problem;
		}
	};
	const safely = (fn) => {
		try { return fn(); } catch { return false; }
	};
	const begun = new Promise((resolve) => {
		if (typeof adapter?.initializeAsync !== 'function') {
			resolve(undefined);
			return;
		}
		const late = setTimeout(() => {
			warn('primaryMedia is not ready yet');
			resolve(undefined);
		}, patience);
		const done = () => {
			clearTimeout(late);
			resolve(undefined);
		};
		try { ask('initializeAsync', done); } catch { done(); }
	});
	return {
		ready: () => /** @type {Promise<any>} */ (begun),
		connected: () => safely(() => Boolean(ask('isAgentConnected'))),
		send: (token) => safely(() => {
			ask('sendCbSessionToken', token);
			return typeof adapter?.sendCbSessionToken === 'function';
		}),
	};
};
