package org.sitewright.engine;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.LongSupplier;

/**
 * How often a password may be tried for one user from one address.
 *
 * <p>The engine's own limit locks the user, wherever the wrong passwords come from: whoever reaches the gateway could
 * lock anybody out. Here only who guesses has to wait, and colleagues at the same terminal server do not.
 */
final class LoginLimit {

  /** Wrong passwords that cost nothing: people mistype. */
  static final int FREE = 5;
  private static final long SECOND = 1_000_000_000L;
  private static final long FIRST_WAIT = 5 * SECOND;
  private static final long LONGEST_WAIT = 300 * SECOND;
  private static final long FORGOTTEN_AFTER = 900 * SECOND;
  private static final int MOST_REMEMBERED = 20_000;

  private final LongSupplier nanoseconds;
  private final Map<String, Failures> failures = new LinkedHashMap<>(16, 0.75f, true) {
    private static final long serialVersionUID = 1;

    @Override
    protected boolean removeEldestEntry(Map.Entry<String, Failures> eldest) {
      return size() > MOST_REMEMBERED;
    }
  };

  private record Failures(int number, long last) {

    long waitUntil() {
      int beyond = number - FREE;
      return beyond < 0 ? last : last + Math.min(LONGEST_WAIT, FIRST_WAIT << Math.min(beyond, 10));
    }
  }

  /** @param nanoseconds a clock that never goes back */
  LoginLimit(LongSupplier nanoseconds) {
    this.nanoseconds = nanoseconds;
  }

  /** Whether a password of this user may be looked at; where not, not even the right one is. */
  synchronized boolean allows(String address, String user) {
    Failures known = failures.get(key(address, user));
    return known == null || nanoseconds.getAsLong() - known.waitUntil() >= 0;
  }

  /** Count a wrong password. */
  synchronized void failed(String address, String user) {
    long now = nanoseconds.getAsLong();
    Failures known = failures.get(key(address, user));
    boolean forgotten = known == null || now - known.last() > FORGOTTEN_AFTER;
    failures.put(key(address, user), new Failures(forgotten ? 1 : known.number() + 1, now));
  }

  /** Forget what was wrong before. */
  synchronized void succeeded(String address, String user) {
    failures.remove(key(address, user));
  }

  private static String key(String address, String user) {
    return address + ' ' + user;
  }
}
