package example;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.services.lambda.LambdaClient;
import software.amazon.awssdk.services.secretsmanager.SecretsManagerClient;

/** The one token of a process: kept while it lives, replaced ahead of its end, and replaced when D1 refuses it. */
final class TokenKeeper {
    /** With less left, the caller waits for a better token, and gets this one if there is none. */
    private static final long MIN_REMAINING_SECONDS = 30;
    /** The broker has the next token 240-300 s ahead. */
    private static final long REFRESH_AHEAD_SECONDS = 180;
    private static final long RETRY_SECONDS = 10;
    /** D1 does not refuse a token this young because it is old: another would not help. */
    private static final long YOUNG_SECONDS = 60;
    private static final Duration READ_TIMEOUT = Duration.ofSeconds(10);
    /** The broker may have to ask D1 first. */
    private static final Duration BROKER_TIMEOUT = Duration.ofSeconds(30);

    private static final Pattern RETRY_AFTER = Pattern.compile("\\bretry_after_seconds=(\\d+)");
    private static final Logger log = LoggerFactory.getLogger(TokenKeeper.class);

    private final SecretsManagerClient secrets;
    private final LambdaClient lambda;
    private final String secretId;
    private final String brokerFunction;

    // Guarded by this. Times are in seconds on AWS's clock.
    private double clockOffset;
    private Token held;
    private double lookAt;
    private CompletableFuture<Token> looking;
    private Token refused;
    private double searchAt;
    private CompletableFuture<Token> searching;

    /** @param brokerFunction null where the broker may not be asked. */
    TokenKeeper(SecretsManagerClient secrets, LambdaClient lambda, String secretId, String brokerFunction) {
        this.secrets = secrets;
        this.lambda = lambda;
        this.secretId = secretId;
        this.brokerFunction = brokerFunction;
    }

    /** The token in memory until it is due; then one caller looks for the next. */
    Token token() {
        CompletableFuture<Token> shared;
        boolean mine;
        synchronized (this) {
            boolean fresh = secondsLeft() > 0 && now() < lookAt;
            // While somebody looks, the others go on with a token that lives.
            if (fresh || (looking != null && secondsLeft() > MIN_REMAINING_SECONDS)) {
                return held;
            }
            mine = looking == null;
            if (mine) {
                looking = new CompletableFuture<>();
            }
            shared = looking;
        }
        if (mine) {
            finish(shared, this::look, () -> looking = null);
        }
        return result(shared);
    }

    /** A token newer than every refused one; or null, and then the 401 stands. */
    Token replacementOf(Token token) {
        CompletableFuture<Token> shared;
        boolean mine;
        synchronized (this) {
            if (refused == null || token.obtainedAt() >= refused.obtainedAt()) {
                refused = token;
            }
            if (!isRefused(held)) {
                return held;
            }
            mine = searching == null;
            if (mine && now() < searchAt) {
                return null;
            }
            if (mine) {
                searching = new CompletableFuture<>();
            }
            shared = searching;
        }
        if (mine) {
            finish(shared, this::search, () -> searching = null);
        }
        return result(shared);
    }

    /** Asks the secret, then the broker. A failure costs nothing while a token lives. */
    private Token look() {
        Token before = current();
        RuntimeException failure = keepFrom(this::readSecret);
        if (brokerFunction != null && isShort()) {
            RuntimeException second = keepFrom(() -> askBroker(null));
            failure = second == null ? failure : second;
        }
        synchronized (this) {
            if (held == before) {
                lookAt = now() + jittered(RETRY_SECONDS);
            }
            if (secondsLeft() > 0) {
                return held;
            }
        }
        throw failure == null
                ? new NoTokenException("the newest token has expired: look at the broker's alarms")
                : failure;
    }

    private Token search() {
        double wait = jittered(RETRY_SECONDS);
        keepFrom(this::readSecret);
        if (brokerFunction != null && unrefused() == null) {
            RuntimeException failure = keepFrom(() -> askBroker(newestRefused()));
            if (failure instanceof NoTokenException told && told.retryAfterSeconds() > 0) {
                wait = told.retryAfterSeconds();
            } else if (unrefused() != null) {
                wait = YOUNG_SECONDS;
            }
        }
        synchronized (this) {
            searchAt = now() + wait;
            if (!isRefused(held)) {
                return held;
            }
            // The secret is read again meanwhile: somebody else's 401 may have brought a new token.
            lookAt = Math.min(lookAt, now() + jittered(RETRY_SECONDS));
            return null;
        }
    }

