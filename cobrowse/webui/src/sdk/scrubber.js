/**
 * Takes out of one rrweb event what must not leave the page. Changes and returns the event, or returns null when nothing of it may be sent.
 * @param {{mirror: {getNode(id: number): Node|null}, policy: import('./policy.js').Policy}} parts
 * @returns {(event: any) => any}
 */
export function makeScrubber({ mirror, policy }) { throw new Error('not yet'); }
