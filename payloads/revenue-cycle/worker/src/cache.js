/** Redis through Sentinel: the eligibility cache and the memory of claims already published. */

import { Redis } from 'ioredis';

import { tlsOptions } from './config.js';
import { describeError } from './log.js';

const CLAIM_MEMORY_SECONDS = 7 * 24 * 3600;

export function redisOptions({ redis, identity }) {
  const tls = tlsOptions(identity);
  return {
    sentinels: redis.sentinels,
    name: redis.master,
    role: 'master',
    username: redis.user,
    password: redis.password,
    sentinelUsername: redis.user,
    sentinelPassword: redis.password,
    enableTLSForSentinelMode: true,
    tls,
    sentinelTLS: tls,
    // The configured list is complete, and by name: sentinels know each other by address.
    updateSentinels: false,
    connectTimeout: 3000,
    commandTimeout: 2000,
    sentinelCommandTimeout: 2000,
    socketTimeout: 4000,
    maxRetriesPerRequest: 2,
    sentinelRetryStrategy: (times) => Math.min(100 * times, 2000),
    // A demoted master answers READONLY: ask the sentinels again and repeat the command there.
    reconnectOnError: (error) => (error.message.startsWith('READONLY') ? 2 : false),
  };
}

export class Cache {
  #redis;
  #log;

  constructor(config, log) {
    this.#log = log;
    this.#redis = new Redis({ ...redisOptions(config), lazyConnect: true });
    this.#redis.on('error', (error) => log.warn('redis connection', describeError(error)));
    this.#redis.on('ready', () => log.info('redis connected'));
  }

  get connected() {
    return this.#redis.status === 'ready';
  }

  /** Resolves once a command was answered; a site that is still starting is waited for. */
  async connect() {
    this.#redis.connect().catch((error) => this.#log.warn('redis connection', describeError(error)));
    for (;;) {
      try {
        await this.#redis.ping();
        return;
      } catch (error) {
        this.#log.warn('redis does not answer yet', describeError(error));
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  /** The cache spares work, it is not needed for it: without an answer the caller computes. */
  async recall(key) {
    try {
      const found = await this.#redis.get(key);
      return found === null ? undefined : JSON.parse(found);
    } catch (error) {
      this.#log.warn('cache read failed', describeError(error));
      return undefined;
    }
  }

  async remember(key, value, ttlSeconds) {
    try {
      await this.#redis.set(key, JSON.stringify(value), 'EX', ttlSeconds);
    } catch (error) {
      this.#log.warn('cache write failed', describeError(error));
    }
  }

  wasPublished(claimId) {
    return this.recall(`app:claim:${claimId}`);
  }

  markPublished(claimId, outcome) {
    return this.remember(`app:claim:${claimId}`, outcome, CLAIM_MEMORY_SECONDS);
  }

  async close() {
    await this.#redis.quit().catch(() => this.#redis.disconnect());
  }
}
