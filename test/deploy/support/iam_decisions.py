"""Asks MiniStack's evaluator of IAM whether a caller may do what it asks for, across accounts: both sides must allow."""

import json
import sys

from ministack.core.iam_evaluator import EvalContext, combine_resource_policy, evaluate, parse_policy_document


def decide(case):
    caller = case["caller"]
    account = caller.split(":")[4]
    context = {name.lower(): value for name, value in case.get("context", {}).items()}
    organization = {"aws:principalorgid": case["organization"]} if case.get("organization") else {}
    ctx = EvalContext(
        principal_arn=caller,
        principal_type="AssumedRole",
        principal_account=account,
        action=case["action"],
        resource_arn=case["resource"],
        region="eu-west-1",
        service_context={"aws:principalisawsservice": "false", **context},
        principal_keys=organization,
    )
    identity = evaluate(ctx, [[*parse_policy_document(case["identity"])]])
    owner = case["resource"].split(":")[4]
    return combine_resource_policy(identity, ctx, case["policy"], owner, required=case["action"].startswith("kms:")).decision


print(json.dumps([decide(case) for case in json.load(sys.stdin)]))
