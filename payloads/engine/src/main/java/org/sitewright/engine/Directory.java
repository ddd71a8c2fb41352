package org.sitewright.engine;

import java.util.ArrayList;
import java.util.Hashtable;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import javax.naming.AuthenticationException;
import javax.naming.Context;
import javax.naming.InvalidNameException;
import javax.naming.NamingException;
import javax.naming.NoPermissionException;
import javax.naming.OperationNotSupportedException;
import javax.naming.PartialResultException;
import javax.naming.directory.Attribute;
import javax.naming.directory.Attributes;
import javax.naming.directory.DirContext;
import javax.naming.directory.SearchControls;
import javax.naming.directory.SearchResult;
import javax.naming.ldap.InitialLdapContext;
import javax.naming.ldap.LdapName;

/**
 * The hospital's directory, asked by LDAP over TLS who somebody is and whether a password is right.
 *
 * <p>At most {@link #AT_ONCE} requests wait for it, so that one that hangs takes neither the engine's threads nor its
 * connections to the database. No referral is followed.
 */
final class Directory {

  /** Requests that may wait for the directory at the same time. */
  static final int AT_ONCE = 4;
  /** For a connection, for its TLS, and for each answer, in milliseconds. */
  static final int TIMEOUT = 3000;
  private static final int WAIT_FOR_TURN = 250;
  private static final int LONGEST_ID = 128;
  private static final long REMEMBERED = TimeUnit.SECONDS.toNanos(60);
  private static final int MOST_REMEMBERED = 1000;

  private final Settings settings;
  private final LongSupplier nanoseconds;
  private final Semaphore turns = new Semaphore(AT_ONCE);
  private final Map<String, Remembered> remembered = new LinkedHashMap<>() {
    private static final long serialVersionUID = 1;

    @Override
    protected boolean removeEldestEntry(Map.Entry<String, Remembered> eldest) {
      return size() > MOST_REMEMBERED;
    }
  };

  /**
   * How the directory is reached and read.
   *
   * @param servers names, as in their certificates, asked in this order
   * @param port of LDAP over TLS
   * @param base below which people are
   * @param userAttribute what people log in with
   * @param groupBase below which groups are
   * @param bindDn who looks people up
   * @param bindPassword of that user
   * @param adminGroup whose members are administrators; empty for nobody
   */
  record Settings(
      List<String> servers,
      int port,
      String base,
      String userAttribute,
      String groupBase,
      String bindDn,
      String bindPassword,
      String adminGroup) {}

  /**
   * Somebody of the directory.
   *
   * @param id what they log in with
   * @param groups common names of their groups
   * @param administrator whether one of them is the administrators'
   */
  record Person(String id, String firstName, String lastName, String email, Set<String> groups, boolean administrator) {}

  /** It could not be asked; says why in an operator's words. */
  static final class AwayException extends Exception {
    private static final long serialVersionUID = 1;

    AwayException(String why, Throwable cause) {
      super(why, cause);
    }
  }

  private record Remembered(Person person, long when) {}

  private record Found(String dn, Person person) {}

  @FunctionalInterface
  private interface Question<T> {
    T ask(DirContext directory) throws NamingException, AwayException;
  }

  /** @param nanoseconds a clock that never goes back */
  Directory(Settings settings, LongSupplier nanoseconds) {
    this.settings = settings;
    this.nanoseconds = nanoseconds;
  }

  /**
   * Whether somebody has this password.
   *
   * @throws AwayException when the directory cannot be asked
   */
  boolean accepts(String id, String password) throws AwayException {
    if (password == null || password.isEmpty()) { // LDAP takes an empty one as a login of nobody, and lets it in
      return false;
    }
    Optional<Found> known = asked(directory -> {
      Optional<Found> found = find(directory, id);
      return found.isPresent() && isPassword(found.get().dn(), password) ? found : Optional.empty();
    });
    known.ifPresent(found -> remember(found.person()));
    return known.isPresent();
  }

  /**
   * Who somebody is, as of a minute ago at most.
   *
   * @throws AwayException when the directory cannot be asked
   */
  Optional<Person> person(String id) throws AwayException {
    synchronized (remembered) {
      Remembered known = remembered.get(id);
      if (known != null && nanoseconds.getAsLong() - known.when() < REMEMBERED) {
        return Optional.of(known.person());
      }
    }
    Optional<Person> person = asked(directory -> find(directory, id)).map(Found::person);
    person.ifPresent(this::remember);
    return person;
  }

  /**
   * Log in as who looks people up, and see that the place is there where people are.
   *
   * @throws AwayException when that does not work
   */
  void probe() throws AwayException {
    asked(directory -> directory.getAttributes(new LdapName(settings.base()), new String[] {"objectClass"}));
  }

  private <T> T asked(Question<T> question) throws AwayException {
    try {
      if (!turns.tryAcquire(WAIT_FOR_TURN, TimeUnit.MILLISECONDS)) {
        throw new AwayException(AT_ONCE + " others wait for the directory already", null);
      }
    } catch (InterruptedException stopping) {
      Thread.currentThread().interrupt();
      throw new AwayException("the engine stops", stopping);
    }
    try {
      return asLooksUp(question);
    } finally {
      turns.release();
    }
  }

