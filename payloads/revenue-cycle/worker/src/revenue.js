/** The business rules of the reference process: pure functions, amounts in cents. */

import { createHash } from 'node:crypto';

/** What each kind of payer covers, in percent of the charge. A site asks its clearing house instead. */
const COVERAGE_PERCENT = new Map([
  ['STATUTORY', 90],
  ['PRIVATE', 80],
  ['WORKPLACE', 100],
]);
const MEMBER_ID = /^[A-Z0-9-]{4,32}$/;

/** A decision the process models as a BPMN error: not a fault, so no retry. */
export class Denial extends Error {
  name = 'Denial';

  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Input no retry can repair; the engine raises an incident for a person to look at. */
export class InvalidInput extends Error {
  name = 'InvalidInput';
}

export function requireVariables(variables, names) {
  const missing = names.filter((name) => variables[name] === undefined || variables[name] === null);
  if (missing.length > 0) throw new InvalidInput(`missing variables: ${missing.join(', ')}`);
}

/** Claim ids come from the process instance, so the same claim has the same id however often it is sent. */
export const claimIdOf = (processInstanceId) => `CLM-${processInstanceId}`;

/** A cache key that does not show the member's number. */
export function eligibilityKey(payer, memberId) {
  return `app:eligibility:${createHash('sha256').update(`${payer}\n${memberId}`).digest('hex').slice(0, 40)}`;
}

export function decideEligibility(payer, memberId) {
  const coveragePercent = COVERAGE_PERCENT.get(payer);
  if (coveragePercent === undefined || !MEMBER_ID.test(memberId)) return { eligible: false, coveragePercent: 0 };
  return { eligible: true, coveragePercent };
}

export function scrubClaim({ chargeCents, drgCode }) {
  if (!Number.isInteger(chargeCents) || chargeCents <= 0) {
    throw new Denial('CLAIM_REJECTED', 'the charge is not a positive amount');
  }
  if (!/^DRG-[A-Z0-9]{3}$/.test(drgCode)) throw new Denial('CLAIM_REJECTED', 'the code is not a DRG code');
}

/** The payer's part is rounded down, so the two parts always add up to the charge. */
export function splitCharge(chargeCents, coveragePercent) {
  const paidCents = Math.floor((chargeCents * coveragePercent) / 100);
  return { paidCents, patientShareCents: chargeCents - paidCents };
}
