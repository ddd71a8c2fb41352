/** The published external-task client, with our TLS, our limits and a shutdown that loses nothing. */

import { Agent } from 'node:https';

import { BasicAuthInterceptor, Client, Variables } from 'camunda-external-task-client-js';

import { tlsOptions } from './config.js';
import { describeError } from './log.js';
import { BrokerUnavailable } from './publisher.js';
import { Denial, InvalidInput } from './revenue.js';

const LONGEST_PAUSE_MS = 5000;
const ATTEMPTS = 3;
const RETRY_AFTER_MS = 5000;
const ANSWER_MS = 15000;
/** How long after the last answer the engine counts as lost. */
const SILENCE_MS = 30000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Errors that say nothing about the task: the way to the engine, or the engine busy or restarting. */
function isPassing(error) {
  const status = error.httpStatusCode;
  return status === undefined || status === 429 || status >= 500;
}

export class TaskRunner {
  #client;
  #config;
  #log;
  #polling = false;
  #answeredAt = 0;
  #firstAnswer;

  constructor(config, handlers, log, workerId) {
    this.#config = config;
    this.#log = log;
    const { engine, identity, tasks } = config;
    const agent = new Agent({ keepAlive: true, ...tlsOptions(identity) });
    const timeout = { connect: 3000, secureConnect: 5000, request: tasks.longPollMs + ANSWER_MS };
    this.#client = new Client({
      baseUrl: engine.url,
      workerId,
      autoPoll: false,
      usePriority: false,
      maxTasks: tasks.atOnce,
      // Tasks that wait for the broker count as well, so a worker that cannot publish stops fetching.
      maxParallelExecutions: tasks.atOnce,
      lockDuration: tasks.lockMs,
      interval: tasks.pauseMs,
      interceptors: [
        new BasicAuthInterceptor({ username: engine.user, password: engine.password }),
        (options) => ({ ...options, agent: { https: agent }, timeout, retry: { limit: 0 } }),
      ],
    });
    this.#watchPolls();
    for (const topic of tasks.topics) {
      if (!handlers[topic]) throw new InvalidInput(`no handler for topic ${topic}`);
      const { variables } = handlers[topic];
      this.#client.subscribe(topic, { variables, includeExtensionProperties: true }, (received) => this.#work(handlers[topic], received));
    }
  }

  #watchPolls() {
    const { engineService, options } = this.#client;
    const { pauseMs, longPollMs } = this.#config.tasks;
    const fetchAndLock = engineService.fetchAndLock.bind(engineService);
    // The client has no word for "a request is under way", and shutdown must wait for it.
    engineService.fetchAndLock = async (request) => {
      this.#polling = true;
      try {
        return await fetchAndLock(request);
      } finally {
        this.#polling = false;
      }
    };
    this.#firstAnswer = new Promise((resolve) => {
      this.#client.on('poll:success', () => {
        this.#answeredAt = Date.now();
        // The first request asks without waiting: its answer is the proof that the engine lets us in.
        options.asyncResponseTimeout = longPollMs;
        options.interval = pauseMs;
        resolve();
      });
    });
    this.#client.on('poll:error', (error) => {
      options.interval = Math.min(Math.max(options.interval, 100) * 2, LONGEST_PAUSE_MS);
      this.#log.warn('fetching tasks failed', describeError(error));
    });
  }

  get connected() {
    return Date.now() - this.#answeredAt < SILENCE_MS + this.#config.tasks.longPollMs;
  }

  /** Start fetching; resolves when the engine has answered once. */
  start() {
    this.#client.start();
    return this.#firstAnswer;
  }

  /** Fetch no more, finish what is in hand. Resolves to whether everything was finished in time. */
  async stop(timeoutMs) {
    const deadline = Date.now() + timeoutMs;
    this.#client.stop();
    while (this.#polling || this.#client.activeTasksCount > 0) {
      if (Date.now() >= deadline) return false;
      await sleep(20);
    }
    return true;
  }

  async #work(handler, { task, taskService }) {
    const started = Date.now();
    const about = { topic: task.topicName, task: task.id, instance: task.processInstanceId };
    const deadline = started + Math.floor(this.#config.tasks.lockMs * 0.6);
    try {
      const result = await handler.handle(task.variables.getAll(), { task, deadline });
      await this.#tell(() => taskService.complete(task, new Variables().setAll(result)), deadline);
      this.#log.info('task completed', { ...about, ms: Date.now() - started });
    } catch (error) {
      await this.#report(error, { task, taskService, about, deadline });
    }
  }

  async #report(error, { task, taskService, about, deadline }) {
    try {
      if (error instanceof Denial) {
        await this.#tell(() => taskService.handleBpmnError(task, error.code, error.message), deadline);
        this.#log.info('task denied', { ...about, code: error.code });
        return;
      }
      this.#log.error('task failed', { ...about, ...describeError(error) });
      const failure = { errorMessage: `${error.name}: ${error.message}`.slice(0, 600), ...this.#retriesAfter(error, task) };
      await this.#tell(() => taskService.handleFailure(task, failure), deadline);
    } catch (failure) {
      // The lock runs out and another worker takes the task: nothing is lost, so nothing more to do here.
      this.#log.error('the engine did not take the result', { ...about, ...describeError(failure) });
    }
  }

  /** A broker that is away must not use up a task's attempts, or its return would find incidents. */
  #retriesAfter(error, task) {
    const left = task.retries ?? ATTEMPTS;
    if (error instanceof InvalidInput) return { retries: 0, retryTimeout: 0 };
    if (error instanceof BrokerUnavailable) return { retries: left, retryTimeout: RETRY_AFTER_MS };
    return { retries: left - 1, retryTimeout: RETRY_AFTER_MS };
  }

  /** Tell the engine, again if the way to it failed, as long as the lock is ours. */
  async #tell(send, deadline) {
    for (let pause = 100; ; pause *= 2) {
      try {
        await send();
        return;
      } catch (error) {
        if (!isPassing(error) || Date.now() + pause >= deadline) throw error;
        await sleep(pause);
      }
    }
  }
}
