// In place of ../sdk/pointers.js: a page that draws the user interface itself also
// marks what is hidden, for which it has onMaskedElement.

import { edition } from './edition.js';
import { makePointers as make } from '../sdk/pointers.js';

export * from '../sdk/pointers.js';

/** @type {typeof make} */
export const makePointers = (parts) => {
	const pointers = make(parts);
	return { ...pointers, locks: (fields) => pointers.locks(edition.headless ? [] : fields) };
};
