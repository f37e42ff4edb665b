"""Rules of our own for checkov: what a review found wrong in this stack once, and must not come back.

test/deploy/template.deploy.ts runs them on the packaged templates, and on one that breaks each of them. checkov does not
show DeletionPolicy to a rule, so what must survive the stack is a test there.
"""

from checkov.cloudformation.checks.resource.base_resource_check import BaseResourceCheck
from checkov.common.models.enums import CheckCategories, CheckResult


class Rule(BaseResourceCheck):
    """A sentence, the types it is about, and a function that says whether a resource keeps it."""

    def __init__(self, number, name, types, keeps):
        self.keeps = keeps
        super().__init__(
            name=name,
            id=f"CKV_D1_{number}",
            categories=[CheckCategories.GENERAL_SECURITY],
            supported_resources=types,
        )

    def scan_resource_conf(self, conf):
        kept = self.keeps(conf, conf.get("Properties") or {})
        return CheckResult.PASSED if kept else CheckResult.FAILED


def as_list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def statements(value):
    """Every policy statement in a value, wherever it is."""
    if isinstance(value, list):
        return [found for inner in value for found in statements(inner)]
    if not isinstance(value, dict):
        return []
    if "Effect" in value and "Action" in value:
        return [value]
    return [found for inner in value.values() for found in statements(inner)]


def allowed(properties):
    return [one for one in statements(properties) if one["Effect"] == "Allow"]


def is_multi_region(_conf, properties):
    return properties.get("KeyUsage") != "SIGN_VERIFY" or properties.get("MultiRegion") is True


def administrators_do_not_use(_conf, properties):
    """Whoever may change a key's policy may not use the key, nor grant its use."""
    for one in allowed(properties.get("KeyPolicy")):
        actions = as_list(one["Action"])
        if "kms:*" in actions:
            return False
        if "kms:PutKeyPolicy" in actions and {"kms:Sign", "kms:CreateGrant", "kms:Decrypt"} & set(actions):
            return False
    return True


def signs_from_its_functions_only(_conf, properties):
    """Allowed from named functions, and refused from elsewhere: the key policy alone would let the role sign anywhere."""
    about_signing = [one for one in statements(properties.get("PolicyDocument")) if "kms:Sign" in as_list(one["Action"])]
    operators = {"Allow": "ArnEquals", "Deny": "ArnNotEquals"}
    for one in about_signing:
        condition = (one.get("Condition") or {}).get(operators[one["Effect"]]) or {}
        sources = as_list(condition.get("lambda:SourceFunctionArn"))
        if not sources or any("*" in str(source) for source in sources) or "*" in as_list(one.get("Resource")):
            return False
    return not about_signing or {one["Effect"] for one in about_signing} == {"Allow", "Deny"}


def has_a_stage(_conf, properties):
    if properties.get("Namespace") != "D1TokenBroker":
        return True
    return "stage" in [dimension.get("Name") for dimension in properties.get("Dimensions") or []]


def ends_by_itself(_conf, properties):
    return properties.get("MetricName") != "ApproximateNumberOfMessagesVisible"


def sees_read_only_events(_conf, properties):
    pattern = properties.get("EventPattern") or {}
    if "Sign" not in as_list((pattern.get("detail") or {}).get("eventName")):
        return True
    return properties.get("State") == "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"


def is_the_ticks_own(_conf, properties):
    """The schedule's function has a concurrency of its own: else hanging callers throttle it."""
    target = properties.get("Target") or {}
    return "Ticks" in str(target.get("Arn"))


KEY = ["AWS::KMS::Key"]
ALARM = ["AWS::CloudWatch::Alarm"]

Rule(1, "A signing key can be replicated", KEY, is_multi_region)
Rule(2, "Administrators of a key do not use it", KEY, administrators_do_not_use)
Rule(3, "A role signs from its own functions only", ["AWS::IAM::Policy"], signs_from_its_functions_only)
Rule(4, "An alarm on our metrics knows its stage", ALARM, has_a_stage)
Rule(5, "An alarm ends without anybody purging a queue", ALARM, ends_by_itself)
Rule(6, "A rule on Sign sees read-only events", ["AWS::Events::Rule"], sees_read_only_events)
Rule(7, "The schedule's function is its own", ["AWS::Scheduler::Schedule"], is_the_ticks_own)
