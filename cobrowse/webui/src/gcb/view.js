// In place of ../sdk/view.js: the same, in this edition's words; and where the page
// has a user interface of its own, the questions go to it.

import { edition } from './edition.js';
import { ownWord } from './words.js';
import * as sdk from '../sdk/view.js';

export * from '../sdk/view.js';

/** @type {typeof sdk.wordsOf} */
export const wordsOf = (settings, key, values) => {
	const language = settings?.language ?? sdk.wordsOf(null, 'lang');
	const own = ownWord(key, language);
	return sdk.wordsOf(own === undefined ? settings : { language, texts: { [key]: own } }, key, values);
};

/** @type {typeof sdk.panelOf} */
export const panelOf = (now, acts) => {
	edition.takeBack = acts.takeBack;
	// The agent has the number already: nobody has to read it out.
	return sdk.panelOf(edition.sent ? { ...now, number: '' } : now, acts);
};

/** @type {typeof sdk.dialogOf} */
export const dialogOf = (now, acts) => {
	if (!edition.headless) return sdk.dialogOf(now, acts);
	if (now.sharing) {
		// Only the customer's own wish, for which the page stands, is a consent; a link is none.
		const { agree } = acts;
		edition.agree = agree;
		if (edition.wanted) queueMicrotask(() => agree(true));
		else edition.onIdle();
		return undefined;
	}
	edition.agree = null;
	edition.onAsk(now.ask, acts.answer);
	return undefined;
};