    /** Keeps the better of two tokens: not refused, then longer-lived. Returns why there was nothing to keep. */
    private RuntimeException keepFrom(Supplier<Token> source) {
        Token found;
        try {
            found = source.get();
        } catch (NoTokenException | SdkException failure) {
            log.warn("no token: {}", failure.getMessage());
            return failure;
        }
        synchronized (this) {
            if (held == null || isBetter(found, held)) {
                held = found;
                lookAt = found.expiresAt() - REFRESH_AHEAD_SECONDS * ThreadLocalRandom.current().nextDouble(0.75, 1);
            }
        }
        return null;
    }

    private boolean isBetter(Token one, Token other) {
        return isRefused(one) == isRefused(other) ? one.expiresAt() > other.expiresAt() : isRefused(other);
    }

    /** By its text too: D1 may give the same token again, and that is obtained later. */
    private boolean isRefused(Token token) {
        return refused != null
                && (token.obtainedAt() <= refused.obtainedAt() || token.text().equals(refused.text()));
    }

    private Token readSecret() {
        var secret = secrets.getSecretValue(request -> request
                .secretId(secretId)
                .overrideConfiguration(options -> options.apiCallTimeout(READ_TIMEOUT)));
        // expires_at is counted on AWS's clock, and every answer tells its time to the second.
        secret.sdkHttpResponse().firstMatchingHeader("Date").ifPresent(this::setClock);
        return Token.parse(secret.secretString());
    }

    private synchronized void setClock(String date) {
        Instant there = ZonedDateTime.parse(date, DateTimeFormatter.RFC_1123_DATE_TIME).toInstant();
        clockOffset = Duration.between(Instant.now(), there).toMillis() / 1000.0;
    }

    private Token askBroker(Token refused) {
        ObjectNode event = new ObjectMapper().createObjectNode();
        event.put("action", "token").put("min_remaining_seconds", MIN_REMAINING_SECONDS);
        if (refused != null) {
            event.put("newer_than", refused.obtainedAt()).put("refused", digest(refused));
        }
        var answer = lambda.invoke(request -> request
                .functionName(brokerFunction)
                .payload(SdkBytes.fromUtf8String(event.toString()))
                .overrideConfiguration(options -> options.apiCallTimeout(BROKER_TIMEOUT)));
        String payload = answer.payload().asUtf8String();
        if (answer.functionError() == null) {
            return Token.parse(payload);
        }
        JsonNode error = Token.json(payload);
        Matcher named = RETRY_AFTER.matcher(error.path("errorMessage").asText());
        long retryAfterSeconds = named.find() ? Math.min(Long.parseLong(named.group(1)), 60) : 0;
        throw new NoTokenException("the broker answered with " + error.path("errorType").asText(), retryAfterSeconds);
    }

    private static String digest(Token token) {
        try {
            byte[] hash = MessageDigest.getInstance("SHA-256").digest(token.text().getBytes(StandardCharsets.UTF_8));
            return HexFormat.of().formatHex(hash).substring(0, 16);
        } catch (NoSuchAlgorithmException impossible) {
            throw new AssertionError(impossible);
        }
    }

    /** Whatever comes of it, the next caller may begin anew, and nobody waits for ever. */
    private void finish(CompletableFuture<Token> shared, Supplier<Token> work, Runnable forget) {
        try {
            shared.complete(work.get());
        } catch (Throwable failure) {
            shared.completeExceptionally(failure);
        } finally {
            synchronized (this) {
                forget.run();
            }
        }
    }

    private static Token result(CompletableFuture<Token> shared) {
        try {
            return shared.join();
        } catch (CompletionException wrapped) {
            throw wrapped.getCause() instanceof RuntimeException failure ? failure : wrapped;
        }
    }

    private synchronized Token current() {
        return held;
    }

    private synchronized Token newestRefused() {
        return refused;
    }

    private synchronized Token unrefused() {
        return held == null || isRefused(held) ? null : held;
    }

    private synchronized boolean isShort() {
        return secondsLeft() <= MIN_REMAINING_SECONDS;
    }

    private double now() {
        return System.currentTimeMillis() / 1000.0 + clockOffset;
    }

    private double secondsLeft() {
        return held == null ? 0 : held.expiresAt() - now();
    }

    static double jittered(double seconds) {
        return seconds * ThreadLocalRandom.current().nextDouble(0.5, 1.5);
    }
}
