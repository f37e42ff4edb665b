package example;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.regex.Pattern;

/** Times are in seconds since 1970. */
record Token(String text, long expiresAt, long obtainedAt) {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Pattern VISIBLE = Pattern.compile("[!-~]+");

    /** Reads a record: the secret's text, or the broker's answer. */
    static Token parse(String text) {
        JsonNode token = json(text);
        boolean good = token.path("schema_version").asInt() == 1
                && token.path("access_token").isTextual()
                && VISIBLE.matcher(token.path("access_token").textValue()).matches()
                && token.path("expires_at").isIntegralNumber()
                && token.path("obtained_at").isIntegralNumber();
        if (!good) {
            throw new NoTokenException("what should be a token record is none");
        }
        return new Token(
                token.path("access_token").textValue(),
                token.path("expires_at").longValue(),
                token.path("obtained_at").longValue());
    }

    /** A missing node for what is no JSON: the parser's own error quotes the text, and that is a secret. */
    static JsonNode json(String text) {
        try {
            return JSON.readTree(text == null ? "" : text);
        } catch (JsonProcessingException quoting) {
            return JSON.missingNode();
        }
    }

    /** A record would print its fields. */
    @Override
    public String toString() {
        return "Token[expiresAt=" + expiresAt + "]";
    }
}
