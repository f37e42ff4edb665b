package example;

/** No source has a token that lives. The message may be logged. */
public final class NoTokenException extends RuntimeException {
    private final long retryAfterSeconds;

    NoTokenException(String message) {
        this(message, 0);
    }

    /** @param retryAfterSeconds before which the broker need not be asked again; 0 when it did not say. */
    NoTokenException(String message, long retryAfterSeconds) {
        super(message);
        this.retryAfterSeconds = retryAfterSeconds;
    }

    long retryAfterSeconds() {
        return retryAfterSeconds;
    }
}
