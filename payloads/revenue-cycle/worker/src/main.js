/** One worker process: connects to Redis, RabbitMQ and the engine, says so to systemd, works until told to stop. */

import { hostname } from 'node:os';
import { parseArgs } from 'node:util';

import { Cache } from './cache.js';
import { ConfigurationError, readConfig } from './config.js';
import { TaskRunner } from './engine.js';
import { createHandlers } from './handlers.js';
import { createLogger, describeError } from './log.js';
import { notify, watchdogIntervalMs } from './notify.js';
import { Publisher } from './publisher.js';

const EXIT_CONFIGURATION = 2;

async function run() {
  const { values } = parseArgs({
    options: {
      config: { type: 'string', default: '/etc/sitewright/worker/config.json' },
      instance: { type: 'string', default: '1' },
    },
  });
  const workerId = `${hostname()}-${values.instance}`;
  const log = createLogger({ worker: workerId });
  const config = readConfig(values.config);

  const cache = new Cache(config, log);
  const publisher = new Publisher(config, log, Number(values.instance) || 0);
  const { shutdownMs } = config.tasks;
  const { eligibilityTtlSeconds } = config.application;
  const runner = new TaskRunner(config, createHandlers({ cache, publisher, eligibilityTtlSeconds }), log, workerId);

  let stopping = false;
  const stop = async (signal) => {
    if (stopping) return;
    stopping = true;
    log.info('stopping', { signal });
    const finished = await runner.stop(shutdownMs);
    if (!finished) log.warn('stopped with tasks in hand; the engine gives them out again when their locks end');
    await Promise.all([publisher.close(), cache.close()]);
    log.info('stopped');
    process.exit(0);
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);

  await Promise.all([cache.connect(), publisher.connect()]);
  await runner.start();
  log.info('ready', { topics: config.tasks.topics });
  await notify('--ready', '--status=connected to engine, Redis and RabbitMQ');

  const interval = watchdogIntervalMs();
  if (!interval) return;
  setInterval(() => {
    const connections = { engine: runner.connected, redis: cache.connected, rabbitmq: publisher.connected };
    const lost = Object.keys(connections).filter((name) => !connections[name]);
    const messages = lost.length > 0 ? [`--status=not connected to ${lost.join(', ')}`] : ['WATCHDOG=1'];
    notify(...messages).catch((error) => log.error('systemd does not listen', describeError(error)));
  }, interval);
}

run().catch((error) => {
  createLogger().error('cannot start', describeError(error));
  process.exit(error instanceof ConfigurationError ? EXIT_CONFIGURATION : 1);
});
