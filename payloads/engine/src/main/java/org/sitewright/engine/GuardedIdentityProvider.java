package org.sitewright.engine;

import java.util.Set;
import org.operaton.bpm.engine.impl.identity.db.DbIdentityServiceProvider;
import org.operaton.bpm.engine.impl.interceptor.Session;
import org.operaton.bpm.engine.impl.interceptor.SessionFactory;
import org.operaton.bpm.engine.impl.persistence.entity.UserEntity;

/**
 * The engine's users, with machines and people kept apart: where people log in, no password of a machine is looked at,
 * so nobody there can guess it or keep the machine from its work.
 */
final class GuardedIdentityProvider extends DbIdentityServiceProvider {

  private final Set<String> machines;
  private final LoginLimit limit;

  private GuardedIdentityProvider(Set<String> machines, LoginLimit limit) {
    this.machines = machines;
    this.limit = limit;
  }

  @Override
  public boolean checkPassword(String userId, String password) {
    var caller = Caller.current();
    // Somebody on a host of the site who is logged in already asks whether a password is current: the installer.
    boolean asksForAnother = caller.isPresent()
        && caller.get().kind() == Caller.Kind.SITE && getCurrentAuthentication() != null;
    if (caller.isEmpty() || userId == null || asksForAnother) {
      return super.checkPassword(userId, password);
    }
    return checkPassword(caller.get(), userId, password);
  }

  private boolean checkPassword(Caller caller, String userId, String password) {
    if (machines.contains(userId) && caller.kind() == Caller.Kind.PERSON) {
      AuditLog.login(userId, caller, "refused: a machine's user, without the site's certificate");
      return false;
    }
    if (!limit.allows(caller.address(), userId)) {
      AuditLog.login(userId, caller, "refused: too many wrong passwords from there");
      return false;
    }
    if (super.checkPassword(userId, password)) {
      limit.succeeded(caller.address(), userId);
      return true;
    }
    limit.failed(caller.address(), userId);
    AuditLog.login(userId, caller, "refused: wrong user or password");
    return false;
  }

  /** Nobody is locked: who guesses waits, see {@link LoginLimit}. */
  @Override
  protected boolean isUserLocked(UserEntity user) {
    return false;
  }

  @Override
  protected void lockUser(UserEntity user) {}

  /** Makes one for each command; the limit outlives them. */
  record Factory(Set<String> machines, LoginLimit limit) implements SessionFactory {

    @Override
    public Class<?> getSessionType() {
      return GuardedIdentityProvider.class;
    }

    @Override
    public Session openSession() {
      return new GuardedIdentityProvider(machines, limit);
    }
  }
}
