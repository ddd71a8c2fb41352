package org.sitewright.engine;

import java.util.Map;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.endpoint.annotation.ReadOperation;

/** Whether the hospital's directory answers this engine. No part of its health: without it machines work on. */
@Endpoint(id = "directory")
final class DirectoryEndpoint {

  private final Directory directory;

  DirectoryEndpoint(Directory directory) {
    this.directory = directory;
  }

  @ReadOperation
  public Map<String, Object> answer() {
    try {
      directory.probe();
      return Map.of("answers", true, "said", "");
    } catch (Directory.AwayException away) {
      return Map.of("answers", false, "said", String.valueOf(away.getMessage()));
    }
  }
}
