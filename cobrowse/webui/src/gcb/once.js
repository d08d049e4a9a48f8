// Whether a script of ours is on the page already: two would both want to share
// it. It has to be asked before the customer script, which takes the global.

export const taken = Boolean(/** @type {any} */ (globalThis).Cobridge);
