package org.sitewright.engine;

import jakarta.servlet.Filter;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.operaton.bpm.engine.impl.cfg.AbstractProcessEnginePlugin;
import org.operaton.bpm.engine.impl.cfg.ProcessEngineConfigurationImpl;
import org.operaton.bpm.engine.impl.cfg.ProcessEnginePlugin;
import org.operaton.bpm.engine.rest.security.auth.ProcessEngineAuthenticationFilter;
import org.operaton.bpm.engine.rest.security.auth.impl.HttpBasicAuthenticationProvider;
import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.core.Ordered;
import org.springframework.core.env.Environment;

/**
 * Operaton's REST API and web applications in one process. All settings come from the configuration
 * file named on the command line; nothing is deployed, no user is made and no origin is allowed here.
 */
@SpringBootApplication(proxyBeanMethods = false)
public class EngineApplication {

  private static final String DIRECTORY = "sitewright.directory.";

  public static void main(String[] arguments) {
    SpringApplication.run(EngineApplication.class, arguments);
  }

  /**
   * The REST API wants a password for everything but the list of engine names, which the filter
   * itself leaves open; the metrics tell too much to be open either.
   */
  @Bean
  FilterRegistrationBean<Filter> basicAuthentication() {
    FilterRegistrationBean<Filter> registration = new FilterRegistrationBean<>(new ProcessEngineAuthenticationFilter());
    registration.setName("basic-authentication");
    registration.addUrlPatterns("/engine-rest/*", "/actuator/prometheus", "/actuator/metrics/*", "/actuator/directory");
    registration.addInitParameter(
        ProcessEngineAuthenticationFilter.AUTHENTICATION_PROVIDER_PARAM,
        HttpBasicAuthenticationProvider.class.getName());
    return registration;
  }

  /** Before every other filter, so that whoever looks at a password knows who asks. */
  @Bean
  FilterRegistrationBean<CallerFilter> caller() {
    FilterRegistrationBean<CallerFilter> registration = new FilterRegistrationBean<>(new CallerFilter());
    registration.setName("caller");
    registration.addUrlPatterns("/*");
    registration.setOrder(Ordered.HIGHEST_PRECEDENCE);
    return registration;
  }

  /** The hospital's directory, when the inventory names one. */
  @Bean
  @ConditionalOnProperty("sitewright.directory.servers")
  Directory directory(Environment said) {
    Map<String, String> addresses = new LinkedHashMap<>();
    for (String server : said.getRequiredProperty(DIRECTORY + "servers", String[].class)) {
      String[] pair = server.split("=", 2);
      addresses.put(pair[0], pair[1]);
    }
    DirectorySockets.use(Path.of(said.getRequiredProperty(DIRECTORY + "authority")), addresses, Directory.TIMEOUT);
    var settings = new Directory.Settings(
        List.copyOf(addresses.keySet()),
        said.getRequiredProperty(DIRECTORY + "port", Integer.class),
        said.getRequiredProperty(DIRECTORY + "base"),
        said.getRequiredProperty(DIRECTORY + "user-attribute"),
        said.getRequiredProperty(DIRECTORY + "group-base"),
        said.getRequiredProperty(DIRECTORY + "bind-dn"),
        said.getRequiredProperty(DIRECTORY + "bind-password"),
        said.getProperty(DIRECTORY + "admin-group", ""));
    return new Directory(settings, System::nanoTime);
  }

  @Bean
  @ConditionalOnProperty("sitewright.directory.servers")
  DirectoryEndpoint directoryEndpoint(Directory directory) {
    return new DirectoryEndpoint(directory);
  }

  /** Users whose passwords are looked at only where machines log in, and a limit of guesses that locks nobody. */
  @Bean
  ProcessEnginePlugin guardedIdentity(
      @Value("${sitewright.machine-users:}") Set<String> machines,
      @Value("${operaton.bpm.admin-user.id:}") String administrator,
      Optional<Directory> directory) {
    var limit = new LoginLimit(System::nanoTime);
    var factory = new GuardedIdentityProvider.Factory(Set.copyOf(machines), administrator, limit, directory);
    return new AbstractProcessEnginePlugin() {
      @Override
      public void preInit(ProcessEngineConfigurationImpl configuration) {
        configuration.setIdentityProviderSessionFactory(factory);
      }
    };
  }
}
