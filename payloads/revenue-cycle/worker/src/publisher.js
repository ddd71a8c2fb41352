/** RabbitMQ over TLS: publishes claims and resolves only when the broker has confirmed them. */

import amqp from 'amqplib';

import { tlsOptions } from './config.js';
import { describeError } from './log.js';

const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 5000;
const CONNECT_TIMEOUT_MS = 5000;
const HEARTBEAT_SECONDS = 10;

/** The broker did not take the claim in time: not the claim's fault. */
export class BrokerUnavailable extends Error {
  name = 'BrokerUnavailable';
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export class Publisher {
  #config;
  #log;
  #offset;
  #connection;
  #channel;
  #waiting = [];
  #returned = new Set();
  #closed = false;

  /** Instances start at different nodes, so their connections spread over the cluster. */
  constructor(config, log, offset = 0) {
    this.#config = config;
    this.#log = log;
    this.#offset = offset;
  }

  get connected() {
    return this.#channel !== undefined;
  }

  /** Connect and stay connected until close(). Resolves with the first connection. */
  async connect() {
    const { nodes } = this.#config.rabbitmq;
    for (let attempt = 0; !this.#closed; attempt += 1) {
      const node = nodes[(this.#offset + attempt) % nodes.length];
      try {
        await this.#open(node);
        return;
      } catch (error) {
        this.#log.warn('broker connection', { node: node.host, ...describeError(error) });
        const rounds = Math.floor(attempt / nodes.length);
        await sleep(Math.min(FIRST_DELAY_MS * 2 ** rounds, LONGEST_DELAY_MS) * (0.5 + Math.random() / 2));
      }
    }
  }

  async #open(node) {
    const { vhost, user, password } = this.#config.rabbitmq;
    const address = {
      protocol: 'amqps',
      hostname: node.host,
      port: node.port,
      username: user,
      password,
      vhost: encodeURIComponent(vhost),
      heartbeat: HEARTBEAT_SECONDS,
    };
    const socket = { ...tlsOptions(this.#config.identity), timeout: CONNECT_TIMEOUT_MS, noDelay: true };
    const connection = await amqp.connect(address, socket);
    connection.on('error', (error) => this.#log.warn('broker connection', { node: node.host, ...describeError(error) }));
    connection.on('close', () => this.#lost(connection));
    try {
      const channel = await connection.createConfirmChannel();
      channel.on('error', (error) => this.#log.warn('broker channel', { node: node.host, ...describeError(error) }));
      channel.on('close', () => this.#drop(connection));
      channel.on('return', (message) => this.#returned.add(message.properties.messageId));
      this.#channel = channel;
      this.#connection = connection;
    } catch (error) {
      await this.#drop(connection);
      throw error;
    }
    this.#log.info('broker connected', { node: node.host });
    for (const wake of this.#waiting.splice(0)) wake();
  }

  async #drop(connection) {
    try {
      await connection.close();
    } catch {
      // It is closing already, and its own close event brings us here again.
    }
    this.#lost(connection);
  }

  #lost(connection) {
    if (this.#connection !== connection) return;
    this.#connection = undefined;
    this.#channel = undefined;
    if (this.#closed) return;
    this.#log.warn('broker connection lost');
    this.#offset += 1;
    this.connect();
  }

  /**
   * Publish a claim; resolves after the broker's confirm. The message id is the claim's id, so a
   * consumer recognises a claim that was sent again because its confirm got lost.
   */
  async publish(claim, deadline) {
    for (;;) {
      const channel = await this.#channelBefore(deadline);
      try {
        await this.#confirmed(channel, claim, deadline);
        return;
      } catch (error) {
        if (error instanceof BrokerUnavailable) throw error;
        this.#log.warn('claim not confirmed, publishing again', { claim: claim.claimId, ...describeError(error) });
        await sleep(FIRST_DELAY_MS);
      }
    }
  }

  async #channelBefore(deadline) {
    while (!this.#channel) {
      const left = deadline - Date.now();
      if (left <= 0 || this.#closed) throw new BrokerUnavailable('no broker node accepts connections');
      await Promise.race([new Promise((resolve) => this.#waiting.push(resolve)), sleep(left)]);
    }
    return this.#channel;
  }

  #confirmed(channel, claim, deadline) {
    return new Promise((resolve, reject) => {
      const late = () => reject(new BrokerUnavailable('the broker did not confirm in time'));
      const timer = setTimeout(late, Math.max(0, deadline - Date.now()));
      const settle = (error) => {
        clearTimeout(timer);
        // The broker hands back what no queue takes just before it confirms it.
        if (this.#returned.delete(claim.claimId)) reject(new BrokerUnavailable('no queue is bound for the claim'));
        else if (error) reject(error);
        else resolve();
      };
      const options = {
        persistent: true,
        mandatory: true,
        messageId: claim.claimId,
        contentType: 'application/json',
        type: 'claim',
        appId: 'sitewright-worker',
        timestamp: Math.floor(Date.now() / 1000),
      };
      const body = Buffer.from(JSON.stringify(claim));
      try {
        channel.publish(this.#config.rabbitmq.exchange, `claim.${claim.outcome}`, body, options, settle);
      } catch (error) {
        settle(error);
      }
    });
  }

  async close() {
    this.#closed = true;
    if (this.#connection) await this.#drop(this.#connection);
  }
}
