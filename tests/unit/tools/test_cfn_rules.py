"""Our rules for cfn-lint, loaded as `cfn-lint --append-rules` loads them."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cfnlint.config import ConfigMixIn  # type: ignore[import-untyped]
from cfnlint.decode.decode import decode_str  # type: ignore[import-untyped]
from cfnlint.rules import Rules  # type: ignore[import-untyped]
from cfnlint.runner import run_template_by_data  # type: ignore[import-untyped]
from tools.cfn_rules.own_triggers import overlap

ROOT = Path(__file__).parents[3]

GOOD = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Retention: {Type: Number, Default: 30}
Conditions:
  Small: !Equals [!Ref Retention, 1]
Globals:
  Function:
    Timeout: 20
Resources:
  Sweep:
    Type: AWS::Serverless::Function
    Metadata:
      WildcardReasons: {Interfaces: EC2 knows no resources for this action.}
    Properties:
      LoggingConfig: {LogGroup: !Ref SweepLogs}
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt DeadLetters.Arn}
      Events:
        Nightly: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day)}}
      Policies:
        - Statement:
            - {Sid: Interfaces, Effect: Allow, Action: ec2:DescribeNetworkInterfaces, Resource: "*"}
  SweepLogs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: !Ref Retention}}
  Index:
    Type: AWS::Serverless::Function
    Properties:
      LoggingConfig: {LogGroup: !Ref IndexLogs}
      Timeout: 30
      Policies:
        - Statement:
            - Effect: Allow
              Action: [s3:PutObject, s3:DeleteObject]
              Resource: [!Sub "${Bucket.Arn}/users/*/history/*", !Sub "${Other.Arn}/requests/*"]
            - Effect: Allow
              Action: sqs:SendMessage
              Resource: !GetAtt DeadLetters.Arn
            - Effect: Deny
              Action: "s3:*"
              Resource: "*"
  IndexLogs: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 30}}
  Trigger:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {FunctionName: !Ref Index, EventSourceArn: !GetAtt Queue.Arn}
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 180
      RedrivePolicy: {deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5}
  DeadLetters: {Type: AWS::SQS::Queue}
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Statement:
          - {Effect: Allow, Principal: {Service: s3.amazonaws.com}, Action: sqs:SendMessage, Resource: !GetAtt Queue.Arn}
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketName: !Sub files-${Retention}
      NotificationConfiguration:
        QueueConfigurations:
          - Event: s3:ObjectCreated:*
            Queue: !GetAtt Queue.Arn
            Filter: {S3Key: {Rules: [{Name: prefix, Value: requests/}, {Name: suffix, Value: /record.json}]}}
          - Event: s3:ObjectRemoved:Delete
            Queue: !GetAtt Queue.Arn
            Filter: {S3Key: {Rules: [{Name: Prefix, Value: requests/}]}}
  Other: {Type: AWS::S3::Bucket}
"""

END = "  Other: {Type: AWS::S3::Bucket}\n"
SWEEP_DLQ = "      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt DeadLetters.Arn}\n"
SCHEDULE = "        Nightly: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day)}}\n"
REASON = "{Interfaces: EC2 knows no resources for this action.}"
INTERFACES = '{Sid: Interfaces, Effect: Allow, Action: ec2:DescribeNetworkInterfaces, Resource: "*"}'
HISTORY = '!Sub "${Bucket.Arn}/users/*/history/*"'
SEND = "              Action: sqs:SendMessage\n              Resource: !GetAtt DeadLetters.Arn"
MAPPING = """
  Trigger:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {FunctionName: !Ref Index, EventSourceArn: !GetAtt Queue.Arn}"""
REDRIVE = "{deadLetterTargetArn: !GetAtt DeadLetters.Arn, maxReceiveCount: 5}"
POLICIES_OF_INDEX = """      Timeout: 30
      Policies:
        - Statement:"""

SQS_EVENT = (
    MAPPING,
    "\n",
    "  Index:\n    Type: AWS::Serverless::Function\n",
    "  Index:\n    Type: AWS::Serverless::Function\n"
    "    Metadata: {WildcardReasons: {AWSLambdaSQSQueueExecutionRole: There is one queue in this account.}}\n",
    "      Timeout: 30\n",
    "      Timeout: 30\n      Events: {Messages: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn}}}\n",
)


def more(resource: str) -> tuple[str, str]:
    """The change that adds a resource."""
    return END, END + resource


