import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ConfigurationError, checkConfig, readConfig, tlsOptions } from '../src/config.js';

const SECRET = 'hunter2hunter2';

const whole = () => ({
  engine: { url: 'https://workflow.example.internal/engine-rest', user: 'worker', password: SECRET },
  redis: { master: 'sitewright', sentinels: [{ host: 'svc1', port: 26379 }], user: 'worker', password: SECRET },
  rabbitmq: {
    nodes: [{ host: 'svc1', port: 5671 }],
    vhost: 'sitewright',
    exchange: 'revenue-cycle',
    user: 'worker',
    password: SECRET,
  },
  tls: { ca: '/ca', certificate: '/certificate', key: '/key' },
  tasks: {
    topics: ['submit-claim'],
    atOnce: 5,
    lockMs: 5000,
    longPollMs: 300,
    pauseMs: 10,
    shutdownMs: 3000,
  },
  application: { eligibilityTtlSeconds: 60 },
});

const changed = (section, values) => {
  const config = whole();
  return { ...config, [section]: { ...config[section], ...values } };
};

test('a whole configuration is accepted', () => {
  assert.deepEqual(checkConfig(whole()), whole());
});

for (const [title, section, values, said] of [
  ['an unknown setting', 'tasks', { atonce: 5 }, /unknown setting tasks\.atonce/],
  ['a count of zero', 'tasks', { atOnce: 0 }, /tasks\.atOnce must be of kind count/],
  ['no broker node', 'rabbitmq', { nodes: [] }, /rabbitmq\.nodes must be of kind endpoints/],
  ['a sentinel without a port', 'redis', { sentinels: [{ host: 'svc1' }] }, /redis\.sentinels/],
  ['plain http', 'engine', { url: 'http://workflow.example.internal' }, /must start with https/],
  ['a request that outlives its locks', 'tasks', { longPollMs: 5000 }, /must be less than tasks\.lockMs/],
]) {
  test(`${title} is refused by name`, () => {
    assert.throws(() => checkConfig(changed(section, values)), said);
  });
}

test('a refused password is not repeated', () => {
  assert.throws(
    () => checkConfig(changed('engine', { password: [SECRET] })),
    (error) => error instanceof ConfigurationError && !error.message.includes(SECRET),
  );
});

test('a missing file is a configuration error that names it', () => {
  assert.throws(() => readConfig('/nonexistent/config.json'), /\/nonexistent\/config\.json .*ENOENT/);
});

test('no connection can be made without verification or below TLS 1.3', () => {
  assert.deepEqual(tlsOptions({ ca: 'x' }), { ca: 'x', minVersion: 'TLSv1.3', rejectUnauthorized: true });
});
