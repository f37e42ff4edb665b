package example;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.Base64;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.lambda.LambdaClient;
import software.amazon.awssdk.services.secretsmanager.SecretsManagerClient;

/** Calls D1 with the broker's token, over mutual TLS. One for the process, shared by its threads: it is the cache. */
public final class D1Client {
    private static final Duration TIMEOUT = Duration.ofSeconds(10);
    private static final double CERTIFICATE_SECONDS = 3600;
    private static final double RETRY_SECONDS = 10;
    private static final char[] NO_PASSWORD = new char[0];
    private static final Logger log = LoggerFactory.getLogger(D1Client.class);

    private final String origin;
    private final SecretsManagerClient secrets;
    private final String certificateSecret;
    private final TokenKeeper tokens;

    private HttpClient http;
    private double httpUntil;

    /** @param brokerFunction null where the broker may not be asked. */
    public D1Client(String origin, String tokenSecret, String certificateSecret, String brokerFunction) {
        this.origin = origin;
        this.certificateSecret = certificateSecret;
        this.secrets = SecretsManagerClient.create();
        LambdaClient lambda = brokerFunction == null ? null : LambdaClient.create();
        this.tokens = new TokenKeeper(secrets, lambda, tokenSecret, brokerFunction);
    }

    /** A 401 is tried again, once, if there is another token. */
    public HttpResponse<String> get(String path) throws IOException, InterruptedException {
        if (!path.startsWith("/")) {
            throw new IllegalArgumentException("the path must begin with a slash: the token is for this origin only");
        }
        Token token = tokens.token();
        HttpResponse<String> response = send(path, token);
        if (response.statusCode() != 401) {
            return response;
        }
        Token replacement = tokens.replacementOf(token);
        return replacement == null ? response : send(path, replacement);
    }

    private HttpResponse<String> send(String path, Token token) throws IOException, InterruptedException {
        HttpRequest request = HttpRequest.newBuilder(URI.create(origin + path))
                .header("Authorization", "Bearer " + token.text())
                .timeout(TIMEOUT)
                .build();
        return mutualTls().send(request, HttpResponse.BodyHandlers.ofString());
    }

    /** Shows the client certificate, which is read every hour, so a renewal needs no restart. */
    private synchronized HttpClient mutualTls() {
        double now = System.nanoTime() / 1e9;
        if (http != null && now < httpUntil) {
            return http;
        }
        try {
            String text = secrets.getSecretValue(request -> request.secretId(certificateSecret)).secretString();
            // No redirects, which is the default: they would take the token along, wherever they lead.
            http = HttpClient.newBuilder().sslContext(sslContext(Token.json(text))).connectTimeout(TIMEOUT).build();
            httpUntil = now + CERTIFICATE_SECONDS;
        } catch (SdkException failure) {
            if (http == null) {
                throw failure;
            }
            log.warn("the client certificate was not read again: {}", failure.getMessage());
            httpUntil = now + TokenKeeper.jittered(RETRY_SECONDS);
        }
        return http;
    }

    private static SSLContext sslContext(JsonNode secret) {
        try {
            Certificate[] chain = certificates(secret.path("certificate").asText());
            KeyStore own = emptyStore();
            own.setKeyEntry("d1", privateKey(secret, chain[0].getPublicKey().getAlgorithm()), NO_PASSWORD, chain);
            KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
            keys.init(own, NO_PASSWORD);
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(keys.getKeyManagers(), trusted(secret).getTrustManagers(), null);
            return context;
        } catch (GeneralSecurityException | IOException | IllegalArgumentException | IndexOutOfBoundsException unusable) {
            // Without its cause, which may quote the key.
            throw new IllegalStateException("the client certificate's secret cannot be used: "
                    + unusable.getClass().getSimpleName() + "; Java reads a private key in PKCS#8 only");
        }
    }

    /** The JDK reads PKCS#8 only ("BEGIN PRIVATE KEY"): `openssl pkcs8 -topk8 -nocrypt` makes it of other forms. */
    private static PrivateKey privateKey(JsonNode secret, String algorithm) throws GeneralSecurityException {
        String base64 = secret.path("private_key").asText().replaceAll("-----(BEGIN|END) PRIVATE KEY-----", "");
        byte[] pkcs8 = Base64.getMimeDecoder().decode(base64);
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(pkcs8));
    }

    /** The secret's `ca_bundle` where it has one, else the JDK's own roots. */
    private static TrustManagerFactory trusted(JsonNode secret) throws GeneralSecurityException, IOException {
        TrustManagerFactory trusted = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        KeyStore roots = null;
        if (secret.hasNonNull("ca_bundle")) {
            roots = emptyStore();
            for (Certificate root : certificates(secret.path("ca_bundle").asText())) {
                roots.setCertificateEntry("root-" + roots.size(), root);
            }
        }
        trusted.init(roots);
        return trusted;
    }

    private static KeyStore emptyStore() throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, NO_PASSWORD);
        return store;
    }

    private static Certificate[] certificates(String pem) throws GeneralSecurityException {
        var stream = new ByteArrayInputStream(pem.getBytes(StandardCharsets.US_ASCII));
        return CertificateFactory.getInstance("X.509").generateCertificates(stream).toArray(new Certificate[0]);
    }
}
