import assert from 'node:assert/strict';
import { test } from 'node:test';

import { createLogger, describeError } from '../src/log.js';

test('a line is one JSON object with what was said and by whom', () => {
  const lines = [];
  createLogger({ worker: 'app1-1' }, (line) => lines.push(line)).info('ready', { topics: ['a'] });
  assert.equal(lines.length, 1);
  assert.ok(lines[0].endsWith('\n'));
  const { time, ...rest } = JSON.parse(lines[0]);
  assert.ok(!Number.isNaN(Date.parse(time)));
  assert.deepEqual(rest, { level: 'info', message: 'ready', worker: 'app1-1', topics: ['a'] });
});

test('secrets and process variables are dropped even when somebody passes them', () => {
  const lines = [];
  createLogger({}, (line) => lines.push(line)).error('failed', { password: 'canary', variables: { patientId: 'canary' } });
  assert.ok(!lines[0].includes('canary'));
});

test('an error is told without the request it belongs to', () => {
  const error = Object.assign(new Error('refused'), { code: 'E', options: { headers: { Authorization: 'canary' } } });
  assert.ok(!JSON.stringify(describeError(error)).includes('canary'));
});
