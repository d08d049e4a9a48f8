/**
 * @typedef {{path: string, kind: 'value'|'text'|'attribute'|'risk', name: string, shown: boolean, rule: string, hint: string}} Row
 */

/**
 * @param {Document|Element} root
 * @param {import('./policy.js').Policy} policy
 * @returns {Row[]}
 */
export function lint(root, policy) { return []; }

/**
 * @param {Row[]} rows
 * @param {Element} container
 */
export function renderLint(rows, container) {}

globalThis.Cobridge?.__lint?.(lint, renderLint);
