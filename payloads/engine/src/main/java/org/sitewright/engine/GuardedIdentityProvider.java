package org.sitewright.engine;

import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Stream;
import org.operaton.bpm.engine.ProcessEngineException;
import org.operaton.bpm.engine.authorization.Permissions;
import org.operaton.bpm.engine.authorization.Resources;
import org.operaton.bpm.engine.identity.Group;
import org.operaton.bpm.engine.identity.User;
import org.operaton.bpm.engine.impl.context.Context;
import org.operaton.bpm.engine.impl.identity.db.DbGroupQueryImpl;
import org.operaton.bpm.engine.impl.identity.db.DbIdentityServiceProvider;
import org.operaton.bpm.engine.impl.identity.db.DbUserQueryImpl;
import org.operaton.bpm.engine.impl.interceptor.Session;
import org.operaton.bpm.engine.impl.interceptor.SessionFactory;
import org.operaton.bpm.engine.impl.persistence.entity.GroupEntity;
import org.operaton.bpm.engine.impl.persistence.entity.UserEntity;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The engine's users, with machines and people kept apart: where people log in, no password of a machine is looked at,
 * so nobody there can guess it or keep the machine from its work.
 *
 * <p>Who is not in the engine's database may be in the hospital's directory. Machines and the administrator never are.
 */
final class GuardedIdentityProvider extends DbIdentityServiceProvider {

  private static final Logger DIRECTORY = LoggerFactory.getLogger("directory");

  private final Set<String> machines;
  private final String administrator;
  private final LoginLimit limit;
  private final Optional<Directory> directory;

  private GuardedIdentityProvider(Factory made) {
    this.machines = made.machines();
    this.administrator = made.administrator();
    this.limit = made.limit();
    this.directory = made.directory();
  }

  @Override
  public boolean checkPassword(String userId, String password) {
    var caller = Caller.current();
    if (caller.isEmpty() || userId == null || isInstaller(caller.get())) {
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
    try {
      boolean right = isOfDirectory(userId)
          ? directory.get().accepts(userId, password)
          : super.checkPassword(userId, password);
      if (right) {
        limit.succeeded(caller.address(), userId);
        return true;
      }
    } catch (Directory.AwayException away) {
      DIRECTORY.warn("{}", away.getMessage());
      AuditLog.login(userId, caller, "refused: the directory could not be asked");
      return false;
    }
    limit.failed(caller.address(), userId);
    AuditLog.login(userId, caller, "refused: wrong user or password");
    return false;
  }

  /** Somebody on a host of the site who is logged in already: the installer, which looks after the engine's own users. */
  private boolean isInstaller(Caller caller) {
    return caller.kind() == Caller.Kind.SITE && getCurrentAuthentication() != null;
  }

  /** Whether only the directory can know this user: the engine's own users are asked for in its database alone. */
  private boolean isOfDirectory(String userId) {
    return directory.isPresent()
        && !machines.contains(userId)
        && !administrator.equals(userId)
        && getDbEntityManager().selectById(UserEntity.class, userId) == null;
  }

  @Override
  public List<User> findUserByQueryCriteria(DbUserQueryImpl query) {
    List<User> found = super.findUserByQueryCriteria(query);
    return !found.isEmpty() || !asksById(query) ? found : ofDirectory(query.getId())
        .map(GuardedIdentityProvider::user).stream().toList();
  }

  @Override
  public long findUserCountByQueryCriteria(DbUserQueryImpl query) {
    return asksById(query) ? findUserByQueryCriteria(query).size() : super.findUserCountByQueryCriteria(query);
  }

  @Override
  public List<Group> findGroupByQueryCriteria(DbGroupQueryImpl query) {
    List<Group> found = super.findGroupByQueryCriteria(query);
    return !found.isEmpty() || !asksByMember(query) ? found : ofDirectory(query.getUserId())
        .map(this::groups).orElse(List.of());
  }

  @Override
  public long findGroupCountByQueryCriteria(DbGroupQueryImpl query) {
    return asksByMember(query) ? findGroupByQueryCriteria(query).size() : super.findGroupCountByQueryCriteria(query);
  }

  private static boolean asksById(DbUserQueryImpl query) {
    return query.getId() != null && Stream.of(
            query.getIds(), query.getFirstName(), query.getFirstNameLike(), query.getLastName(), query.getLastNameLike(),
            query.getEmail(), query.getEmailLike(), query.getGroupId(), query.getTenantId())
        .allMatch(Objects::isNull);
  }

  private static boolean asksByMember(DbGroupQueryImpl query) {
    return query.getUserId() != null && Stream.of(
            query.getId(), query.getIds(), query.getName(), query.getNameLike(), query.getType(), query.getTenantId())
        .allMatch(Objects::isNull);
  }

  /** Somebody of the directory, for whoever may know of them: themselves, and who may read users. */
  private Optional<Directory.Person> ofDirectory(String userId) {
    var caller = Caller.current();
    if (caller.isEmpty() || isInstaller(caller.get()) || !isOfDirectory(userId)) {
      return Optional.empty();
    }
    var asks = getCurrentAuthentication();
    if (asks != null && !userId.equals(asks.getUserId())
        && !getAuthorizationManager().isAuthorized(Permissions.READ, Resources.USER, userId)) {
      return Optional.empty();
    }
    try {
      return directory.get().person(userId);
    } catch (Directory.AwayException away) {
      DIRECTORY.warn("{}", away.getMessage());
      throw new ProcessEngineException("The directory could not be asked who the user is.", away);
    }
  }

  private static User user(Directory.Person person) {
    UserEntity user = new UserEntity(person.id());
    user.setFirstName(person.firstName());
    user.setLastName(person.lastName());
    user.setEmail(person.email());
    return user;
  }

  /**
   * The groups of the directory by their names, without those that are called like one of the engine's own: who may
   * name a group in the directory must not become a worker or an administrator by it.
   */
  private List<Group> groups(Directory.Person person) {
    List<String> administrators = Context.getProcessEngineConfiguration().getAdminGroups();
    Stream<String> named = person.groups().stream()
        .filter(id -> !administrators.contains(id) && getDbEntityManager().selectById(GroupEntity.class, id) == null);
    Stream<String> ours = person.administrator() ? administrators.stream() : Stream.empty();
    return Stream.concat(named, ours).map(GuardedIdentityProvider::group).toList();
  }

  private static Group group(String id) {
    GroupEntity group = new GroupEntity(id);
    group.setName(id);
    group.setType("directory");
    return group;
  }

  /** Nobody is locked: who guesses waits, see {@link LoginLimit}. */
  @Override
  protected boolean isUserLocked(UserEntity user) {
    return false;
  }

  @Override
  protected void lockUser(UserEntity user) {}

  /**
   * Makes one for each command; the limit outlives them.
   *
   * @param machines users that log in with a certificate only
   * @param administrator the installer's own user
   */
  record Factory(Set<String> machines, String administrator, LoginLimit limit, Optional<Directory> directory)
      implements SessionFactory {

    @Override
    public Class<?> getSessionType() {
      return GuardedIdentityProvider.class;
    }

    @Override
    public Session openSession() {
      return new GuardedIdentityProvider(this);
    }
  }
}
