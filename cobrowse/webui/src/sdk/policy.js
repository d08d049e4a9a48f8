// What may leave the customer's page. (skeleton: exports are final)

/** What stands in place of a hidden value, whatever its length. */
export const MASK = '\u2022'.repeat(8);

/**
 * @typedef {object} Rules the server's rules of the deployment, see docs/protocol.md
 * @property {'visible'|'private'} [textMode]
 * @property {string[]} [maskSelectors]
 * @property {string[]} [showSelectors]
 * @property {string[]} [blockSelectors]
 * @property {string[]} [neverShowSelectors]
 * @property {string[]} [readonlySelectors]
 * @property {{urlFragment: string, condition: string}[]} [pauseCriteria]
 */

/**
 * @typedef {object} PageRules what the page asks for; each a selector list or several of them
 * @property {'private'|'visible'} [text]
 * @property {string|string[]} [mask]
 * @property {string|string[]} [show]
 * @property {string|string[]} [block]
 * @property {string|string[]} [readonly]
 */

/**
 * @typedef {object} Policy
 * @property {(el: Element) => boolean} isNever
 * @property {(el: Element) => boolean} isMasked
 * @property {(el: Element) => boolean} isBlocked
 * @property {(el: Element) => boolean} isTextHidden
 * @property {(el: Element) => boolean} isReadonly
 * @property {(el: Element) => {rule: string, shown: boolean}} reason
 * @property {(url: string) => boolean} paused
 * @property {(text: string) => string} maskValue
 * @property {string} blockSelector for rrweb's blockSelector
 */

/**
 * @param {Rules} rules
 * @param {PageRules} [page]
 * @returns {Policy}
 */
export function makePolicy(rules, page) { throw new Error('not yet'); }
