// In place of ../sdk/policy.js: the page is told which elements the rules hide.

import { edition } from './edition.js';
import { makePolicy as make } from '../sdk/policy.js';

export * from '../sdk/policy.js';

/** @type {typeof make} */
export const makePolicy = (rules, page) => {
	try {
		return edition.policy = make(rules, page);
	} catch (problem) {
		edition.policy = null;
		edition.onFailed(problem);
		throw problem;
	}
};

/**
 * What is hidden in a document, frames and shadow roots in it left out.
 * @param {Document} page
 * @returns {Element[]}
 */
export const maskedIn = (page) => {
	const { policy } = edition;
	if (!policy) return [];
	const byAddress = policy.pageRules(page.documentElement).flatMap(({ mask }) => mask);
	const candidates = ['input', 'textarea', 'select', '[contenteditable]', ...policy.rules.mask, ...policy.rules.never, ...byAddress].join();
	return [...page.querySelectorAll(candidates)].filter((el) => /** @type {any} */ (el).type !== 'hidden' && !policy.isBlocked(el) && policy.isMasked(el));
};
