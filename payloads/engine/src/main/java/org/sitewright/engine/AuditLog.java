package org.sitewright.engine;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.LinkedHashMap;
import java.util.Map;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** One JSON object a line: who did what, from where, with which result. The journal adds when. Never a query: it may name a patient. */
final class AuditLog {

  private static final Logger LOG = LoggerFactory.getLogger("audit");
  private static final ObjectMapper JSON = new ObjectMapper();

  private AuditLog() {}

  static void login(String user, Caller caller, String result) {
    write(Map.of(), "login", user, caller, result);
  }

  static void access(String user, Caller caller, String method, String path, int status) {
    write(Map.of("method", method, "path", path), "access", user, caller, Integer.toString(status));
  }

  private static void write(Map<String, String> more, String what, String user, Caller caller, String result) {
    Map<String, String> said = new LinkedHashMap<>();
    said.put("audit", what);
    said.put("user", user);
    said.put("from", caller.address());
    said.put("as", caller.kind().name().toLowerCase());
    said.putAll(more);
    said.put("result", result);
    try {
      LOG.info(JSON.writeValueAsString(said));
    } catch (JsonProcessingException impossible) {
      throw new IllegalStateException("a map of strings is not JSON", impossible);
    }
  }
}