def api_event(mode: str) -> tuple[str, ...]:
    """The changes that let a route of this transfer mode call a function."""
    event = f"Talk: {{Type: Api, Properties: {{Path: /talk, Method: post, ResponseTransferMode: {mode}}}}}"
    parameter = "  Retention: {Type: Number, Default: 30}\n"
    return (
        SCHEDULE,
        f"{SCHEDULE}        {event}\n",
        parameter,
        parameter + "  Mode: {Type: String, Default: RESPONSE_STREAM}\n",
    )


def allowed_by_index(actions: str, resources: str) -> tuple[str, str]:
    """The change that allows the indexing function more."""
    added = f"\n            - {{Effect: Allow, Action: {actions}, Resource: {resources}}}"
    return POLICIES_OF_INDEX, POLICIES_OF_INDEX + added


# A rule, and changes of the good template that break it and no other.
BROKEN = {
    "E9001": {
        "no log group": ("      LoggingConfig: {LogGroup: !Ref SweepLogs}\n", ""),
        "a log group from elsewhere": ("{LogGroup: !Ref SweepLogs}", "{LogGroup: /aws/lambda/sweep}"),
        "a log group for ever": ("{RetentionInDays: !Ref Retention}", "{LogGroupName: sweep}"),
        "retention that a condition takes away": (
            "!Ref Retention}}",
            "!If [Small, !Ref AWS::NoValue, !Ref AWS::NoValue]}}",
        ),
        "a shared log group": ("{LogGroup: !Ref IndexLogs}", "{LogGroup: !Ref SweepLogs}"),
        "a function without SAM": more("  Plain: {Type: AWS::Lambda::Function, Properties: {Timeout: 3}}\n"),
    },
    "E9002": {
        "a schedule": (SWEEP_DLQ, ""),
        "a queue of the event alone": (
            SWEEP_DLQ + "      Events:\n" + SCHEDULE,
            "      Events:\n" + SCHEDULE.replace("{Schedule", "{DeadLetterConfig: {Type: SQS}, Schedule"),
        ),
        "objects, by an event": (
            SWEEP_DLQ + "      Events:\n" + SCHEDULE,
            "      Events:\n        New: {Type: S3, Properties: {Bucket: !Ref Other, Events: s3:ObjectCreated:*}}\n",
        ),
        "a rule": more(
            "  Hourly: {Type: AWS::Events::Rule, Properties: {Targets: [{Id: a, Arn: !GetAtt Index.Arn}]}}\n"
        ),
        "a scheduler": more(
            "  Hourly: {Type: AWS::Scheduler::Schedule, Properties: {Target: {Arn: !GetAtt Index.Arn}}}\n"
        ),
        "a topic": more(
            "  Told: {Type: AWS::SNS::Subscription, Properties: {Protocol: lambda, Endpoint: !GetAtt Index.Arn}}\n"
        ),
        "objects, by the bucket": (
            END,
            END.replace(
                "}",
                ", Properties: {NotificationConfiguration: {LambdaConfigurations: "
                "[{Event: s3:ObjectCreated:Put, Filter: {S3Key: {Rules: [{Name: prefix, Value: new/}]}}, "
                "Function: !GetAtt Index.Arn}]}}}",
            ),
        ),
    },
    "E9003": {
        "no dead letters": (f"      RedrivePolicy: {REDRIVE}\n", ""),
        "dead letters to itself": (REDRIVE, "{deadLetterTargetArn: !GetAtt Queue.Arn, maxReceiveCount: 5}"),
        "a stream": (MAPPING, MAPPING.replace("Queue.Arn", "Stream.Arn") + "\n  Stream: {Type: AWS::Kinesis::Stream}"),
        "a table's stream": more(
            "  Changes:\n    Type: AWS::Lambda::EventSourceMapping\n"
            "    Properties: {FunctionName: !Ref Index, EventSourceArn: !GetAtt Table.StreamArn}\n"
            "  Table: {Type: AWS::DynamoDB::Table}\n"
        ),
    },
    "E9004": {
        "every action": ("[s3:PutObject, s3:DeleteObject]", "[s3:PutObject, kms:*]"),
        "some actions": ("ec2:DescribeNetworkInterfaces", "ec2:Describe*"),
        "one character": ("ec2:DescribeNetworkInterfaces", "ec2:DescribeNetworkInterface?"),
        "all other actions": ("Action: ec2:DescribeNetworkInterfaces", "NotAction: ec2:DescribeInstances"),
        "an action behind a condition": (
            "Action: sqs:SendMessage\n",
            'Action: !If [Small, "sns:*", sqs:SendMessage]\n',
        ),
        "in a queue's policy": ("Action: sqs:SendMessage, Resource", 'Action: "sqs:*", Resource'),
        "behind a condition": (INTERFACES, f"!If [Small, {INTERFACES.replace('Network', '*')}, !Ref AWS::NoValue]"),
        "in a role": more(
            "  Role: {Type: AWS::IAM::Role, Properties: {Policies: [{PolicyName: a, PolicyDocument: {Statement: "
            '[{Effect: Allow, Action: ["*"], Resource: !GetAtt Queue.Arn}]}}]}}\n'
        ),
    },
    "E9005": {
        "no reason": (f"    Metadata:\n      WildcardReasons: {REASON}\n", ""),
        "an empty reason": (REASON, '{Interfaces: " "}'),
        "a reason for another statement": ("{Sid: Interfaces, ", "{Sid: Other, "),
        "a statement without a name": ("{Sid: Interfaces, ", "{"),
        "a reason too many": (REASON, REASON.replace("}", ", Else: It is late.}")),
        "a whole service": allowed_by_index(
            "sqs:GetQueueUrl", '!Sub "arn:${AWS::Partition}:sqs:*:${AWS::AccountId}:*"'
        ),
        "a whole kind": allowed_by_index("dynamodb:GetItem", '"arn:aws:dynamodb:us-east-1:123456789012:table/*"'),
        "a whole bucket": allowed_by_index("s3:GetObject", '!Sub "${Bucket.Arn}/*"'),
        "a whole bucket by its name": allowed_by_index(
            "s3:GetObject", '!Join ["", ["arn:aws:s3:::", !Ref Bucket, "/*"]]'
        ),
        "all but one": more(
            "  Rest: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: {Statement: "
            "[{Effect: Allow, Action: s3:GetObject, NotResource: !GetAtt Bucket.Arn}]}}}\n"
        ),
        "everybody": ("{Service: s3.amazonaws.com}", '"*"'),
        "every account": ("{Service: s3.amazonaws.com}", '{AWS: ["*"]}'),
        "a policy of AWS": (
            "        - Statement:\n            - {Sid",
            "        - AmazonS3FullAccess\n        - Statement:\n            - {Sid",
        ),
        "a policy template": (
            "        - Statement:\n            - {Sid",
            "        - SQSPollerPolicy: {QueueName: a}\n        - Statement:\n            - {Sid",
        ),
        "a role with a policy of AWS": more(
            "  Role: {Type: AWS::IAM::Role, Properties: {ManagedPolicyArns: "
            '[!Sub "arn:${AWS::Partition}:iam::aws:policy/ReadOnlyAccess"]}}\n'
        ),
        "an event that brings a policy along": (
            MAPPING,
            "\n",
            "      Timeout: 30\n",
            "      Timeout: 30\n      Events: {Messages: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn}}}\n",
        ),
    },
    "E9006": {
        "the folder that it listens to": (HISTORY, '!Sub "${Bucket.Arn}/requests/*"'),
        "some of its keys": (HISTORY, '!Sub "${Bucket.Arn}/*/record.json"'),
        "one of its keys": (HISTORY, '!Join ["/", [!GetAtt Bucket.Arn, requests/1/record.json]]'),
        "the bucket by its reference": (HISTORY, '!Sub "arn:${AWS::Partition}:s3:::${Bucket}/re*"'),
        "the bucket by its name": (HISTORY, "arn:aws:s3:::files-30/requests/1/*"),
        "a name that may be the bucket's": (HISTORY, "arn:aws:s3:::f*-30/requests/1/*"),
        "a parameter": (HISTORY, "!Ref Retention"),
        "what it is told of when it goes": (
            "Action: [s3:PutObject, s3:DeleteObject]\n              Resource: [",
            'Action: s3:DeleteObject\n              Resource: [!Sub "${Bucket.Arn}/requests/*/input.json", ',
        ),
        "its own queue": (SEND, SEND.replace("DeadLetters", "Queue")),
        "every queue of this account": (SEND, SEND.replace("!GetAtt DeadLetters.Arn", "arn:aws:sqs:*:123456789012:a*")),
        "by a policy that is attached": more(
            "  Writing: {Type: AWS::IAM::Policy, Properties: {PolicyName: a, Roles: [!Ref IndexRole], PolicyDocument: "
            '{Statement: {Effect: Allow, Action: s3:PutObject, Resource: !Sub "${Bucket.Arn}/requests/*"}}}}\n'
        ),
        "by a role of the template": (
            "      Timeout: 30\n",
            "      Timeout: 30\n      Role: !GetAtt Role.Arn\n",
            *more(
                "  Role: {Type: AWS::IAM::Role, Properties: {ManagedPolicyArns: [!Ref Writing]}}\n"
                "  Writing: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: {Statement: "
                '[{Effect: Allow, Action: s3:PutObject, Resource: !Sub "${Bucket.Arn}/requests/*"}]}}}\n'
            ),
        ),
        "straight from the bucket": (
            SCHEDULE,
            SCHEDULE + "        New: {Type: S3, Properties: {Bucket: !Ref Other, Events: [s3:ObjectCreated:*]}}\n",
            INTERFACES,
            INTERFACES
            + '\n            - {Effect: Allow, Action: s3:PutObject, Resource: !Sub "${Other.Arn}/thumbnails/*"}',
        ),
    },
    "E9007": {
        "too early": ("VisibilityTimeout: 180", "VisibilityTimeout: 179"),
        "the default": ("      VisibilityTimeout: 180\n", ""),
        "a slow function": ("      Timeout: 30\n", "      Timeout: 31\n"),
        "a slow default of all functions": ("      Timeout: 30\n", "", "    Timeout: 20\n", "    Timeout: 60\n"),
        "a parameter": ("VisibilityTimeout: 180", "VisibilityTimeout: !Ref Retention"),
        "a queue that is an event": (*SQS_EVENT, "VisibilityTimeout: 180", "VisibilityTimeout: 170"),
    },
    "E9008": {
        "the word of API Gateway": api_event("STREAM"),
        "another case": api_event("response_stream"),
        "nothing": api_event('""'),
        "a parameter": api_event("!Ref Mode"),
        "a condition": api_event("!If [Small, RESPONSE_STREAM, BUFFERED]"),
    },
}

