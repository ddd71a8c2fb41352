package org.sitewright.engine;

import jakarta.servlet.Filter;
import org.operaton.bpm.engine.rest.security.auth.ProcessEngineAuthenticationFilter;
import org.operaton.bpm.engine.rest.security.auth.impl.HttpBasicAuthenticationProvider;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;

/**
 * Operaton's REST API and web applications in one process. All settings come from the configuration
 * file named on the command line; nothing is deployed, no user is made and no origin is allowed here.
 */
@SpringBootApplication(proxyBeanMethods = false)
public class EngineApplication {

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
    registration.addUrlPatterns("/engine-rest/*", "/actuator/prometheus", "/actuator/metrics/*");
    registration.addInitParameter(
        ProcessEngineAuthenticationFilter.AUTHENTICATION_PROVIDER_PARAM,
        HttpBasicAuthenticationProvider.class.getName());
    return registration;
  }
}
