/** What each topic does: takes the process's variables, gives the variables to set. */

import {
  Denial,
  InvalidInput,
  claimIdOf,
  decideEligibility,
  eligibilityKey,
  requireVariables,
  scrubClaim,
  splitCharge,
} from './revenue.js';

/**
 * The handlers by topic. Each has the variables it reads, so that nothing else leaves the engine,
 * and `handle`, which gets those variables, the task and the time by which it must have finished.
 */
export function createHandlers({ cache, publisher, eligibilityTtlSeconds }) {
  return {
    'register-admission': {
      variables: ['patientId', 'memberId', 'payer', 'careType', 'diagnosisGroup', 'chargeCents'],
      async handle(given, { task }) {
        requireVariables(given, this.variables);
        return {
          encounterId: task.businessKey ?? `ENC-${task.processInstanceId}`,
          admittedAt: new Date().toISOString(),
        };
      },
    },

    'check-eligibility': {
      variables: ['payer', 'memberId'],
      async handle(given) {
        requireVariables(given, this.variables);
        const key = eligibilityKey(given.payer, given.memberId);
        const cached = await cache.recall(key);
        const answer = cached ?? decideEligibility(given.payer, given.memberId);
        if (!cached) await cache.remember(key, answer, eligibilityTtlSeconds);
        if (!answer.eligible) throw new Denial('NOT_ELIGIBLE', 'the payer does not cover this member');
        return { coveragePercent: answer.coveragePercent };
      },
    },

    'scrub-claim': {
      variables: ['chargeCents', 'drgCode'],
      async handle(given, { task }) {
        requireVariables(given, this.variables);
        scrubClaim(given);
        return { claimId: claimIdOf(task.processInstanceId) };
      },
    },

    'submit-claim': {
      variables: ['encounterId', 'payer', 'memberId', 'drgCode', 'chargeCents'],
      async handle(given, { task, deadline }) {
        requireVariables(given, ['encounterId']);
        // The model says on each of its two tasks of this topic what it is about.
        const { outcome } = task.extensionProperties;
        if (!outcome) throw new InvalidInput('the task has no extension property "outcome"');
        const claim = { claimId: claimIdOf(task.processInstanceId), outcome, ...given };
        if ((await cache.wasPublished(claim.claimId)) !== claim.outcome) {
          await publisher.publish(claim, deadline);
          await cache.markPublished(claim.claimId, claim.outcome);
        }
        return {};
      },
    },

    'post-payment': {
      variables: ['chargeCents', 'coveragePercent'],
      async handle(given, { task }) {
        requireVariables(given, this.variables);
        return {
          ...splitCharge(given.chargeCents, given.coveragePercent),
          paymentReference: `PAY-${task.processInstanceId}`,
        };
      },
    },
  };
}
