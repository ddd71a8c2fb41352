package org.sitewright.engine;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Map;
import java.util.concurrent.atomic.AtomicReference;
import javax.net.SocketFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import javax.net.ssl.TrustManagerFactory;

/**
 * TLS connections to the hospital's directory: to the addresses the inventory names, nobody asked for a name; believed
 * by the directory's own authority alone, and by the name in the certificate.
 *
 * <p>The JDK's LDAP client takes the name of a class and asks its {@link #getDefault()}, hence the one that is current.
 */
public final class DirectorySockets extends SocketFactory {

  private static final AtomicReference<DirectorySockets> CURRENT = new AtomicReference<>();

  private final SSLSocketFactory secure;
  private final Map<String, String> addresses;
  private final int timeout;

  private DirectorySockets(SSLSocketFactory secure, Map<String, String> addresses, int timeout) {
    this.secure = secure;
    this.addresses = addresses;
    this.timeout = timeout;
  }

  /**
   * From now on the LDAP client's connections are made here.
   *
   * @param authority file with the certificates of those who sign the directory's, PEM
   * @param addresses of the servers, by name
   * @param timeout for the connection, for its TLS, and for each answer, in milliseconds
   * @throws IllegalStateException when the file holds no certificate
   */
  static void use(Path authority, Map<String, String> addresses, int timeout) {
    try (InputStream pem = Files.newInputStream(authority)) {
      KeyStore trusted = KeyStore.getInstance(KeyStore.getDefaultType());
      trusted.load(null, null);
      for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(pem)) {
        trusted.setCertificateEntry("directory-" + trusted.size(), each);
      }
      TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      trust.init(trusted);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(null, trust.getTrustManagers(), null);
      CURRENT.set(new DirectorySockets(context.getSocketFactory(), Map.copyOf(addresses), timeout));
    } catch (IOException | GeneralSecurityException wrong) {
      throw new IllegalStateException(authority + " holds no certificate the directory's can be proven by", wrong);
    }
  }

  /** Asked for by the JDK's LDAP client, by name. */
  public static SocketFactory getDefault() {
    return CURRENT.get();
  }

  @Override
  public Socket createSocket(String name, int port) throws IOException {
    String address = addresses.get(name);
    if (address == null) {
      throw new IOException(name + " is no server of the directory");
    }
    Socket plain = new Socket();
    try {
      plain.connect(new InetSocketAddress(InetAddress.getByName(address), port), timeout);
      plain.setSoTimeout(timeout); // of every read to come: a server that hangs takes a thread no longer than that
      SSLSocket socket = (SSLSocket) secure.createSocket(plain, name, port, true);
      var parameters = socket.getSSLParameters();
      parameters.setEndpointIdentificationAlgorithm("LDAPS");
      parameters.setProtocols(new String[] {"TLSv1.3", "TLSv1.2"});
      socket.setSSLParameters(parameters);
      socket.startHandshake();
      return socket;
    } catch (IOException | RuntimeException failed) {
      plain.close();
      throw failed;
    }
  }

  @Override
  public Socket createSocket(String name, int port, InetAddress here, int herePort) throws IOException {
    return createSocket(name, port);
  }

  @Override
  public Socket createSocket(InetAddress address, int port) throws IOException {
    throw new IOException("a directory without a name cannot be proven");
  }

  @Override
  public Socket createSocket(InetAddress address, int port, InetAddress here, int herePort) throws IOException {
    return createSocket(address, port);
  }
}
