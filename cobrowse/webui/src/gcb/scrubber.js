// In place of ../sdk/scrubber.js: service elements, the old product's word for the
// parts of a page that belong to the tool. They are blocked by a rule like others
// (../sdk/policy.js); here they lose the box, too, that is left of a blocked element.

import { quiet } from '../sdk/quiet.js';
import { makeScrubber as make } from '../sdk/scrubber.js';

export * from '../sdk/scrubber.js';

export const serviceAttribute = 'data-gcb-service-node';
export const serviceSelector = `[${serviceAttribute}="true"]`;

let changed = () => {};

/** What was sent of an element before it became a service element is taken back: viewers get a new picture. */
export const renew = () => changed();

/** @type {MutationObserver|undefined} */
let watch;

/** @type {typeof make} */
export const makeScrubber = (parts) => {
	const scrub = make(parts);
	changed = parts.changed ?? changed;
	// The recorder says nothing of an element any more once it is blocked.
	watch?.disconnect();
	if (globalThis.MutationObserver) {
		watch = new MutationObserver(quiet(renew));
		watch.observe(document, { attributes: true, attributeFilter: [serviceAttribute], subtree: true });
	}
	const vanish = (n) => {
		const { attributes } = n;
		if (attributes?.class === 'rr-block') {
			const el = /** @type {any} */ (parts.mirror.getNode(n.id));
			if (el?.matches?.(serviceSelector)) attributes.rr_width = attributes.rr_height = '0px';
		}
		n.childNodes?.forEach(vanish);
	};
	return (event) => {
		const out = scrub(event);
		if (out?.type === 2) vanish(out.data.node);
		else if (out?.type === 3 && out.data.source === 0) for (const add of out.data.adds) vanish(add.node);
		return out;
	};
};
