import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const en = JSON.parse(read('../../texts/sdk/en.json'));
const de = JSON.parse(read('../../texts/sdk/de.json'));

test('both languages say the same things with the same places for names', () => {
	assert.deepEqual(Object.keys(de), Object.keys(en));
	for (const key of Object.keys(en)) {
		assert.deepEqual(de[key].match(/\{\w+\}/g), en[key].match(/\{\w+\}/g), key);
		assert.notEqual(de[key].trim(), '', key);
	}
	assert.equal(de['consent.version'], en['consent.version']);
});

test('every text that the script names is there', () => {
	const sources = ['main', 'view', 'widget'].map((name) => read(`../${name}.js`)).join('\n');
	const literal = [...sources.matchAll(/'((?:consent|number|waiting|connecting|live|paused|large|reconnecting|control|ask|other|moved|ended|failed|may|role)\.[\w.]+)'/g)].map((m) => m[1]);
	const buttons = [...sources.matchAll(/(?:(?:secondary|primary|icon|button)\(\[?|\[)'(\w+)', (?=act|on|\()/g)].map((m) => m[1]);
	assert.ok(literal.length > 20 && buttons.length > 4, `found ${literal.length} and ${buttons.length}`);
	for (const key of [...literal, ...buttons]) assert.ok(en[key], key);
	for (const key of ['control', 'draw', 'navigate']) assert.ok(en[`ask.${key}`] && en[`ask.${key}.text`], key);
});
