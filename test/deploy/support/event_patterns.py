"""Asks EventBridge whether deployed rules match events. Standard input: a list of {rule, event}; output: a list of answers.

AWS credentials, Region and endpoint come from the environment, as ever.
"""

import json
import sys

import boto3

events = boto3.client("events")
answers = []
for case in json.load(sys.stdin):
    pattern = events.describe_rule(Name=case["rule"])["EventPattern"]
    answers.append(events.test_event_pattern(EventPattern=pattern, Event=json.dumps(case["event"]))["Result"])
print(json.dumps(answers))