  private <T> T asLooksUp(Question<T> question) throws AwayException {
    DirContext directory = null;
    try {
      directory = login(settings.bindDn(), settings.bindPassword());
      return question.ask(directory);
    } catch (AuthenticationException refused) {
      throw new AwayException("the directory refuses its bind user: " + words(refused), refused);
    } catch (NamingException away) {
      throw new AwayException(words(away), away);
    } finally {
      close(directory);
    }
  }

  /** Nobody, where the directory has several, or spells the name another way: each would be a user of its own here. */
  private Optional<Found> find(DirContext directory, String id) throws NamingException {
    if (id.isEmpty() || id.length() > LONGEST_ID) {
      return Optional.empty();
    }
    String[] wanted = {settings.userAttribute(), "givenName", "sn", "mail"};
    List<SearchResult> found =
        search(directory, settings.base(), "(" + settings.userAttribute() + "={0})", id, wanted);
    if (found.size() != 1 || !id.equals(text(found.get(0).getAttributes(), settings.userAttribute()))) {
      return Optional.empty();
    }
    String dn = found.get(0).getNameInNamespace();
    Attributes said = found.get(0).getAttributes();
    Set<String> groups = new LinkedHashSet<>();
    boolean administrator = false;
    for (SearchResult group :
        search(directory, settings.groupBase(), "(|(member={0})(uniqueMember={0}))", dn, new String[] {"cn"})) {
      groups.add(text(group.getAttributes(), "cn"));
      administrator |= isAdminGroup(group.getNameInNamespace());
    }
    groups.remove("");
    return Optional.of(
        new Found(
            dn, new Person(id, text(said, "givenName"), text(said, "sn"), text(said, "mail"), groups, administrator)));
  }

  private boolean isAdminGroup(String dn) throws InvalidNameException {
    return !settings.adminGroup().isEmpty() && new LdapName(dn).equals(new LdapName(settings.adminGroup()));
  }

  private boolean isPassword(String dn, String password) throws NamingException {
    DirContext person = null;
    try {
      person = login(dn, password);
      return true;
    } catch (AuthenticationException | NoPermissionException | OperationNotSupportedException refused) {
      return false;
    } finally {
      close(person);
    }
  }

  private DirContext login(String dn, String password) throws NamingException {
    Hashtable<String, String> how = new Hashtable<>();
    how.put(Context.INITIAL_CONTEXT_FACTORY, "com.sun.jndi.ldap.LdapCtxFactory");
    how.put(
        Context.PROVIDER_URL,
        settings.servers().stream()
            .map(server -> "ldaps://" + server + ":" + settings.port())
            .collect(Collectors.joining(" ")));
    how.put("java.naming.ldap.factory.socket", DirectorySockets.class.getName());
    how.put("com.sun.jndi.ldap.read.timeout", Integer.toString(TIMEOUT));
    how.put(Context.REFERRAL, "ignore");
    how.put(Context.SECURITY_AUTHENTICATION, "simple");
    how.put(Context.SECURITY_PRINCIPAL, dn);
    how.put(Context.SECURITY_CREDENTIALS, password);
    return new InitialLdapContext(how, null);
  }

  /** The client itself escapes what stands for {@code {0}}. */
  private static List<SearchResult> search(
      DirContext directory, String base, String filter, String value, String[] wanted) throws NamingException {
    SearchControls how = new SearchControls();
    how.setSearchScope(SearchControls.SUBTREE_SCOPE);
    how.setReturningAttributes(wanted);
    how.setTimeLimit(TIMEOUT);
    List<SearchResult> found = new ArrayList<>();
    var results = directory.search(new LdapName(base), filter, new Object[] {value}, how);
    try {
      while (results.hasMore()) {
        found.add(results.next());
      }
    } catch (PartialResultException referral) {
      // The rest is in another directory, which was not asked for.
    } finally {
      results.close();
    }
    return found;
  }

  private static String text(Attributes attributes, String name) throws NamingException {
    Attribute attribute = attributes.get(name);
    return attribute != null && attribute.get() instanceof String text ? text : "";
  }

  private void remember(Person person) {
    synchronized (remembered) {
      remembered.remove(person.id()); // so that it becomes the youngest
      remembered.put(person.id(), new Remembered(person, nanoseconds.getAsLong()));
    }
  }

  /** What happened, with the cause that tells a certificate from a cable. */
  private static String words(Throwable error) {
    Throwable cause = error;
    while (cause.getCause() != null && cause.getCause() != cause) {
      cause = cause.getCause();
    }
    return error.getMessage() + (cause == error ? "" : " (" + cause.getMessage() + ")");
  }

  private static void close(DirContext directory) {
    if (directory != null) {
      try {
        directory.close();
      } catch (NamingException gone) {
        // What is gone needs no goodbye.
      }
    }
  }
}
