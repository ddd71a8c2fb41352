/** The worker's configuration: one JSON file, checked whole before anything is connected. */

import { readFileSync } from 'node:fs';

export class ConfigurationError extends Error {
  name = 'ConfigurationError';
}

/** Every setting with the type it must have; a list names the fields of its elements. */
const SHAPE = {
  engine: { url: 'string', user: 'string', password: 'string' },
  redis: { master: 'string', sentinels: 'endpoints', user: 'string', password: 'string' },
  rabbitmq: { nodes: 'endpoints', vhost: 'string', exchange: 'string', user: 'string', password: 'string' },
  tls: { ca: 'string', certificate: 'string', key: 'string' },
  tasks: {
    topics: 'strings',
    atOnce: 'count',
    lockMs: 'count',
    longPollMs: 'count',
    pauseMs: 'count',
    shutdownMs: 'count',
  },
  application: { eligibilityTtlSeconds: 'count' },
};

const isEndpoint = (item) => typeof item?.host === 'string' && Number.isInteger(item?.port);
const isFilled = (list, check) => Array.isArray(list) && list.length > 0 && list.every(check);
const CHECKS = {
  string: (value) => typeof value === 'string' && value !== '',
  strings: (value) => isFilled(value, (item) => typeof item === 'string'),
  count: (value) => Number.isInteger(value) && value > 0,
  endpoints: (value) => isFilled(value, isEndpoint),
};

export function checkConfig(raw) {
  for (const [section, settings] of Object.entries(SHAPE)) {
    const given = raw?.[section] ?? {};
    const unknown = Object.keys(given).find((name) => !(name in settings));
    if (unknown) throw new ConfigurationError(`unknown setting ${section}.${unknown}`);
    for (const [name, type] of Object.entries(settings)) {
      // The value itself stays out of the message: it may be a password.
      if (!CHECKS[type](given[name])) throw new ConfigurationError(`${section}.${name} must be of kind ${type}`);
    }
  }
  if (!raw.engine.url.startsWith('https://')) throw new ConfigurationError('engine.url must start with https://');
  if (raw.tasks.longPollMs >= raw.tasks.lockMs) {
    throw new ConfigurationError('tasks.longPollMs must be less than tasks.lockMs');
  }
  return raw;
}

/** Read the file and the certificates it names. */
export function readConfig(path) {
  let raw;
  try {
    raw = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    throw new ConfigurationError(`${path} cannot be read as JSON (${error.code ?? error.name})`);
  }
  const config = checkConfig(raw);
  const { ca, certificate, key } = config.tls;
  const [caPem, certificatePem, keyPem] = [ca, certificate, key].map((file) => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw new ConfigurationError(`${file} cannot be read (${error.code})`);
    }
  });
  return { ...config, identity: { ca: caPem, cert: certificatePem, key: keyPem } };
}

/** How every connection is made: the site's own authority, TLS 1.3, always verified. */
export function tlsOptions(identity) {
  return { ...identity, minVersion: 'TLSv1.3', rejectUnauthorized: true };
}