ACCEPTED = {
    "a destination for failures": (
        SWEEP_DLQ,
        "      EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt DeadLetters.Arn}}}\n",
    ),
    "a destination that is a resource": (
        SWEEP_DLQ,
        "",
        *more(
            "  Failures: {Type: AWS::Lambda::EventInvokeConfig, Properties: {FunctionName: !Ref Sweep, "
            "DestinationConfig: {OnFailure: {Destination: !GetAtt DeadLetters.Arn}}}}\n"
        ),
    ),
    "a stream with a destination": (
        MAPPING,
        MAPPING.replace(
            "Queue.Arn}", "Stream.Arn, DestinationConfig: {OnFailure: {Destination: !GetAtt DeadLetters.Arn}}}"
        )
        + "\n  Stream: {Type: AWS::Kinesis::Stream}",
    ),
    "a reason for a policy of AWS": (
        "        - Statement:\n            - {Sid",
        "        - AmazonS3ReadOnlyAccess\n        - Statement:\n            - {Sid",
        REASON,
        REASON.replace("}", ", AmazonS3ReadOnlyAccess: It audits every bucket.}"),
    ),
    "a policy of the template": (
        "        - Statement:\n            - {Sid",
        "        - !Ref Reading\n        - Statement:\n            - {Sid",
        *more(
            "  Reading: {Type: AWS::IAM::ManagedPolicy, Properties: {PolicyDocument: {Statement: "
            '[{Effect: Allow, Action: s3:GetObject, Resource: !Sub "${Bucket.Arn}/users/*"}]}}}\n'
        ),
    ),
    "events of a queue that is elsewhere": (MAPPING, MAPPING.replace("!GetAtt Queue.Arn", "arn:aws:sqs:us-east-1:1:a")),
    "writing what is only told of when it goes": (
        "Action: [s3:PutObject, s3:DeleteObject]\n              Resource: [",
        'Action: s3:PutObject\n              Resource: [!Sub "${Bucket.Arn}/requests/*/input.json", ',
    ),
    "a queue that is an event, with a reason": SQS_EVENT,
    "a streamed answer": api_event("RESPONSE_STREAM"),
    "an answer in one piece": api_event("BUFFERED"),
    "the default of all functions": ("      Timeout: 30\n", "", "VisibilityTimeout: 180", "VisibilityTimeout: 120"),
}

