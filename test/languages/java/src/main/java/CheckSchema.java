import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** Whether JSON Schema in Java says of each record what its case says: CheckSchema SCHEMA RECORDS */
final class CheckSchema {
    public static void main(String[] arguments) throws IOException {
        Schema schema = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_2020_12)
                .getSchema(Files.readString(Path.of(arguments[0])));
        JsonNode records = new ObjectMapper().readTree(Files.readString(Path.of(arguments[1])));
        ObjectNode good = (ObjectNode) records.get("record");
        if (records.get("cases").isEmpty() || !schema.validate(good).isEmpty()) {
            throw new AssertionError("the schema refuses the good record, or there is no case");
        }
        for (JsonNode one : records.get("cases")) {
            ObjectNode record = good.deepCopy();
            record.set(one.get("field").textValue(), one.get("value"));
            if (schema.validate(record).isEmpty() != one.get("valid").booleanValue()) {
                throw new AssertionError("the schema is wrong about: " + one.get("name").textValue());
            }
        }
    }
}
