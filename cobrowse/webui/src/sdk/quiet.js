// The customer's page must never see a fault of ours: all our code on it is
// entered through these two.

/**
 * Wraps fn so that nothing it throws, now or in its promise, leaves it.
 * @template {(...args: any[]) => any} F
 * @param {F} fn
 * @returns {F}
 */
export const quiet = (fn) => /** @type {F} */ ((...args) => {
	try {
		const result = fn(...args);
		result?.catch?.(() => {});
		return result;
	} catch { /* ours, not the page's */ }
});

/**
 * Listens for several events, early and without holding the page up.
 * @param {EventTarget} target
 * @param {string} types separated by spaces
 * @param {(event: any) => void} fn
 */
export const listen = (target, types, fn) => {
	for (const type of types.split(' ')) target.addEventListener(type, quiet(fn), { capture: true, passive: true });
};
