/** The runner with the real client library against a server that speaks the engine's protocol over real TLS. */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';

import { TaskRunner } from '../src/engine.js';
import { BrokerUnavailable } from '../src/publisher.js';
import { Denial, InvalidInput } from '../src/revenue.js';

const SILENT = { info() {}, warn() {}, error() {} };
const LONG_POLL_MS = 300;

let folder;
let identity;
let engine;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'worker-test-'));
  const [key, certificate] = ['key.pem', 'certificate.pem'].map((name) => join(folder, name));
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  execFileSync('openssl', ['req', '-x509', ...ec, '-days', '1', '-keyout', key, '-out', certificate, ...subject], {
    stdio: 'ignore',
  });
  identity = { ca: readFileSync(certificate), cert: readFileSync(certificate), key: readFileSync(key) };
});

after(() => rmSync(folder, { recursive: true }));

/** Gives out the tasks it was made with, once, and remembers what it was told. */
async function startEngine(tasks, refuse = () => undefined, tls = {}) {
  const told = [];
  const server = createServer({ cert: identity.cert, key: identity.key, minVersion: 'TLSv1.3', ...tls });
  server.on('request', async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = JSON.parse(Buffer.concat(chunks).toString());
    const path = request.url.replace('/engine-rest/external-task', '');
    const answer = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(JSON.stringify(value));
    };
    const agree = () => response.writeHead(204).end();
    const refused = refuse(path, told);
    if (path !== '/fetchAndLock') told.push({ path, body, refused, login: request.headers.authorization });
    if (refused) return answer(refused, { type: 'Refused', message: 'as the test wants it' });
    if (path !== '/fetchAndLock') return agree();
    told.polls = (told.polls ?? 0) + 1;
    told.request = body;
    if (tasks.length > 0 || !body.asyncResponseTimeout) return answer(200, tasks.splice(0, body.maxTasks));
    return setTimeout(() => answer(200, []), body.asyncResponseTimeout);
  });
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  engine = server;
  return { told, url: `https://localhost:${server.address().port}/engine-rest` };
}

afterEach(() => {
  engine?.closeAllConnections();
  engine?.close();
});

const task = (id, variables = {}) => ({
  id,
  topicName: 'work',
  processInstanceId: `instance-${id}`,
  retries: null,
  extensionProperties: {},
  variables,
});

function runnerFor(url, handle, tasks = {}) {
  const config = {
    engine: { url, user: 'worker', password: 'password' },
    identity,
    tasks: { topics: ['work'], atOnce: 4, lockMs: 2000, longPollMs: LONG_POLL_MS, pauseMs: 5, ...tasks },
  };
  return new TaskRunner(config, { work: { variables: ['amount'], handle } }, SILENT, 'test-1');
}

