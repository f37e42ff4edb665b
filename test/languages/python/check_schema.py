"""Whether Python's JSON Schema says of each record what its case says: check_schema.py SCHEMA RECORDS"""

import json
import sys

from jsonschema import Draft202012Validator

schema, records = (json.load(open(name, encoding="utf-8")) for name in sys.argv[1:])
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)
wrong = [
    case["name"]
    for case in records["cases"]
    if validator.is_valid({**records["record"], case["field"]: case["value"]}) != case["valid"]
]
if wrong or not validator.is_valid(records["record"]):
    sys.exit(f"the schema is wrong about: {wrong}")
