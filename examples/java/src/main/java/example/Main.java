package example;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URLEncoder;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

/** Asks D1 for the issuer on each line of standard input, all at once. */
public final class Main {
    public static void main(String[] arguments) throws IOException, InterruptedException {
        Map<String, String> environment = System.getenv();
        D1Client d1 = new D1Client(
                environment.getOrDefault("D1_API_ORIGIN", "https://api.d1.thalescloud.io"),
                environment.get("D1_TOKEN_SECRET_ID"),
                environment.get("D1_CLIENT_CERTIFICATE_SECRET_ID"),
                environment.get("D1_BROKER_FUNCTION_NAME"));
        ExecutorService callers = Executors.newFixedThreadPool(32);
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String issuerId = line;
            callers.execute(() -> System.out.println(issuerId + ": " + status(d1, issuerId)));
        }
        callers.shutdown();
        callers.awaitTermination(1, TimeUnit.MINUTES);
    }

    private static String status(D1Client d1, String issuerId) {
        try {
            String path = "/banking/v1/issuers/" + URLEncoder.encode(issuerId, StandardCharsets.UTF_8);
            HttpResponse<String> response = d1.get(path);
            return response.statusCode() == 200
                    ? Token.json(response.body()).path("status").asText()
                    : "D1 answered " + response.statusCode();
        } catch (IOException | InterruptedException | RuntimeException failure) {
            return "failed: " + failure.getMessage();
        }
    }

    private Main() {}
}