async function until(condition) {
  const deadline = Date.now() + 5000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('a task is completed with what its handler returns, and only named variables are asked for', async () => {
  const { told, url } = await startEngine([task('a', { amount: { type: 'Integer', value: 2 } })]);
  const runner = runnerFor(url, async ({ amount }) => ({ doubled: amount * 2 }));
  await runner.start();
  await until(() => told.length === 1);
  assert.equal(told[0].path, '/a/complete');
  assert.equal(told[0].body.workerId, 'test-1');
  assert.deepEqual(told[0].body.variables, { doubled: { type: 'integer', value: 4, valueInfo: {} } });
  assert.equal(told[0].login, `Basic ${Buffer.from('worker:password').toString('base64')}`);
  assert.deepEqual(told.request.topics[0].variables, ['amount']);
  assert.equal(await runner.stop(3000), true);
});

test('a business decision becomes a BPMN error, not a failure', async () => {
  const { told, url } = await startEngine([task('a')]);
  const runner = runnerFor(url, async () => {
    throw new Denial('NOT_ELIGIBLE', 'no');
  });
  await runner.start();
  await until(() => told.length === 1);
  assert.equal(told[0].path, '/a/bpmnError');
  assert.equal(told[0].body.errorCode, 'NOT_ELIGIBLE');
  await runner.stop(3000);
});

for (const [title, error, retries] of [
  ['a fault uses up one attempt', new Error('bug'), 2],
  ['a broker that is away uses up none', new BrokerUnavailable('away'), 3],
  ['input nobody can repair becomes an incident at once', new InvalidInput('missing'), 0],
]) {
  test(title, async () => {
    const { told, url } = await startEngine([task('a')]);
    const runner = runnerFor(url, async () => {
      throw error;
    });
    await runner.start();
    await until(() => told.length === 1);
    assert.equal(told[0].path, '/a/failure');
    assert.equal(told[0].body.retries, retries);
    await runner.stop(3000);
  });
}

test('a result is told again when the gateway is busy', async () => {
  const { told, url } = await startEngine([task('a')], (path, sofar) =>
    path === '/a/complete' && sofar.length < 2 ? 503 : undefined,
  );
  const runner = runnerFor(url, async () => ({}));
  await runner.start();
  await until(() => told.length === 3);
  assert.deepEqual(told.map(({ refused }) => refused), [503, 503, undefined]);
  await runner.stop(3000);
});

test('a lock that was lost ends the matter after one answer', async () => {
  const { told, url } = await startEngine([task('a')], (path) => (path === '/a/complete' ? 404 : undefined));
  const runner = runnerFor(url, async () => ({}));
  await runner.start();
  await until(() => told.some(({ path }) => path === '/a/failure'));
  assert.equal(told.filter(({ path }) => path === '/a/complete').length, 1);
  await runner.stop(3000);
});

test('stopping finishes the tasks in hand and fetches no more', async () => {
  const { told, url } = await startEngine([task('a'), task('b')]);
  let release;
  const gate = new Promise((resolve) => {
    release = resolve;
  });
  const runner = runnerFor(url, async () => {
    await gate;
    return {};
  });
  await runner.start();
  const stopped = runner.stop(5000);
  setTimeout(release, 100);
  assert.equal(await stopped, true);
  assert.deepEqual(told.map(({ path }) => path).sort(), ['/a/complete', '/b/complete']);
  const { polls } = told;
  await new Promise((resolve) => setTimeout(resolve, LONG_POLL_MS));
  assert.equal(told.polls, polls);
});

test('stopping says so when a task does not come to an end', async () => {
  const { url } = await startEngine([task('a')]);
  const runner = runnerFor(url, () => new Promise(() => {}));
  await runner.start();
  assert.equal(await runner.stop(200), false);
});

test('an instance takes no more tasks than it may have in hand', async () => {
  const { told, url } = await startEngine(['a', 'b', 'c', 'd', 'e', 'f'].map((id) => task(id)));
  let running = 0;
  let most = 0;
  const runner = runnerFor(
    url,
    async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setTimeout(resolve, 30));
      running -= 1;
      return {};
    },
    { atOnce: 2 },
  );
  await runner.start();
  await until(() => told.length === 6);
  assert.equal(most, 2);
  await runner.stop(3000);
});

test('an engine that refuses is asked ever more rarely', async () => {
  let asked = 0;
  const { url } = await startEngine([], (path) => {
    if (path === '/fetchAndLock') asked += 1;
    return 500;
  });
  const runner = runnerFor(url, async () => ({}));
  runner.start();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  assert.ok(asked >= 2 && asked <= 5, `asked ${asked} times in a second`);
  assert.equal(runner.connected, false);
  await runner.stop(3000);
});

test('an engine below TLS 1.3 is not spoken to', async () => {
  let asked = 0;
  const counting = () => {
    asked += 1;
  };
  const { url } = await startEngine([], counting, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
  const runner = runnerFor(url, async () => ({}));
  runner.start();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(asked, 0);
  assert.equal(runner.connected, false);
  await runner.stop(3000);
});

test('a topic nobody handles is refused at the start', () => {
  assert.throws(() => runnerFor('https://localhost/engine-rest', async () => ({}), { topics: ['other'] }), InvalidInput);
});
