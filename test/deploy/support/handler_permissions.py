"""Of each type on standard input: the permissions that CloudFormation's own schema says its handlers need, as cfn-lint has them."""

import json
import pathlib
import sys

import cfnlint

schemas = pathlib.Path(cfnlint.__file__).parent / "data" / "schemas"
names = json.loads((schemas / "providers" / "eu-west-1.json").read_text())


def permissions(type_name):
    handlers = json.loads((schemas / "resources" / f"{names[type_name]}.json").read_text())["handlers"]
    return sorted({one for name, handler in handlers.items() if name != "list" for one in handler["permissions"]})


print(json.dumps({name: permissions(name) for name in json.load(sys.stdin)}))
