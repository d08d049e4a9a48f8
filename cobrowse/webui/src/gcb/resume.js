// In place of ../sdk/resume.js: a page that starts a session by itself asks the
// other tabs of the site first, as the customer script does when it offers to.

import { edition } from './edition.js';
import { makeTabs as make } from '../sdk/resume.js';

export * from '../sdk/resume.js';

/** @type {typeof make} */
export const makeTabs = (answer) => edition.tabs = make(answer);
