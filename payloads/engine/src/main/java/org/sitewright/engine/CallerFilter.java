package org.sitewright.engine;

import jakarta.servlet.FilterChain;
import jakarta.servlet.ServletException;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.operaton.bpm.webapp.impl.security.auth.Authentication;
import org.operaton.bpm.webapp.impl.security.auth.AuthenticationUtil;
import org.operaton.bpm.webapp.impl.security.auth.Authentications;
import org.springframework.web.filter.OncePerRequestFilter;

/** Notes who asks before anybody else looks at a request, and afterwards which record a person has opened. */
final class CallerFilter extends OncePerRequestFilter {

  private static final String BASIC = "Basic ";

  @Override
  protected void doFilterInternal(HttpServletRequest request, HttpServletResponse response, FilterChain chain)
      throws ServletException, IOException {
    Caller caller = Caller.of(request);
    caller.enter();
    try {
      chain.doFilter(request, response);
    } finally {
      Caller.leave();
    }
    if (caller.kind() == Caller.Kind.PERSON && isRecord(request.getRequestURI())) {
      AuditLog.access(user(request), caller, request.getMethod(), request.getRequestURI(), response.getStatus());
    }
  }

  /** What the web applications and the REST API know of processes; neither pages nor pictures. */
  private static boolean isRecord(String path) {
    return path.startsWith("/engine-rest/") || path.startsWith("/operaton/api/");
  }

  /** The user of the web session, or of the request itself; nobody where there is neither. */
  private static String user(HttpServletRequest request) {
    var session = request.getSession(false);
    Authentications known = session == null ? null : AuthenticationUtil.getAuthsFromSession(session);
    if (known != null && !known.getAuthentications().isEmpty()) {
      Authentication first = known.getAuthentications().get(0);
      return first.getIdentityId();
    }
    String login = request.getHeader("Authorization");
    if (login == null || !login.startsWith(BASIC)) {
      return "";
    }
    try {
      byte[] pair = Base64.getDecoder().decode(login.substring(BASIC.length()));
      return new String(pair, StandardCharsets.UTF_8).split(":", 2)[0];
    } catch (IllegalArgumentException notBase64) {
      return "";
    }
  }
}