INDEX_WRITES = """              Action: s3:PutObject
              Resource: !Sub ${TtsBucket.Arn}/users/*/tts/history/*"""

# Changes of this project's template, and the rule that each breaks.
REGRESSIONS = {
    "a log group for ever": ("E9001", "/image/list\n      RetentionInDays: !Ref LogRetentionDays\n", "/image/list\n"),
    "no dead letters": (
        "E9003",
        "      RedrivePolicy: {deadLetterTargetArn: !GetAtt ImageRecordDeadLetters.Arn, maxReceiveCount: 5}\n",
        "",
    ),
    "every action of S3": (
        "E9004",
        "Action: s3:PutObject\n              Resource: !Sub ${ImageBucket.Arn}/deleted/*",
        'Action: "s3:*"\n              Resource: !Sub ${ImageBucket.Arn}/deleted/*',
    ),
    "every secret": (
        "E9005",
        "              Action: secretsmanager:GetSecretValue\n              Resource: !GetAtt CursorSecret.Id",
        '              Action: secretsmanager:GetSecretValue\n              Resource: "*"',
    ),
    "an index that writes records": (
        "E9006",
        INDEX_WRITES,
        INDEX_WRITES.replace("users/*/tts/history/*", "requests/*"),
    ),
    "an index that writes everywhere": (
        "E9006",
        INDEX_WRITES,
        INDEX_WRITES.replace("users/*/tts/history/*", "*/record.json"),
    ),
    "messages that come back early": (
        "E9007",
        "VisibilityTimeout: 180 # six times the function's timeout\n      RedrivePolicy: {deadLetterTargetArn: !GetAtt Tts",
        "VisibilityTimeout: 170\n      RedrivePolicy: {deadLetterTargetArn: !GetAtt Tts",
    ),
}


