package org.sitewright.engine;

import jakarta.servlet.http.HttpServletRequest;
import java.util.Optional;

/**
 * Who asks, for as long as the request is worked on: the address, and whether it came in where people do.
 *
 * <p>The gateway says which of its clients proved themselves with a certificate of the site, and replaces what a client
 * says of itself. A request without its word did not come through the gateway: it is from a host of the site.
 *
 * @param address of the client, as the gateway saw it
 * @param kind where it came in
 */
record Caller(String address, Kind kind) {

  /** Header that the gateway sets on every request. */
  static final String HEADER = "X-Client-Kind";

  private static final ThreadLocal<Caller> CURRENT = new ThreadLocal<>();

  enum Kind {
    /** Through the gateway, without a certificate of the site. */
    PERSON,
    /** Through the gateway, with one. */
    MACHINE,
    /** From a host of the site, past the gateway. */
    SITE
  }

  static Caller of(HttpServletRequest request) {
    String said = request.getHeader(HEADER);
    Kind kind = said == null ? Kind.SITE : said.equals("machine") ? Kind.MACHINE : Kind.PERSON;
    return new Caller(request.getRemoteAddr(), kind);
  }

  /** Empty on threads that work for nobody outside, the job executor's above all. */
  static Optional<Caller> current() {
    return Optional.ofNullable(CURRENT.get());
  }

  void enter() {
    CURRENT.set(this);
  }

  static void leave() {
    CURRENT.remove();
  }
}
