/** Tell systemd how we are; outside systemd (no NOTIFY_SOCKET) there is nobody to tell. */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Node has no datagram sockets of the UNIX kind, so systemd's own small tool speaks for us. */
export async function notify(...messages) {
  if (!process.env.NOTIFY_SOCKET) return;
  await run('systemd-notify', messages);
}

/** How often to say that we are well: six times in the period systemd waits, or never. */
export function watchdogIntervalMs(environment = process.env) {
  const microseconds = Number(environment.WATCHDOG_USEC);
  return microseconds > 0 ? Math.floor(microseconds / 6000) : undefined;
}