@cache
def rules() -> Any:
    return Rules.create_from_directory(str(ROOT / "tools/cfn_rules"))


def broken(text: str) -> set[str]:
    """The rules that a template breaks."""
    template, errors = decode_str(text)
    assert not errors
    return {match.rule.id for match in run_template_by_data(template, ConfigMixIn([]), rules())}


def changed(text: str, *changes: str) -> str:
    """The text with changes: before, after, before, after, …"""
    for before, after in zip(changes[::2], changes[1::2], strict=True):
        assert text.count(before) >= 1, before
        text = text.replace(before, after, 1)
    return text


def test_a_good_template_breaks_no_rule() -> None:
    assert broken(GOOD) == set()


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        pytest.param(rule, changes, id=f"{rule} {name}")
        for rule, table in BROKEN.items()
        for name, changes in table.items()
    ],
)
def test_a_rule_notices(rule: str, changes: tuple[str, ...]) -> None:
    assert broken(changed(GOOD, *changes)) == {rule}


@pytest.mark.parametrize("changes", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_no_rule_minds(changes: tuple[str, ...]) -> None:
    assert broken(changed(GOOD, *changes)) == set()


def test_a_problem_is_shown_where_it_is_with_what_to_do() -> None:
    template, _ = decode_str(changed(GOOD, "VisibilityTimeout: 180", "VisibilityTimeout: 170"))
    (match,) = run_template_by_data(template, ConfigMixIn([]), rules())
    assert match.path == ["Resources", "Queue"]
    assert "raise VisibilityTimeout to 180" in match.message


def test_this_projects_template_breaks_no_rule() -> None:
    assert broken((ROOT / "template.yaml").read_text()) == set()


@pytest.mark.parametrize("regression", REGRESSIONS.values(), ids=REGRESSIONS.keys())
def test_a_regression_of_this_projects_template_is_noticed(regression: tuple[str, ...]) -> None:
    rule, *changes = regression
    assert rule in broken(changed((ROOT / "template.yaml").read_text(), *changes))


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ("requests/*", "requests/*/record.json", True),
        ("users/*/history/*", "requests/*/record.json", False),
        ("*.json", "requests/*", True),
        ("*.json", "*.jpg", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("*a*b*", "*b*a*", True),
        ("", "*", True),
        ("", "?", False),
    ],
)
def test_patterns_meet_when_some_text_matches_both(one: str, other: str, meet: bool) -> None:
    assert overlap(one, other) is meet
    assert overlap(other, one) is meet
