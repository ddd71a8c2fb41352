/** Log lines as JSON on standard output, for the journal. Never pass variables of a process to it. */

/** Fields that must never reach a log, whoever passes them. */
const FORBIDDEN = new Set(['password', 'variables', 'authorization', 'body', 'key']);

/** What is worth telling about an error: no request, no response, no payload. */
export function describeError(error) {
  const { name, message, code, httpStatusCode } = error;
  return { error: name, reason: String(message).replace(/\s+/g, ' ').slice(0, 300), code, status: httpStatusCode };
}

export function createLogger(base = {}, write = (line) => process.stdout.write(line)) {
  const emit = (level, message, fields = {}) => {
    const shown = Object.entries(fields).filter(([name]) => !FORBIDDEN.has(name.toLowerCase()));
    const record = { time: new Date().toISOString(), level, message, ...base, ...Object.fromEntries(shown) };
    write(`${JSON.stringify(record)}\n`);
  };
  return {
    info: (message, fields) => emit('info', message, fields),
    warn: (message, fields) => emit('warning', message, fields),
    error: (message, fields) => emit('error', message, fields),
  };
}
