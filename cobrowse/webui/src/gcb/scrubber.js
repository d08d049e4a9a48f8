// In place of ../sdk/scrubber.js: service elements, the old product's word for the
// parts of a page that belong to the tool. They are blocked by a rule like others
// (../sdk/policy.js); here they lose the box, too, that is left of a blocked element.

import { makeScrubber as make } from '../sdk/scrubber.js';

export * from '../sdk/scrubber.js';

export const serviceAttribute = 'data-gcb-service-node';
export const serviceSelector = `[${serviceAttribute}="true"]`;

/** @type {typeof make} */
export const makeScrubber = (parts) => {
	const scrub = make(parts);
	const vanish = (n) => {
		const { attributes } = n;
		if (attributes?.class === 'rr-block') {
			const el = /** @type {any} */ (parts.mirror.getNode(n.id));
			if (el?.matches?.(serviceSelector)) attributes.rr_width = attributes.rr_height = '0px';
		}
		n.childNodes?.forEach(vanish);
	};
	return (event) => {
		const changes = event.type === 3 && event.data.source === 0 ? event.data.attributes : [];
		// What was sent of an element before it became one is taken back.
		if (changes.some((a) => serviceAttribute in a.attributes)) parts.changed?.();
		const out = scrub(event);
		if (out?.type === 2) vanish(out.data.node);
		else if (out?.type === 3 && out.data.source === 0) for (const add of out.data.adds) vanish(add.node);
		return out;
	};
};
