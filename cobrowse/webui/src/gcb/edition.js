// What the modules of this edition know of each other. A module here that has the
// name of one in ../sdk stands in its place when gcb.min.js is bundled, and adds
// to it what the old product's pages expect: the rules stay those of ../sdk.

/**
 * @typedef {object} Edition
 * @property {string} app address of the old application, without a slash at its end
 * @property {boolean} headless the page draws the user interface itself
 * @property {'left'|'right'} side of the start button
 * @property {boolean} button there is a start button
 * @property {boolean} wanted the page has called startSession, which is the customer's consent if it is headless
 * @property {((ok: boolean) => void)|null} agree answers the question whether to share that waits for the page
 * @property {boolean} sent the number went to the agent by the page's media, so it need not be read out
 * @property {(key: string, values?: Record<string, string>) => string} text a word of the user interface
 * @property {{head: string, text: string, no: string, yes: string, answer: (ok: boolean|null) => void}|null} question asked before the consent; keys of texts
 * @property {{head: string, text: string, close: () => void}|null} hint said while nothing is shared; keys of texts
 * @property {{head: string, until: number}|null} notice of something that has just happened, instead of the panel's headline; until is ms since 1970
 * @property {import('../sdk/resume.js').Tabs|null} tabs of this site
 * @property {() => void} takeBack takes all permissions back
 * @property {import('../sdk/widget.js').View} view what the customer would see
 * @property {import('../sdk/policy.js').Policy|null} policy
 * @property {() => void} refresh shows what has changed here
 * @property {() => void} onStart the start button was pressed
 * @property {() => void} onIdle the page is ready, and nothing is shared
 * @property {(problem: any) => void} onFailed the page cannot be shared: no settings, or rules that cannot be followed
 * @property {(ask: any, answer: (ok: boolean) => void) => void} onAsk a viewer asks for a permission and the page has to answer; without an ask none waits
 */

/** @type {Edition} */
export const edition = {
	app: '', headless: false, side: 'left', button: true, wanted: false, agree: null, sent: false, question: null, hint: null, notice: null,
	view: {}, policy: null, tabs: null, text: () => '',
	takeBack() {}, refresh() {}, onStart() {}, onIdle() {}, onFailed() {}, onAsk() {},
};
