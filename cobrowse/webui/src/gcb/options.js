// In place of ../sdk/options.js: the script element of an old page says where the
// application is, not where the service is, so nothing begins by itself.

import { options } from '../sdk/options.js';

export * from '../sdk/options.js';

Object.assign(options, { base: '', deployment: '', button: 'bottom-right' });
