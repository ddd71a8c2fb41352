import assert from 'node:assert/strict';
import { test } from 'node:test';

import { notify, watchdogIntervalMs } from '../src/notify.js';

test('the watchdog is fed several times in its period', () => {
  assert.equal(watchdogIntervalMs({ WATCHDOG_USEC: '120000000' }), 20000);
});

test('without a watchdog nothing is fed', () => {
  assert.equal(watchdogIntervalMs({}), undefined);
});

test('outside systemd there is nobody to tell', async () => {
  assert.equal(process.env.NOTIFY_SOCKET, undefined);
  await notify('--ready');
});
