import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Denial, decideEligibility, eligibilityKey, scrubClaim, splitCharge } from '../src/revenue.js';

test('a known payer covers a well-formed member', () => {
  assert.deepEqual(decideEligibility('STATUTORY', 'VERIFY-0001'), { eligible: true, coveragePercent: 90 });
});

test('an unknown payer or a malformed member id is not covered', () => {
  assert.equal(decideEligibility('NOBODY', 'VERIFY-0001').eligible, false);
  assert.equal(decideEligibility('PRIVATE', 'no').eligible, false);
  assert.equal(decideEligibility('toString', 'VERIFY-0001').eligible, false);
});

test('the two parts of a charge always add up', () => {
  for (const charge of [1, 99, 100, 123457]) {
    for (const percent of [0, 33, 80, 90, 100]) {
      const { paidCents, patientShareCents } = splitCharge(charge, percent);
      assert.equal(paidCents + patientShareCents, charge);
      assert.ok(Number.isInteger(paidCents) && paidCents >= 0 && patientShareCents >= 0);
    }
  }
});

test('a claim without a positive whole amount or a DRG code is rejected as a business decision', () => {
  assert.throws(() => scrubClaim({ chargeCents: 0, drgCode: 'DRG-F24' }), Denial);
  assert.throws(() => scrubClaim({ chargeCents: 10.5, drgCode: 'DRG-F24' }), Denial);
  assert.throws(() => scrubClaim({ chargeCents: 1000, drgCode: 'F24' }), Denial);
  scrubClaim({ chargeCents: 1000, drgCode: 'DRG-F24' });
});

test('a cache key does not show the member, and payers do not share keys', () => {
  const key = eligibilityKey('PRIVATE', 'MEMBER-1');
  assert.match(key, /^app:eligibility:[0-9a-f]{40}$/);
  assert.notEqual(key, eligibilityKey('STATUTORY', 'MEMBER-1'));
});
